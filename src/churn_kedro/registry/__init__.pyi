from .gate import (
    ChecksOnTestTable as ChecksOnTestTable,
    Decision as Decision,
    Evidence as Evidence,
    GateParameters as GateParameters,
    Promotion as Promotion,
    check_test_table as check_test_table,
    decide as decide,
    describe_promotion as describe_promotion,
    plan_decision as plan_decision,
)
from .health import (
    FILE_DIGEST_TAG as FILE_DIGEST_TAG,
    CheckResult as CheckResult,
    StoredFiles as StoredFiles,
    check_aliases as check_aliases,
    check_audit as check_audit,
    check_version as check_version,
    explain_lost_files as explain_lost_files,
)
from .lifecycle import (
    DECISION_TAG as DECISION_TAG,
    RETIRED_TAG as RETIRED_TAG,
    Alias as Alias,
    AuditEvent as AuditEvent,
    Change as Change,
    EventResult as EventResult,
    RefusedActionError as RefusedActionError,
    RegistryState as RegistryState,
    plan_approval as plan_approval,
    plan_deletion as plan_deletion,
    plan_manual_promotion as plan_manual_promotion,
    plan_rejection as plan_rejection,
    plan_retirement as plan_retirement,
    plan_return as plan_return,
    plan_rollback as plan_rollback,
    require_champion as require_champion,
)
from .parameters import RegistryParameters as RegistryParameters
from .retention import RetentionParameters as RetentionParameters, find_expired as find_expired
