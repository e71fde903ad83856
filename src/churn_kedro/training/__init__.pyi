from .algorithms.interface import Problem as Problem
from .baselines import train_baseline as train_baseline
from .calibration import choose_calibration as choose_calibration
from .candidates import (
    Candidate as Candidate,
    CandidateComparison as CandidateComparison,
    compare_candidates as compare_candidates,
)
from .child_runs import ChildRun as ChildRun
from .folds import (
    Development as Development,
    Folds as Folds,
    build_development as build_development,
    prepare_configured_folds as prepare_configured_folds,
)
from .large_tables import require_large_table_support as require_large_table_support
from .parameters import (
    CalibrationParameters as CalibrationParameters,
    Choices as Choices,
    Ensemble as Ensemble,
    Interval as Interval,
    Space as Space,
    TrainingConfiguration as TrainingConfiguration,
    TrainingParameters as TrainingParameters,
    configure_training as configure_training,
)
from .progress import NoProgress as NoProgress, TerminalProgress as TerminalProgress
from .recipe import (
    PartFolder as PartFolder,
    TrainingSummary as TrainingSummary,
    ValidatedPredictions as ValidatedPredictions,
    describe_problem as describe_problem,
    fit_model as fit_model,
    search_models as search_models,
)
from .records import (
    list_child_runs as list_child_runs,
    list_parameters as list_parameters,
    summarise_metrics as summarise_metrics,
)
from .reproduction import (
    Code as Code,
    Rebuild as Rebuild,
    compare_trainings as compare_trainings,
    train_again as train_again,
)
from .search import (
    AlgorithmSearch as AlgorithmSearch,
    NoArchive as NoArchive,
    SearchContext as SearchContext,
    SearchResult as SearchResult,
    Trial as Trial,
    TrialArchive as TrialArchive,
)
