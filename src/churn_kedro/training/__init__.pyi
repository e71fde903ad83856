from .algorithms import Problem as Problem
from .baselines import default_baseline as default_baseline, train_baseline as train_baseline
from .calibration import CalibrationParameters as CalibrationParameters, choose_calibration as choose_calibration
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
    prepare_folds as prepare_folds,
)
from .recipe import (
    PartFolder as PartFolder,
    TrainingParameters as TrainingParameters,
    TrainingSummary as TrainingSummary,
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
    NoProgress as NoProgress,
    Progress as Progress,
    SearchContext as SearchContext,
    SearchResult as SearchResult,
    Stopwatch as Stopwatch,
    Trial as Trial,
    TrialArchive as TrialArchive,
)
from .search_space import Choices as Choices, Interval as Interval, Space as Space
