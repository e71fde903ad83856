from .compiled import RowAnswer as RowAnswer, RowScorer as RowScorer, compile_model as compile_model
from .interface import (
    RegisteredModel as RegisteredModel,
    ScoredCustomers as ScoredCustomers,
    TrainedModel as TrainedModel,
    explain_table_mismatch as explain_table_mismatch,
    require_matching_table as require_matching_table,
    score_labelled as score_labelled,
    task_facts as task_facts,
)
from .large_tables import score_large_part as score_large_part
from .learning import SCORE_NAMES as SCORE_NAMES, Learning as Learning, describe_learning as describe_learning
from .onnx_export import OnnxExport as OnnxExport, export_to_onnx as export_to_onnx
from .training_rows import (
    count_new_rows as count_new_rows,
    digest_training_rows as digest_training_rows,
    find_version_training_rows as find_version_training_rows,
)
