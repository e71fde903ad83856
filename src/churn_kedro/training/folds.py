"""Cross-validation folds of the training and validation splits, divided by the method of the split."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.customers import (
    CustomerDeclaration,
    CustomerTableError,
    SplitManifest,
    SplitParameters,
    group_near_duplicates,
    rows_before,
)
from churn_kedro.features import (
    FeatureParameters,
    InputConstraints,
    TrainingInputs,
    find_constraints,
    find_training_outliers,
    fit_features,
)
from churn_kedro.training.parameters import ClassWeight, FoldParameters, TrainingConfiguration

logger = logging.getLogger(__name__)

_FEWEST = 2


@dataclass(frozen=True)
class Development:
    """Development set: training split followed by validation split.

    Attributes:
        customers: Both tables, concatenated, with a new index.
        n_train: Number of rows of the training split.
        learnable: Whether a model may be trained on the row; outliers that the treatment drops are only predicted.
        manifest: Manifest of the splits.
    """

    customers: pd.DataFrame
    n_train: int
    learnable: np.ndarray
    manifest: SplitManifest

    @property
    def training_customers(self) -> pd.DataFrame:
        """Training rows of the final model."""
        return self.customers if self.learnable.all() else self.customers[self.learnable]


@dataclass(frozen=True)
class Fold:
    """A fold of the development set.

    Attributes:
        train: Positions of the training rows.
        validation: Positions of the validation rows.
    """

    train: np.ndarray
    validation: np.ndarray


@dataclass(frozen=True)
class Sample:
    """Model inputs, target and weights of customers.

    Attributes:
        values: Inputs, float64, shape (n, n_inputs).
        target: Class codes or numbers, shape (n,).
        types: Kind of each input: ``"c"`` for a category, ``"q"`` for a quantity.
        constraints: Monotone and interaction constraints.
        weight: Sample weights, shape (n,); None: equal weights.
    """

    values: np.ndarray
    target: np.ndarray
    types: tuple[str, ...]
    constraints: InputConstraints
    weight: np.ndarray | None = None

    @property
    def categories(self) -> list[int]:
        """Indices of the categorical inputs."""
        return [position for position, kind in enumerate(self.types) if kind == "c"]


@dataclass(frozen=True)
class FoldInputs:
    """A fold with the column treatment fitted on its training rows.

    Attributes:
        fold: The rows.
        inputs: The fitted treatment.
        train: Training rows.
        validation: Validation rows.
    """

    fold: Fold
    inputs: TrainingInputs
    train: Sample
    validation: Sample


@dataclass(frozen=True)
class Folds:
    """Folds of the search and of the candidate comparison.

    Attributes:
        search: Folds that all trials share.
        comparison: Folds for comparison and calibration: the same ones, or one fold of all rows if the search uses a
            sample.
    """

    search: list[FoldInputs]
    comparison: list[FoldInputs]

    @property
    def sampled(self) -> bool:
        """Whether the search uses a sample."""
        return self.search is not self.comparison


def build_development(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    manifest: SplitManifest,
    declaration: CustomerDeclaration,
    features: FeatureParameters,
) -> Development:
    """Concatenate training and validation customers.

    Args:
        train: Training customers.
        validation: Validation customers.
        manifest: Manifest of both splits.
        declaration: The table's declaration.
        features: Treatment of the columns.

    Returns:
        The development set.

    Raises:
        CustomerTableError: The tables differ from those of the manifest.
        ParameterError: A treatment does not fit its column.
    """
    manifest.verify(train=train, validation=validation)
    customers = pd.concat([train, validation], ignore_index=True)
    learnable = ~find_training_outliers(customers, declaration, features).to_numpy()
    # The training split has already been filtered.
    learnable[: len(train)] = True
    return Development(
        customers=customers,
        n_train=len(train),
        learnable=learnable,
        manifest=manifest,
    )


def divide_development(
    development: Development,
    declaration: CustomerDeclaration,
    parameters: FoldParameters,
    random_state: int,
) -> tuple[list[Fold], list[Fold] | None]:
    """Divide the development set into folds by the method of the split.

    Args:
        development: Training and validation customers.
        declaration: The table's declaration.
        parameters: Number of folds, maximum number of rows of a search.
        random_state: Seed of the folds and of the sample.

    Returns:
        Folds of the search, and the single fold of the candidate comparison if the search uses a sample.

    Raises:
        CustomerTableError: A fold lacks a class.
    """
    customers = development.customers
    rows = np.arange(len(customers))
    sampled = len(rows) > parameters.max_rows
    if sampled:
        rows = _draw(customers[declaration.target].to_numpy(), parameters.max_rows, declaration, random_state)
    divided = _divide(customers.iloc[rows], declaration, development.manifest.split, parameters.n_splits, random_state)
    folds = [_learnable(Fold(rows[fold.train], rows[fold.validation]), development) for fold in divided]
    _require_classes(folds, customers, declaration, parameters)
    if not sampled:
        return folds, None
    logger.info(
        "The search uses %d of %d customers; its best candidates are compared on all (training.folds.max_rows).",
        len(rows),
        len(customers),
    )
    whole = Fold(np.arange(development.n_train), np.arange(development.n_train, len(customers)))
    _require_evaluable(whole, customers, declaration, parameters)
    return folds, [_learnable(whole, development)]


def prepare_folds(
    development: Development,
    declaration: CustomerDeclaration,
    features: FeatureParameters,
    parameters: FoldParameters,
    random_state: int,
    class_weight: ClassWeight = None,
) -> Folds:
    """Divide the development set and fit the column treatment within each fold.

    Args:
        development: Training and validation customers.
        declaration: The table's declaration.
        features: Treatment of the columns.
        parameters: Number of folds, maximum number of rows of a search.
        random_state: Seed of the folds and of the sample.
        class_weight: Class weights of training.

    Returns:
        Inputs of each fold, which all trials share.

    Raises:
        CustomerTableError: A fold lacks a class.
        ParameterError: A treatment cannot be fitted on a fold.
    """
    search, comparison = divide_development(development, declaration, parameters, random_state)

    searched = [prepare_fold(fold, development, declaration, features, class_weight) for fold in search]
    if comparison is None:
        return Folds(searched, searched)
    return Folds(
        searched, [prepare_fold(fold, development, declaration, features, class_weight) for fold in comparison]
    )


def prepare_configured_folds(development: Development, configuration: TrainingConfiguration) -> Folds:
    """Prepare the folds of a configuration, see :func:`prepare_folds`."""
    parameters = configuration.training
    return prepare_folds(
        development,
        configuration.declaration,
        configuration.features,
        parameters.folds,
        parameters.random_state,
        parameters.class_weight,
    )


def prepare_fold(
    fold: Fold,
    development: Development,
    declaration: CustomerDeclaration,
    features: FeatureParameters,
    class_weight: ClassWeight = None,
) -> FoldInputs:
    """Fit the column treatment on the training rows of a fold and apply it to all its rows.

    Args:
        fold: The rows.
        development: Training and validation customers.
        declaration: The table's declaration.
        features: Treatment of the columns.
        class_weight: Class weights of training.

    Returns:
        Inputs of the fold.
    """
    train, validation = development.customers.iloc[fold.train], development.customers.iloc[fold.validation]
    inputs = fit_features(train, declaration, features)
    return FoldInputs(
        fold=fold,
        inputs=inputs,
        train=sample_of(train, inputs.values, inputs, declaration, class_weight),
        validation=sample_of(validation, inputs.transformer.transform(validation), inputs, declaration),
    )


def sample_of(
    customers: pd.DataFrame,
    values: np.ndarray,
    inputs: TrainingInputs,
    declaration: CustomerDeclaration,
    class_weight: ClassWeight = None,
) -> Sample:
    """Build the sample of customers for an algorithm.

    Args:
        customers: Customers with their target.
        values: Their inputs, shape (n, n_inputs).
        inputs: The fitted treatment.
        declaration: The table's declaration.
        class_weight: Class weights.

    Returns:
        Inputs, target, weights, types and constraints.

    Raises:
        ParameterError: A monotone column has no input that increases with it.
    """
    target = customers[declaration.target].to_numpy()
    weight = None if declaration.weight is None else customers[declaration.weight].to_numpy(dtype=np.float64)
    if class_weight == "balanced" and declaration.classes:
        counted = np.bincount(target, weights=weight, minlength=len(declaration.classes))
        balanced = (counted.sum() / (len(counted) * counted))[target]
        weight = balanced if weight is None else weight * balanced
    if weight is not None:
        # Weights are scaled to mean 1, since penalties and the minimum weight of a leaf count in rows.
        weight = weight / weight.mean()
    return Sample(
        values=np.asarray(values, dtype=np.float64),
        target=target,
        types=tuple(inputs.types),
        constraints=find_constraints(inputs, declaration),
        weight=weight,
    )


def _learnable(fold: Fold, development: Development) -> Fold:
    return Fold(fold.train[development.learnable[fold.train]], fold.validation)


def _draw(target: np.ndarray, n_rows: int, declaration: CustomerDeclaration, random_state: int) -> np.ndarray:
    from sklearn.model_selection import train_test_split

    counted = bool(declaration.classes) and np.unique(target, return_counts=True)[1].min() >= _FEWEST
    drawn, _ = train_test_split(
        np.arange(len(target)), train_size=n_rows, stratify=target if counted else None, random_state=random_state
    )
    return np.sort(drawn)


def _divide(
    customers: pd.DataFrame, declaration: CustomerDeclaration, split: SplitParameters, n_splits: int, random_state: int
) -> list[Fold]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    if split.method == "time":
        return _divide_by_time(customers, declaration, split, n_splits)
    target = customers[declaration.target].to_numpy()
    units = _units(customers, declaration, split)
    n_splits = _allowed(n_splits, target, units, declaration)
    arguments = {"n_splits": n_splits, "shuffle": True, "random_state": random_state}
    if units is not None:
        divider = StratifiedGroupKFold(**arguments) if declaration.classes else GroupKFold(**arguments)
    else:
        divider = StratifiedKFold(**arguments) if declaration.classes else KFold(**arguments)
    return [Fold(train, validation) for train, validation in divider.split(target, target, units)]


def _units(customers: pd.DataFrame, declaration: CustomerDeclaration, split: SplitParameters) -> np.ndarray | None:
    """Return the group index of each row; None without groups."""
    if split.method == "copies":
        return group_near_duplicates(customers, declaration)
    names = [declaration.group] if split.method == "group" and declaration.group else declaration.id_names
    if not names or not customers.duplicated(names).any():
        return None
    return customers.groupby(names, sort=False, dropna=False).ngroup().to_numpy()


def _allowed(n_splits: int, target: np.ndarray, units: np.ndarray | None, declaration: CustomerDeclaration) -> int:
    """Return the number of folds that the rarest class, or the rows, allow."""
    distinct = len(target) if units is None else len(np.unique(units))
    if declaration.classes:
        # Each fold needs a group with each class.
        members = [np.arange(len(target))[target == code] for code in range(len(declaration.classes))]
        distinct = min(len(rows) if units is None else len(np.unique(units[rows])) for rows in members)
    if distinct < _FEWEST:
        raise CustomerTableError(
            f"Found {distinct} of {len(target)} training and validation customers "
            f"{'in one of the declared classes' if declaration.classes else 'in total'}: too few for "
            "cross-validation. Provide more customers, or remove the label from parameters/customers.yml."
        )
    if distinct < n_splits:
        logger.warning(
            "%d folds instead of %d (training.folds.n_splits): %s no more customers to fill them.",
            distinct,
            n_splits,
            "the rarest class has" if declaration.classes else "there are",
        )
    return min(n_splits, distinct)


def _divide_by_time(
    customers: pd.DataFrame, declaration: CustomerDeclaration, split: SplitParameters, n_splits: int
) -> list[Fold]:
    """Divide rows into blocks by time; each block is predicted by a model trained on the earlier ones.

    Rows of one moment share a block. A block with too few rows for validation is merged with the previous one, and a
    block without a complete earlier one is used for training only.
    """
    if declaration.time is None:
        raise ParameterError(
            "The customers were split by time, but no column of parameters/customers.yml has role time."
        )
    moments, target = customers[declaration.time].to_numpy(), customers[declaration.target].to_numpy()
    ordered = np.sort(moments)
    starts = np.unique([ordered[len(ordered) * block // (n_splits + 1)] for block in range(1, n_splits + 1)])
    wanted = max(1, len(declaration.classes))

    def complete(rows: np.ndarray) -> bool:
        return bool(rows.any()) and (not declaration.classes or len(np.unique(target[rows])) == wanted)

    folds: list[Fold] = []
    later = np.zeros(len(moments), dtype=bool)
    for start in starts[::-1]:
        train, validation = rows_before(moments, start, split.gap_days), (moments >= start) & ~later
        if complete(train) and complete(validation):
            folds.insert(0, Fold(np.flatnonzero(train), np.flatnonzero(validation)))
            later |= validation
    if not folds:
        found = f" with {declaration.target} = {' and = '.join(map(repr, declaration.classes))}" if wanted > 1 else ""
        raise CustomerTableError(
            f"The training and validation customers have {len(np.unique(moments))} different moments in "
            f"{declaration.time}, and none of them has customers{found} both before it, for training, and after it, "
            "for validation. Provide more moments, lower data_processing.split.gap_days, or split by another method."
        )
    if len(folds) < n_splits:
        logger.warning(
            "%d folds instead of %d (training.folds.n_splits): %s has too few moments with every class.",
            len(folds),
            n_splits,
            declaration.time,
        )
    return folds


def _require_evaluable(
    whole: Fold, customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: FoldParameters
) -> None:
    """Check that the validation rows contain each class twice, as cross-fitted calibration needs."""
    target = customers[declaration.target].to_numpy()
    for code, label in enumerate(declaration.classes):
        found = int((target[whole.validation] == code).sum())
        if found < _FEWEST or not (target[whole.train] == code).any():
            raise CustomerTableError(
                f"The search uses a sample, so candidates are compared on the validation split, and {found} of its "
                f"{len(whole.validation)} customers have {declaration.target} = {label!r}: each class needs {_FEWEST} "
                f"there, and one in the training split. Raise training.folds.max_rows (now {parameters.max_rows}) to "
                f"{len(customers)}, or provide more customers."
            )


def _require_classes(
    folds: list[Fold], customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: FoldParameters
) -> None:
    target = customers[declaration.target].to_numpy()
    for number, fold in enumerate(folds, start=1):
        for rows, purpose in ((fold.train, "training"), (fold.validation, "validation")):
            absent = [label for code, label in enumerate(declaration.classes) if not (target[rows] == code).any()]
            if absent or not len(rows):
                found = f"with {declaration.target} = {absent[0]!r} " if absent and len(rows) else ""
                raise CustomerTableError(
                    f"Fold {number} of {len(folds)} has no customer {found}for {purpose} ({len(rows)} rows). Lower "
                    f"training.folds.n_splits (now {parameters.n_splits}), or provide more customers."
                )
