from .interface import (
    CAMPAIGN_TAG as CAMPAIGN_TAG,
    Estimator as Estimator,
    RegisteredModel as RegisteredModel,
    ScoredCustomers as ScoredCustomers,
    TrainedModel as TrainedModel,
    answer_of as answer_of,
    decision_threshold as decision_threshold,
    explain_other_table as explain_other_table,
    predict as predict,
    require_table as require_table,
    score_known as score_known,
    task_facts as task_facts,
    unwrap as unwrap,
)
from .learning import (
    SCORE_NAMES as SCORE_NAMES,
    Learning as Learning,
    Score as Score,
    describe_learning as describe_learning,
)
from .training_rows import find_seen_by as find_seen_by, record_learned as record_learned
