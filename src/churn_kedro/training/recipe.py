"""Final fit: column treatment, model, calibration and decision threshold in one estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from pydantic import Field

from churn_estimators.value import decide, expected_profit
from churn_kedro.base import (
    ParameterError,
    Record,
    Stopwatch,
    library_versions,
    perf_counter,
    training_threads,
)
from churn_kedro.campaigns import CampaignParameters, ThresholdChoice, choose_threshold, fit_contact_value
from churn_kedro.customers import TASKS, CustomerDeclaration, LargeTables, Score, SplitParameters, Task
from churn_kedro.features import TrainingInputs, fit_features
from churn_kedro.models import TrainedModel, describe_learning, task_facts
from churn_kedro.training.algorithms import Device, Problem, load_algorithm
from churn_kedro.training.calibration import Calibration, choose_calibration, fit_calibration
from churn_kedro.training.candidates import Candidate, CandidateComparison, Comparison, Member, compare_candidates
from churn_kedro.training.column_costs import ColumnBenefit, measure_column_benefits, require_measurable_benefits
from churn_kedro.training.folds import Development, Folds, Sample, prepare_configured_folds, sample_of
from churn_kedro.training.large_tables import fit_on_all_rows, predict_validation, require_same_table
from churn_kedro.training.parameters import (
    TrainingConfiguration,
    TrainingParameters,
    Value,
)
from churn_kedro.training.search import (
    AlgorithmSearch,
    SearchContext,
    SearchResult,
    search_algorithm,
    trials_per_algorithm,
)
from churn_kedro.training.search_space import check_spaces

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel
    from churn_estimators.value import ContactValue

# Number of rows of a part of a matrix on disk.
_ROWS_PER_PART = 200_000
# Distribution packages of the optional algorithms.
_LIBRARIES = frozenset({"catboost", "lightgbm"})


class PartFolder(Protocol):
    """Folder that stores a matrix in parts during a fit."""

    @property
    def cache_prefix(self) -> str:
        """Path prefix of XGBoost's cache files."""
        ...

    def clear(self) -> None:
        """Remove all files."""
        ...

    def write(self, part: int, table: pd.DataFrame) -> None:
        """Write a part."""
        ...

    def read(self, part: int) -> pd.DataFrame:
        """Read a part."""
        ...


class Recipe(Record):
    """Everything needed to train the same model again on the same data."""

    configuration: TrainingConfiguration
    split: SplitParameters
    train_digest: str = Field(description="Content digest of the training split.")
    validation_digest: str = Field(description="Content digest of the validation split.")
    versions: dict[str, str] = Field(description="Versions of Python and of the libraries.")
    device: Device = Field(description="Device on which trees were fitted.")


class TrainingSummary(Record):
    """Summary of a training."""

    task: Task
    model: str = Field(description="Name of the algorithm or ensemble.")
    members: list[Member] = Field(description="Fitted member algorithms.")
    metric: Score = Field(description="Name of the score.")
    score: float = Field(description="Mean score over the folds, before calibration.")
    fold_scores: list[float] = Field(description="Score of each fold.")
    out_of_fold: dict[str, float] = Field(description="Metrics of all out-of-fold predictions, after calibration.")
    calibration: Calibration | None = Field(description="Classes only.")
    threshold: ThresholdChoice | None = Field(description="Task binary only.")
    learning_curves: dict[str, list[float]] = Field(description="Mean score by round, on training and validation rows.")
    rows: dict[str, int] = Field(description="Number of customers of training, validation and search.")
    inputs: int = Field(description="Model inputs.")
    seconds: dict[str, float] = Field(description="Wall time of search, comparison and fit.")
    threads: int = Field(description="Threads of the final fit.")
    comparison: Comparison = Field(description="Comparison of the candidates.")
    column_benefits: list[ColumnBenefit] = Field(
        default_factory=list, description="Cost and benefit of columns with a cost."
    )
    recipe: Recipe = Field(description="Everything needed to train the same model again.")


@dataclass(frozen=True)
class ValidatedPredictions:
    """Calibrated out-of-fold predictions of the development customers.

    Attributes:
        rows: Positions among the development customers, shape (n,).
        target: Codes of the classes, or numbers, shape (n,).
        prediction: Probability of leaving, or number, shape (n,); probability of each class, shape (n, n_classes).
        contacted: Whether each customer is worth a contact, shape (n,); None for other tasks than binary.
        profit: Expected profit of a contact, in money, shape (n,); None: unknown.
        importance: Share of each column in the importance of the fitted model, 0 to 1.
    """

    rows: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    contacted: np.ndarray | None = None
    profit: np.ndarray | None = None
    importance: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """Result of a training.

    Attributes:
        model: The estimator with its metadata.
        inputs: The fitted column treatment.
        summary: Summary of the training.
        validated: Calibrated out-of-fold predictions.
    """

    model: TrainedModel
    inputs: TrainingInputs
    summary: TrainingSummary
    validated: ValidatedPredictions


def describe_problem(development: Development, configuration: TrainingConfiguration) -> Problem:
    """Describe the learning problem and its resources.

    Args:
        development: Training and validation customers.
        configuration: Declaration and parameters.

    Returns:
        The learning problem.

    Raises:
        CustomerTableError: A declared class has no customer.
        ParameterError: An algorithm does not support the task or a declared constraint, or is not installed.
    """
    declaration, parameters = configuration.declaration, configuration.training
    learning = describe_learning(development.customers, declaration)
    wanted = {"monotone"} if any(column.monotone for column in declaration.features) else set()
    wanted |= {"interactions"} if declaration.interactions else set()
    algorithms = [load_algorithm(name) for name in parameters.algorithms]
    for algorithm in algorithms:
        if declaration.task not in algorithm.tasks:
            fitting = TASKS[declaration.task].linear_model
            raise ParameterError(
                f"training.algorithms contains {algorithm.name}, which does not support task {declaration.task}; "
                "choose "
                f"{fitting}."
            )
        broken = sorted(wanted - algorithm.keeps)
        if broken:
            raise ParameterError(
                f"parameters/customers.yml declares {' and '.join(broken)} constraints, which {algorithm.name} does "
                "not support. Remove it from training.algorithms (xgboost supports them), or remove the constraints."
            )
    check_spaces(parameters.spaces, algorithms)
    require_measurable_benefits(declaration, configuration.campaigns)
    return Problem(
        learning=learning,
        random_state=parameters.random_state,
        threads=training_threads(min(len(development.customers), parameters.folds.max_rows), parameters.n_jobs),
        device=_find_device(parameters),
        max_rounds=parameters.search.max_rounds,
        early_stopping_rounds=parameters.search.early_stopping_rounds,
    )


def _find_device(parameters: TrainingParameters) -> Device:
    if "xgboost" not in parameters.algorithms:
        return "cpu"
    from churn_kedro.training.algorithms.xgboost_trees import find_device

    found = find_device(parameters.device)
    if parameters.device == "cuda" and found == "cpu":
        raise ParameterError(
            "training.device is cuda, but XGBoost finds no CUDA device. Set it to auto, which falls back to the CPU, "
            "or to cpu."
        )
    return found


def search_models(
    development: Development,
    folds: Folds,
    problem: Problem,
    configuration: TrainingConfiguration,
    context: SearchContext,
) -> SearchResult:
    """Search the hyperparameters of each algorithm within one budget.

    Args:
        development: Training and validation customers.
        folds: Inputs of each fold.
        problem: Learning problem.
        configuration: Algorithms, spaces and budget; declaration and features are part of the search key.
        context: Archive, progress and stopwatch.

    Returns:
        The best trial of each algorithm, and all others.

    Raises:
        ParameterError: The budget is smaller than the number of algorithms, or all trials of one failed.
        SearchInterruptedError: The user pressed Ctrl-C.
    """
    parameters = configuration.training
    shares = trials_per_algorithm(parameters.search.n_trials, parameters.algorithms)
    identity = {
        "train": development.manifest.train.digest,
        "validation": development.manifest.validation.digest,
        "declaration": configuration.declaration.model_dump(mode="json"),
        "features": configuration.features.model_dump(mode="json"),
        "folds": parameters.folds.model_dump(mode="json"),
        "class_weight": parameters.class_weight,
    }
    began = context.stopwatch()
    searches: list[AlgorithmSearch] = []
    for position, (name, n_trials) in enumerate(zip(parameters.algorithms, shares, strict=True)):
        left = None
        if parameters.search.timeout_seconds is not None:
            # Unused time of one algorithm is passed on to the next ones.
            rest = parameters.search.timeout_seconds - (context.stopwatch() - began)
            left = max(rest, 0.0) / (len(parameters.algorithms) - position)
        searches.append(
            search_algorithm(
                load_algorithm(name),
                parameters.spaces[name],
                folds.search,
                problem,
                parameters.search,
                n_trials,
                left,
                identity,
                context,
            )
        )
    return SearchResult(
        metric=problem.learning.score,
        objectives=parameters.search.objectives,
        n_splits=len(folds.search),
        rows=len(
            np.unique(np.concatenate([np.append(fold.fold.train, fold.fold.validation) for fold in folds.search]))
        ),
        searches=searches,
    )


def fit_model(
    development: Development,
    candidate_comparison: CandidateComparison,
    search: SearchResult,
    problem: Problem,
    configuration: TrainingConfiguration,
    parts: PartFolder | None = None,
    all_customers: LargeTables | None = None,
    stopwatch: Stopwatch = perf_counter,
) -> Training:
    """Fit the chosen candidate on the development set; calibrate it and choose its threshold out of fold.

    Classifiers are calibrated, binary ones also get a decision threshold. Regressors are left unchanged. If the
    customers are a sample of a table larger than memory, the trees are fitted on all its training rows, and validation
    customers take the place of the out-of-fold predictions.

    Args:
        development: Training and validation customers.
        candidate_comparison: The chosen candidate and its out-of-fold predictions.
        search: Search result of each algorithm.
        problem: Learning problem.
        configuration: Declaration and parameters.
        parts: Folder for the matrix, if it is stored on disk.
        all_customers: Parts of the table of which the customers are a sample; None or empty: they are all.
        stopwatch: Measures time, in seconds.

    Returns:
        The estimator on raw columns, without the target, and the summary.

    Raises:
        ParameterError: Treatment, calibration or threshold are invalid for the customers.
    """
    began = stopwatch()
    declaration, parameters = configuration.declaration, configuration.training
    whole = development.manifest.whole
    require_same_table(development, all_customers or {}, declaration)
    # Of a sample, the validation customers are left for calibration and threshold.
    trained = development.training_customers if whole is None else development.customers.head(development.n_train)
    inputs = fit_features(trained, declaration, configuration.features)
    sample = sample_of(trained, inputs.values, inputs, declaration, parameters.class_weight)
    problem = replace(problem, threads=training_threads(len(trained), parameters.n_jobs))

    fit_trees = None
    if whole is not None:
        fit_trees = partial(fit_on_all_rows, all_customers or {}, whole, inputs, sample, configuration, problem)
    elif parts is not None and parameters.external_memory:
        fit_trees = partial(grow_from_files, sample, parts, problem)
    members, fitted = _fit_members(sample, candidate_comparison, search, problem, fit_trees)
    if whole is not None:
        candidate_comparison = predict_validation(candidate_comparison, development, inputs, fitted, problem)
    seconds = {
        "search": sum(found.seconds for found in search.searches),
        "comparison": candidate_comparison.seconds,
        "fit": stopwatch() - began,
    }
    calibrated, calibration, probability = _calibrate(candidate_comparison, problem, parameters)
    value = contact_value_of(development.customers, configuration)
    choice = None
    if declaration.task == "binary":
        choice = _choose_threshold(development, candidate_comparison, probability, configuration.campaigns, value)
    threshold = None if choice is None else choice.threshold
    estimator = assemble_model(inputs, fitted, configuration, calibrated, threshold, value)
    chosen, comparison, curves = (
        candidate_comparison.chosen,
        candidate_comparison.comparison,
        candidate_comparison.curves,
    )
    model = TrainedModel(
        estimator=estimator,
        example=development.customers[[reader.column for reader in estimator.readers]].head(5),
        facts=_list_facts(development, chosen, calibration, choice, threshold, configuration),
        libraries=tuple(sorted(_LIBRARIES.intersection(chosen.members))),
    )
    summary = TrainingSummary(
        task=declaration.task,
        model=chosen.name,
        members=members,
        metric=problem.learning.score,
        score=chosen.score,
        fold_scores=chosen.fold_scores,
        out_of_fold=_measure(development, candidate_comparison, probability, problem, estimator),
        calibration=calibration,
        threshold=choice,
        learning_curves={} if curves is None else {"train": curves.train, "validation": curves.validation},
        rows={
            "trained": len(trained) if whole is None else whole.train.rows,
            "validated": comparison.rows if whole is None else len(candidate_comparison.out_of_fold.rows),
            "searched": search.rows,
        },
        inputs=len(inputs.sources),
        seconds=seconds,
        threads=problem.threads,
        comparison=comparison,
        column_benefits=measure_column_benefits(development, candidate_comparison, members, problem, configuration),
        recipe=_write_recipe(development, problem, configuration),
    )
    validated = _validate_predictions(development, candidate_comparison, probability, estimator, declaration)
    return Training(model, inputs, summary, validated)


def _validate_predictions(
    development: Development,
    candidate_comparison: CandidateComparison,
    prediction: np.ndarray,
    model: CustomerModel,
    declaration: CustomerDeclaration,
) -> ValidatedPredictions:
    """Add decisions, expected profit and importance to the calibrated out-of-fold predictions."""
    from churn_kedro.evaluation import column_importance

    found = candidate_comparison.out_of_fold
    customers = development.customers.iloc[found.rows]
    importance = column_importance(model, customers, declaration)
    if model.task != "binary" or model.threshold is None:
        return ValidatedPredictions(found.rows, found.target, prediction, importance=importance)
    value = model.contact_value
    return ValidatedPredictions(
        found.rows,
        found.target,
        prediction,
        contacted=decide(prediction, model.threshold, model.eligible(customers)),
        profit=None if value is None else expected_profit(prediction, value.of(customers), value),
        importance=importance,
    )


def _list_facts(
    development: Development,
    chosen: Candidate,
    calibration: Calibration | None,
    choice: ThresholdChoice | None,
    threshold: float | None,
    configuration: TrainingConfiguration,
) -> dict[str, str]:
    """Return the tags of the version."""
    whole = development.manifest.whole
    return {
        **task_facts(configuration.declaration),
        "algorithm": chosen.name,
        **({} if chosen.n_estimators is None else {"n_estimators": str(chosen.n_estimators)}),
        **({} if calibration is None else {"calibration": calibration.method}),
        **({} if choice is None else {"threshold_objective": choice.objective}),
        **({} if threshold is None else {"decision_threshold": f"{threshold:.6f}"}),
        "train_digest": development.manifest.train.digest,
        "validation_digest": development.manifest.validation.digest,
        **({} if whole is None else {"all_train_rows": str(whole.train.rows), "all_train_digest": whole.train.digest}),
    }


def _write_recipe(development: Development, problem: Problem, configuration: TrainingConfiguration) -> Recipe:
    manifest = development.manifest
    return Recipe(
        configuration=configuration,
        split=manifest.split,
        train_digest=manifest.train.digest,
        validation_digest=manifest.validation.digest,
        versions=library_versions(),
        device=problem.device,
    )


def train(
    development: Development,
    configuration: TrainingConfiguration,
    context: SearchContext,
    parts: PartFolder | None = None,
) -> Training:
    """Run all steps of a training.

    Args:
        development: Training and validation customers.
        configuration: Declaration and parameters.
        context: Archive, progress and stopwatch.
        parts: Folder for the matrix, if it is stored on disk.

    Returns:
        The estimator and the summary.
    """
    problem = describe_problem(development, configuration)
    folds = prepare_configured_folds(development, configuration)
    search = search_models(development, folds, problem, configuration, context)
    candidate_comparison = compare_candidates(
        search.searches, configuration.training.ensembles, folds, problem, context.stopwatch
    )
    return fit_model(development, candidate_comparison, search, problem, configuration, parts, None, context.stopwatch)


def _fit_members(
    sample: Sample,
    candidate_comparison: CandidateComparison,
    search: SearchResult,
    problem: Problem,
    fit_trees: Callable[[Mapping[str, Value], int | None], Any] | None,
) -> tuple[list[Member], Any]:
    """Fit each member algorithm of the chosen candidate and combine them.

    Args:
        sample: Training rows.
        candidate_comparison: The chosen candidate.
        search: Hyperparameters.
        problem: Learning problem.
        fit_trees: Function of hyperparameters and rounds that fits XGBoost's trees on rows outside of memory; None: the
            rows are those of the sample.

    Returns:
        Descriptions of the members, and the fitted model.
    """
    rounds = {
        candidate.name: candidate.n_estimators
        for candidate in candidate_comparison.comparison.candidates
        if candidate.members == [candidate.name]
    }
    members, fitted = [], []
    for found in search.searches:
        if found.algorithm not in candidate_comparison.chosen.members:
            continue
        algorithm = load_algorithm(found.algorithm)
        hyperparameters, n_estimators = found.best.hyperparameters, rounds[found.algorithm]
        if fit_trees is None:
            model = algorithm.fit(sample, hyperparameters, problem, n_estimators)
        else:
            model = fit_trees(hyperparameters, n_estimators)
        fitted.append(model)
        members.append(
            Member(
                algorithm=found.algorithm,
                hyperparameters=hyperparameters,
                n_estimators=n_estimators,
                complexity=algorithm.complexity(model),
            )
        )
    if len(fitted) == 1:
        return members, fitted[0]
    from churn_estimators.ensembles import BlendClassifier, BlendRegressor

    kind = BlendRegressor if problem.learning.task == "regression" else BlendClassifier
    return members, kind(fitted, candidate_comparison.last)


def grow_from_files(
    sample: Sample,
    parts: PartFolder,
    problem: Problem,
    hyperparameters: Mapping[str, Value],
    rounds: int | None,
) -> Any:
    """Fit XGBoost's trees on a matrix that is stored in Parquet parts."""
    from churn_kedro.training.algorithms.xgboost_trees import XGBoost, build_external_matrix

    parts.clear()
    n_parts = max(2, -(-len(sample.target) // _ROWS_PER_PART))
    for part, rows in enumerate(np.array_split(np.arange(len(sample.target)), n_parts)):
        table = pd.DataFrame(sample.values[rows], columns=[f"f{place}" for place in range(sample.values.shape[1])])
        table["target"] = sample.target[rows]
        if sample.weight is not None:
            table["weight"] = sample.weight[rows]
        parts.write(part, table)
    constraints, types = sample.constraints, sample.types

    def read(part: int) -> Sample:
        table = parts.read(part)
        return Sample(
            values=table[[f"f{place}" for place in range(len(types))]].to_numpy(dtype=np.float64),
            target=table["target"].to_numpy(),
            types=types,
            constraints=constraints,
            weight=table["weight"].to_numpy() if "weight" in table else None,
        )

    try:
        matrix = build_external_matrix(n_parts, read, problem, parts.cache_prefix)
        return XGBoost().grow(matrix, constraints, hyperparameters, problem, rounds or problem.max_rounds)
    finally:
        parts.clear()


def contact_value_of(customers: pd.DataFrame, configuration: TrainingConfiguration) -> ContactValue | None:
    """Return the value of a contact that the model decides by.

    Args:
        customers: Development customers.
        configuration: Task and economics.

    Returns:
        Costs and value; None without economics, and for other tasks than binary.
    """
    economics = configuration.campaigns.economics
    if configuration.declaration.task != "binary" or economics is None:
        return None
    return fit_contact_value(economics, customers)


def assemble_model(
    inputs: TrainingInputs,
    fitted: Any,
    configuration: TrainingConfiguration,
    calibration: Any = None,
    threshold: float | None = None,
    value: ContactValue | None = None,
) -> CustomerModel:
    """Combine the fitted parts.

    Args:
        inputs: The column treatment.
        fitted: The model on its outputs.
        configuration: Declaration, and objective of the threshold.
        calibration: The calibration map; None: uncalibrated.
        threshold: Decision threshold; None for other tasks than binary.
        value: Costs and value of a contact; None: unknown.

    Returns:
        A fitted model on raw columns.
    """
    from churn_estimators.model import CustomerModel

    declaration = configuration.declaration
    readers = [declaration.cell_reader(column) for column in declaration.features]
    if value is not None and value.column is not None and value.column not in declaration.feature_names:
        column = next(column for column in declaration.columns if column.name == value.column)
        readers.append(declaration.cell_reader(column, required=False))
    return CustomerModel(
        readers,
        inputs.transformer,
        fitted,
        task=declaration.task,
        classes=list(declaration.classes),
        calibration=calibration,
        threshold=threshold,
        contact_value=value,
        by_value=value is not None and configuration.campaigns.objective == "profit",
        unreadable=declaration.unreadable,
    )


def _calibrate(
    candidate_comparison: CandidateComparison, problem: Problem, parameters: TrainingParameters
) -> tuple[Any, Calibration | None, np.ndarray]:
    """Return the calibration map, its description and the calibrated out-of-fold predictions."""
    found = candidate_comparison.out_of_fold
    if problem.learning.task == "regression":
        return None, None, found.prediction
    calibration, probability = choose_calibration(
        found.target,
        found.prediction,
        found.fold,
        problem.learning,
        parameters.calibration,
        found.weight,
        weighted_classes=parameters.class_weight is not None,
    )
    fitted = fit_calibration(calibration.method, found.target, found.prediction, found.weight)
    return fitted, calibration, probability


def _choose_threshold(
    development: Development,
    candidate_comparison: CandidateComparison,
    probability: np.ndarray,
    campaigns: CampaignParameters,
    value: ContactValue | None,
) -> ThresholdChoice:
    validated = development.customers.iloc[candidate_comparison.out_of_fold.rows]
    values = None if value is None else value.of(validated)
    return choose_threshold(candidate_comparison.out_of_fold.target, probability, campaigns, values)


def _measure(
    development: Development,
    candidate_comparison: CandidateComparison,
    prediction: np.ndarray,
    problem: Problem,
    model: CustomerModel,
) -> dict[str, float]:
    """Compute the metrics of all out-of-fold predictions, with decisions by the threshold and the rule of the model."""
    from churn_kedro.evaluation import measure
    from churn_kedro.models import ScoredCustomers

    found = candidate_comparison.out_of_fold
    return measure(
        ScoredCustomers(
            task=problem.learning.task,
            target=found.target,
            prediction=prediction,
            threshold=model.threshold,
            classes=tuple(str(code) for code in range(problem.learning.n_classes)),
            eligible=model.eligible(development.customers.iloc[found.rows]),
        )
    )
