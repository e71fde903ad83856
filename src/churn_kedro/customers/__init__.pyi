from .configuration_writer import escape_interpolation as escape_interpolation
from .declaration import (
    Column as Column,
    CustomerDeclaration as CustomerDeclaration,
    CustomerTableError as CustomerTableError,
    DerivedColumn as DerivedColumn,
    Kind as Kind,
    Level as Level,
    Range as Range,
    level_text as level_text,
)
from .digests import row_digests as row_digests, table_digest as table_digest
from .display_names import FILE_NAMES as FILE_NAMES, DisplayNames as DisplayNames
from .large_tables import (
    PART as PART,
    LargeTables as LargeTables,
    describe_large_part as describe_large_part,
    describe_large_table as describe_large_table,
    prepare_large_table as prepare_large_table,
    read_customers as read_customers,
)
from .leakage import check_leakage as check_leakage
from .leakage.findings import (
    Finding as Finding,
    LeakageParameters as LeakageParameters,
    LeakageReport as LeakageReport,
    require_no_leak as require_no_leak,
)
from .near_duplicates import group_near_duplicates as group_near_duplicates
from .normalisation import (
    NamedCustomers as NamedCustomers,
    NormalisedCustomers as NormalisedCustomers,
    apply_policy as apply_policy,
    find_known_outcomes as find_known_outcomes,
    name_columns as name_columns,
    normalise as normalise,
)
from .onboarding.configuration_files import (
    render_catalog as render_catalog,
    render_data_processing as render_data_processing,
    render_declaration as render_declaration,
    render_event_catalog as render_event_catalog,
    render_event_globals as render_event_globals,
    render_globals as render_globals,
    render_snapshots as render_snapshots,
)
from .onboarding.events import infer_snapshots as infer_snapshots
from .onboarding.inference import Onboarding as Onboarding, infer_declaration as infer_declaration
from .parameters import DataProcessingParameters as DataProcessingParameters
from .parts import (
    TableParts as TableParts,
    as_parts as as_parts,
    describe_changed_columns as describe_changed_columns,
)
from .profile import (
    ColumnProfile as ColumnProfile,
    Histogram as Histogram,
    ProfiledColumns as ProfiledColumns,
    ProfileParameters as ProfileParameters,
    SchemaChanges as SchemaChanges,
    TableProfile as TableProfile,
    TableSchema as TableSchema,
    compare_schemas as compare_schemas,
    correlate as correlate,
    describe_schema as describe_schema,
    describe_stages as describe_stages,
    profile_columns as profile_columns,
    shorten_name as shorten_name,
)
from .quality import (
    DataQuality as DataQuality,
    describe_quality as describe_quality,
    drop_duplicates as drop_duplicates,
    require_few_rejections as require_few_rejections,
)
from .reading import (
    READING as READING,
    Reading as Reading,
    iterate_delimited as iterate_delimited,
    read_delimited as read_delimited,
    read_header as read_header,
)
from .snapshots import (
    SnapshotParameters as SnapshotParameters,
    SnapshotReport as SnapshotReport,
    build_snapshots as build_snapshots,
)
from .splits import (
    CustomerParts as CustomerParts,
    SplitManifest as SplitManifest,
    SplitParameters as SplitParameters,
    WholeTable as WholeTable,
    describe_splits as describe_splits,
    rows_before as rows_before,
    split_customers as split_customers,
)
from .tasks import TASKS as TASKS, Score as Score, Task as Task
from .treatments import BinningMethod as BinningMethod, OutlierMethod as OutlierMethod, Treatment as Treatment
from .validation import (
    CustomerTableValidator as CustomerTableValidator,
    list_rejected as list_rejected,
    set_aside_invalid as set_aside_invalid,
)
