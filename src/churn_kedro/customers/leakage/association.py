"""How well a column tells the target, measured on rows that it was not learned from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn_kedro.customers.declaration import Column, CustomerDeclaration
from churn_kedro.customers.tasks import Task

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

Z = 1.959964
_FOLDS = 5
_BINS = 64
_ROWS_PER_BIN = 10
# Weight of the overall rate in a bin's rate, in rows: keeps a level seen once from being certain.
_PRIOR_ROWS = 1.0


@dataclass(frozen=True)
class Target:
    """The target of the rows looked at, and the folds they fall into."""

    task: Task
    # Position among the classes that occur; a regression's ranks, scaled to 0 to 1.
    values: Floats
    labels: tuple[str, ...]
    # Rows of the whole table that one row of each class stands for: rare classes are sampled more densely.
    weights: Floats
    folds: Codes

    @property
    def codes(self) -> Codes:
        """Classes as positions in ``labels``."""
        return self.values.astype(np.int64)

    @property
    def class_rows(self) -> Codes:
        """Rows of each class; of a regression, all rows."""
        if self.task == "regression":
            return np.array([len(self.values)])
        return np.bincount(self.codes, minlength=len(self.labels))

    @property
    def most_frequent(self) -> int:
        """The class with most rows in the whole table."""
        return int(np.argmax(self.class_rows * self.weights))

    def take(self, rows: Codes) -> Target:
        """The target of some of the rows.

        Args:
            rows: Their positions.

        Returns:
            The same target without the other rows.
        """
        return Target(self.task, self.values[rows], self.labels, self.weights, self.folds[rows])


@dataclass(frozen=True)
class Strength:
    """How well something tells the target."""

    value: float
    low: float
    # Lower bound of each class against the others; a regression has none.
    class_lows: Floats


def number_values(column: pd.Series) -> Floats:
    """A numeric or date column as floats.

    Args:
        column: Numbers or dates.

    Returns:
        Its values; missing ones are NaN.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        values = column.to_numpy().astype(np.int64).astype(np.float64)
        values[column.isna().to_numpy()] = np.nan
        return values
    return column.to_numpy(dtype=np.float64)


def has_numbers(column: Column) -> bool:
    """Whether the order of a column's values means something.

    Args:
        column: A feature.

    Returns:
        True for numbers and dates, False for levels.
    """
    return column.kind in ("numeric", "date")


def bin_codes(values: Floats, bins: int = _BINS) -> Codes:
    """Numbers as positions of bins of about equal size; few different numbers stay apart.

    Args:
        values: Numbers; NaN has a bin of its own.
        bins: Most bins wanted.

    Returns:
        The bin of each number.
    """
    codes = np.zeros(len(values), dtype=np.int64)
    known = ~np.isnan(values)
    if not known.any():
        return codes
    bins = max(2, min(bins, int(known.sum()) // _ROWS_PER_BIN))
    different = np.unique(values[known])
    if len(different) <= bins:
        codes[known] = np.searchsorted(different, values[known]) + 1
    else:
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, bins + 1)[1:-1]))
        codes[known] = np.searchsorted(edges, values[known], side="right") + 1
    return codes


def level_codes(column: pd.Series) -> Codes:
    """Levels as positions; a missing one is a level, and all levels seen once are one.

    Args:
        column: Levels.

    Returns:
        The level of each row.
    """
    codes, _ = pd.factorize(column)
    # A level seen once can't be learned on other rows; apart, thousands of them would only cost time.
    codes = codes.astype(np.int64) + 1
    once = np.bincount(codes) == 1
    codes[once[codes]] = len(once)
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def feature_codes(column: pd.Series, declared: Column) -> Codes:
    """A feature as positions of bins or levels.

    Args:
        column: Its values.
        declared: Its declaration.

    Returns:
        The bin or level of each row.
    """
    return bin_codes(number_values(column)) if has_numbers(declared) else level_codes(column)


def entity_of(customers: pd.DataFrame, declaration: CustomerDeclaration) -> pd.Series | None:
    """What several rows may share, so that they must not be on both sides of a fold.

    Args:
        customers: Rows of the customer table.
        declaration: The table's declaration.

    Returns:
        The group, or else the identifier that repeats most; None where no row shares one.
    """
    names = [declaration.group] if declaration.group is not None else declaration.id_names
    entities = [customers[name] for name in names if customers[name].duplicated().any()]
    return min(entities, key=lambda entity: int(entity.nunique()), default=None)


def assign_folds(values: Floats, entity: pd.Series | None, random: np.random.Generator, folds: int = _FOLDS) -> Codes:
    """Divide rows into folds at random, each with the same share of every class.

    Args:
        values: The target.
        entity: What rows of one fold share, if anything; then the shares are only about the same.
        random: Source of the shuffle.
        folds: How many.

    Returns:
        The fold of each row.
    """
    if entity is not None:
        codes, known = pd.factorize(entity)
        # Rows that don't say whose they are belong to nobody else's.
        nobody = codes < 0
        codes[nobody] = len(known) + np.arange(int(nobody.sum()))
        return (random.permutation(len(known) + int(nobody.sum())) % folds)[codes].astype(np.int64)
    shuffled = random.permutation(len(values))
    order = shuffled[np.argsort(values[shuffled], kind="stable")]
    assigned = np.empty(len(values), dtype=np.int64)
    assigned[order] = np.arange(len(values)) % folds
    return assigned


def read_target(
    customers: pd.DataFrame, declaration: CustomerDeclaration, weights: Floats | None, random: np.random.Generator
) -> Target:
    """Take the target out of a table and divide the rows into folds.

    Args:
        customers: Rows looked at.
        declaration: The table's declaration.
        weights: Rows of the whole table that a row of each declared class stands for; None: one.
        random: Source of the folds.

    Returns:
        The target.
    """
    column = customers[declaration.target]
    entity = entity_of(customers, declaration)
    if declaration.task == "regression":
        # Ranks: a few huge values would decide R² and its interval alone.
        values = column.rank().to_numpy(dtype=np.float64) / max(len(column), 1)
        return Target("regression", values, (), np.ones(1), assign_folds(values, entity, random))
    classes, codes = np.unique(column.to_numpy(dtype=np.int64), return_inverse=True)
    values = codes.astype(np.float64)
    labels = tuple(str(declaration.classes[code]) for code in classes)
    stands_for = np.ones(len(classes)) if weights is None else weights[classes]
    return Target(declaration.task, values, labels, stands_for, assign_folds(values, entity, random))


def _auc(scores: Floats, positives: Floats, negatives: Floats) -> tuple[float, float]:
    """ROC-AUC and its standard error, of cells that hold a number of positives and negatives each.

    DeLong's variance, Biometrics 44 (1988), from counts per score.
    """
    _, place = np.unique(scores, return_inverse=True)
    positives = np.bincount(place, positives).astype(np.float64)
    negatives = np.bincount(place, negatives).astype(np.float64)
    n_positives, n_negatives = positives.sum(), negatives.sum()
    if not n_positives or not n_negatives:
        return 0.5, 0.0
    above_negatives = (np.cumsum(negatives) - negatives / 2) / n_negatives
    below_positives = 1 - (np.cumsum(positives) - positives / 2) / n_positives
    auc = float((positives * above_negatives).sum() / n_positives)
    spread = (positives * (above_negatives - auc) ** 2).sum() / max(n_positives - 1, 1) / n_positives
    spread += (negatives * (below_positives - auc) ** 2).sum() / max(n_negatives - 1, 1) / n_negatives
    return auc, float(np.sqrt(spread))


def _class_strength(scores: Floats, counts: Floats) -> Strength:
    """Strength of scores (cell, class) where cells hold counts (cell, class) of rows."""
    totals = counts.sum(axis=1)
    # The two classes of a binary target mirror each other.
    judged = [1] if counts.shape[1] == 2 else list(range(counts.shape[1]))
    results = [_auc(scores[:, k], counts[:, k], totals - counts[:, k]) for k in judged]
    lows = np.array([auc - Z * error for auc, error in results])
    # Errors of the classes go together, so their mean is an upper bound for the error of the mean.
    return Strength(float(np.mean([auc for auc, _ in results])), float(lows.mean()), lows)


def _out_of_fold_rates(codes: Codes, target: Target) -> tuple[Floats, Floats]:
    """Rate of each class per fold and code, learned in the other folds, and the rows of each class there."""
    n_codes, n_classes, n_folds = int(codes.max()) + 1, len(target.labels), int(target.folds.max()) + 1
    cells = (target.folds * n_codes + codes) * n_classes + target.codes
    counted = np.bincount(cells, minlength=n_folds * n_codes * n_classes).astype(np.float64)
    counts = counted.reshape(n_folds, n_codes, n_classes)
    others = counts.sum(axis=0) - counts
    overall = others.sum(axis=1, keepdims=True)
    overall /= np.maximum(overall.sum(axis=2, keepdims=True), 1)
    rates = (others + _PRIOR_ROWS * overall) / (others.sum(axis=2, keepdims=True) + _PRIOR_ROWS)
    held = counts.any(axis=2)
    return rates[held], counts[held]


def strength_of_predictions(predictions: Floats, target: Target) -> Strength:
    """Strength of out-of-fold predictions.

    Args:
        predictions: One number per row of a regression; one per row and class otherwise.
        target: The target.

    Returns:
        R² of the ranks, or ROC-AUC, with its lower bound.
    """
    if target.task != "regression":
        return _class_strength(predictions, np.eye(len(target.labels))[target.codes])
    errors = (target.values - predictions) ** 2
    spread = (target.values - target.values.mean()) ** 2
    if not spread.any():
        return Strength(0.0, 0.0, np.empty(0))
    unexplained = errors.sum() / spread.sum()
    # Standard error of a ratio of means, by linearisation.
    residuals = errors - unexplained * spread
    error = residuals.std() / (spread.mean() * np.sqrt(len(errors)))
    return Strength(float(1 - unexplained), float(1 - unexplained - Z * error), np.empty(0))


def strength_of_codes(codes: Codes, target: Target) -> Strength:
    """How well bins or levels tell the target, each by the mean of its rows in the other folds.

    Args:
        codes: The bin or level of each row.
        target: The target.

    Returns:
        R² of the ranks, or ROC-AUC, with its lower bound.
    """
    if target.task != "regression":
        return _class_strength(*_out_of_fold_rates(codes, target))
    n_codes, n_folds = int(codes.max()) + 1, int(target.folds.max()) + 1
    cells = target.folds * n_codes + codes
    counts = np.bincount(cells, minlength=n_folds * n_codes).reshape(n_folds, n_codes).astype(np.float64)
    sums = np.bincount(cells, target.values, minlength=n_folds * n_codes).reshape(n_folds, n_codes)
    other_counts, other_sums = counts.sum(axis=0) - counts, sums.sum(axis=0) - sums
    overall = other_sums.sum(axis=1, keepdims=True) / np.maximum(other_counts.sum(axis=1, keepdims=True), 1)
    means = (other_sums + _PRIOR_ROWS * overall) / (other_counts + _PRIOR_ROWS)
    return strength_of_predictions(means[target.folds, codes], target)


def lowest_share(share: float, rows: int) -> float:
    """Lower bound of the 95 % interval of a share.

    Wilson's score interval, Journal of the American Statistical Association 22 (1927).

    Args:
        share: Share that was found.
        rows: Among so many rows, at least one.

    Returns:
        The bound.
    """
    middle = share + Z**2 / (2 * rows)
    half = Z * math.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2))
    return (middle - half) / (1 + Z**2 / rows)


@dataclass(frozen=True)
class Certainty:
    """Rows of which a column says with near certainty that they belong to one class."""

    label: str
    rows: int
    # Share of the class among them, and the lower bound of its 95 % interval.
    rate: float
    low: float
    # Share of the class that they hold.
    share: float


def certain_rows(codes: Codes, target: Target, rate: float) -> Certainty | None:
    """Find the class, other than the most frequent, that a column tells with near certainty for most rows.

    A column filled only for customers who had left tells nothing of the leavers for whom nobody filled it. Its ROC-AUC
    may be modest; where it is filled, it gives the target away all the same.

    Args:
        codes: The bin or level of each row.
        target: A target of classes.
        rate: Rate of the class in the other folds from which on a bin or level counts as certain.

    Returns:
        The class of which the certain rows hold the largest share; None where there are none.
    """
    rates, counts = _out_of_fold_rates(codes, target)
    # To rates of the whole table, where rare classes are as rare as they are.
    rates = rates * target.weights / (rates * target.weights).sum(axis=1, keepdims=True)
    found: list[Certainty] = []
    for position, label in enumerate(target.labels):
        chosen = counts[rates[:, position] >= rate].sum(axis=0)
        if position == target.most_frequent or not chosen[position]:
            continue
        weighted = chosen * target.weights
        share = weighted[position] / weighted.sum()
        rows = int(chosen.sum())
        held = chosen[position] / target.class_rows[position]
        found.append(Certainty(label, rows, float(share), lowest_share(float(share), rows), float(held)))
    return max(found, key=lambda certainty: certainty.share, default=None)
