"""Out-of-fold association of a column with the target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from churn_kedro.customers.declaration import Column, CustomerDeclaration
from churn_kedro.customers.near_duplicates import Codes, Floats, has_numbers, number_values
from churn_kedro.customers.tasks import Task

Z = 1.959964
_FOLDS = 5
_BINS = 64
_ROWS_PER_BIN = 10
# Weight of the overall rate in a bin's rate, in rows: shrinks the rates of rare levels.
_PRIOR_ROWS = 1.0


@dataclass(frozen=True)
class Target:
    """The target of the checked rows, and their folds."""

    task: Task
    # Position among the classes that occur; for a regression, ranks scaled to 0 to 1.
    values: Floats
    labels: tuple[str, ...]
    # Sampling weight of a row of each class: rare classes are sampled more densely.
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
        """Select rows.

        Args:
            rows: Positions of the rows.

        Returns:
            The target of these rows.
        """
        return Target(self.task, self.values[rows], self.labels, self.weights, self.folds[rows])


@dataclass(frozen=True)
class Strength:
    """Strength of an association with the target."""

    value: float
    low: float
    # Lower bound for each class against the others; empty for a regression.
    class_lows: Floats


def bin_codes(values: Floats, bins: int = _BINS) -> Codes:
    """Discretise numbers into bins of about equal count; few distinct numbers get a bin each.

    Args:
        values: Numbers; NaN has a bin of its own.
        bins: Maximum number of bins.

    Returns:
        The bin of each number.
    """
    codes = np.zeros(len(values), dtype=np.int64)
    known = ~np.isnan(values)
    if not known.any():
        return codes
    bins = max(2, min(bins, int(known.sum()) // _ROWS_PER_BIN))
    distinct = np.unique(values[known])
    if len(distinct) <= bins:
        codes[known] = np.searchsorted(distinct, values[known]) + 1
    else:
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, bins + 1)[1:-1]))
        codes[known] = np.searchsorted(edges, values[known], side="right") + 1
    return codes


def level_codes(column: pd.Series) -> Codes:
    """Convert levels to codes; missing is a level, and all levels that occur once share a code.

    Args:
        column: Levels.

    Returns:
        The level of each row.
    """
    codes, _ = pd.factorize(column)
    # A level that occurs once has no rate in other folds; thousands of separate codes would only cost time.
    codes = codes.astype(np.int64) + 1
    once = np.bincount(codes) == 1
    codes[once[codes]] = len(once)
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def feature_codes(column: pd.Series, declared: Column) -> Codes:
    """Convert a feature to codes of bins or levels.

    Args:
        column: Its values.
        declared: Its declaration.

    Returns:
        The bin or level of each row.
    """
    return bin_codes(number_values(column)) if has_numbers(declared) else level_codes(column)


def entity_of(customers: pd.DataFrame, declaration: CustomerDeclaration) -> pd.Series | None:
    """Find the column whose equal values must be in one fold.

    Args:
        customers: Rows of the customer table.
        declaration: The table's declaration.

    Returns:
        The group, or else the identifier with the most repetitions; None where no value repeats.
    """
    names = [declaration.group] if declaration.group is not None else declaration.id_names
    entities = [customers[name] for name in names if customers[name].duplicated().any()]
    return min(entities, key=lambda entity: int(entity.nunique()), default=None)


def assign_folds(values: Floats, entity: pd.Series | None, random: np.random.Generator, folds: int = _FOLDS) -> Codes:
    """Assign rows to random folds, stratified by the target.

    Args:
        values: The target.
        entity: Column whose equal values are kept in one fold, if any; the folds are then not stratified.
        random: Random number generator.
        folds: Number of folds.

    Returns:
        The fold of each row.
    """
    if entity is not None:
        codes, known = pd.factorize(entity)
        # Each row without a value is a group of its own.
        missing = codes < 0
        codes[missing] = len(known) + np.arange(int(missing.sum()))
        return (random.permutation(len(known) + int(missing.sum())) % folds)[codes].astype(np.int64)
    shuffled = random.permutation(len(values))
    order = shuffled[np.argsort(values[shuffled], kind="stable")]
    assigned = np.empty(len(values), dtype=np.int64)
    assigned[order] = np.arange(len(values)) % folds
    return assigned


def read_target(
    customers: pd.DataFrame, declaration: CustomerDeclaration, weights: Floats | None, random: np.random.Generator
) -> Target:
    """Extract the target of a table and assign folds.

    Args:
        customers: Checked rows.
        declaration: The table's declaration.
        weights: Sampling weight of a row of each declared class; None: 1.
        random: Random number generator.

    Returns:
        The target.
    """
    column = customers[declaration.target]
    entity = entity_of(customers, declaration)
    if declaration.task == "regression":
        # Ranks, since a few extreme values would dominate R² and its interval.
        values = column.rank().to_numpy(dtype=np.float64) / max(len(column), 1)
        return Target("regression", values, (), np.ones(1), assign_folds(values, entity, random))
    classes, codes = np.unique(column.to_numpy(dtype=np.int64), return_inverse=True)
    values = codes.astype(np.float64)
    labels = tuple(str(declaration.classes[code]) for code in classes)
    class_weights = np.ones(len(classes)) if weights is None else weights[classes]
    return Target(declaration.task, values, labels, class_weights, assign_folds(values, entity, random))


def _auc(scores: Floats, positives: Floats, negatives: Floats) -> tuple[float, float]:
    """ROC-AUC and its standard error from the positives and negatives at each score.

    The variance is that of DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988).
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
    """Strength of scores, shape (n_cells, n_classes), for counts of rows of the same shape."""
    totals = counts.sum(axis=1)
    # The two classes of a binary target have the same ROC-AUC.
    measured = [1] if counts.shape[1] == 2 else list(range(counts.shape[1]))
    results = [_auc(scores[:, k], counts[:, k], totals - counts[:, k]) for k in measured]
    lows = np.array([auc - Z * error for auc, error in results])
    # The mean of the classes' standard errors is an upper bound for the standard error of the mean.
    return Strength(float(np.mean([auc for auc, _ in results])), float(lows.mean()), lows)


def _out_of_fold_rates(codes: Codes, target: Target) -> tuple[Floats, Floats]:
    """Rate of each class per fold and code, estimated on the other folds, and the rows of each class there."""
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
    """Compute the strength of out-of-fold predictions.

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
    """Compute the strength of bins or levels, each predicted by the mean of its rows in the other folds.

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
    """Compute the lower bound of the 95 % interval of a share.

    It is Wilson's score interval, Journal of the American Statistical Association 22 (1927).

    Args:
        share: Observed share.
        rows: Number of rows, at least one.

    Returns:
        The bound.

    Examples:
        >>> round(lowest_share(1.0, 10), 3), round(lowest_share(1.0, 1000), 3)
        (0.722, 0.996)
    """
    middle = share + Z**2 / (2 * rows)
    half = Z * math.sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2))
    return (middle - half) / (1 + Z**2 / rows)


@dataclass(frozen=True)
class Certainty:
    """Rows for which a column predicts one class with near certainty."""

    label: str
    rows: int
    # Share of the class among these rows, and the lower bound of its 95 % interval.
    rate: float
    low: float
    # Share of the class that is among these rows.
    share: float


def certain_rows(codes: Codes, target: Target, rate: float) -> Certainty | None:
    """Find the class, other than the most frequent, that a column predicts with near certainty for most rows.

    A column that is filled for some of the leavers only may have a modest ROC-AUC, but leaks the target where it is
    filled.

    Args:
        codes: The bin or level of each row.
        target: A target of classes.
        rate: Minimum rate of the class in the other folds for a bin or level to be near certain.

    Returns:
        The class with the largest share among its near certain rows; None where there are none.
    """
    rates, counts = _out_of_fold_rates(codes, target)
    # Weighted, since rare classes are sampled more densely.
    rates = rates * target.weights / (rates * target.weights).sum(axis=1, keepdims=True)
    certainties: list[Certainty] = []
    for position, label in enumerate(target.labels):
        chosen = counts[rates[:, position] >= rate].sum(axis=0)
        if position == target.most_frequent or not chosen[position]:
            continue
        weighted = chosen * target.weights
        share = weighted[position] / weighted.sum()
        rows = int(chosen.sum())
        held = chosen[position] / target.class_rows[position]
        certainties.append(Certainty(label, rows, float(share), lowest_share(float(share), rows), float(held)))
    return max(certainties, key=lambda certainty: certainty.share, default=None)
