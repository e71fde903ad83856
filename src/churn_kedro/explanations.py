"""Explanations of scores in the columns that people know: exact for XGBoost, estimated for any other model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.features import source_columns
from churn_kedro.models import ScoredCustomers, predict, unwrap
from churn_kedro.parameters import Parameters
from churn_kedro.tasks import SCORE_NAMES, Learning, Score

# What an importance is a share of: the gain of the trees' splits, or the loss that shuffling a column adds.
ImportanceMeasure = Literal["gain", "shuffling"]
# How the cells of a column are drawn: along an axis of numbers or of dates, or at a place each.
AxisKind = Literal["number", "date", "level"]

# Customers that an estimate compares with. Each takes part in two orders, so that its noise is small beside the values.
_BACKGROUND = 64
# Answers of the model that the estimates of one figure may take, and what is explained of many customers.
_AFFORDABLE_ANSWERS = 300_000
_FEWEST_EXPLAINED, _MOST_EXPLAINED = 20, 100
# Numbers of one batch of inputs.
_BATCH_CELLS = 4_000_000
# Answers of the model that shuffling all columns may take, and the fewest customers it is done among.
_SHUFFLED_ANSWERS, _FEWEST_SHUFFLED = 400_000, 200
# What exact interactions may take, in leaves times depth times inputs times customers: about 3 s on two cores.
_AFFORDABLE_INTERACTIONS = 100_000_000
_FEWEST_INTERACTING, _MOST_INTERACTING = 30, 1_000
# Numbers that XGBoost may return at once.
_INTERACTION_CELLS = 20_000_000
# A guess of a column's partner compares customers whose own cells are alike, in groups of at least so many.
_LEAST_ALIKE, _MOST_GROUPS = 10, 10
_GRID_POINTS, _MOST_LEVELS = 20, 12
# A loss that rises by less, relative to itself, has not risen.
_ROUNDING = 1e-9
_SEED = 0


class ExplanationParameters(Parameters):
    """How many customers explanations look at."""

    max_explained: int = Field(2000, ge=1, description="Most customers to explain; above, a seeded sample is.")
    max_shuffled: int = Field(2000, ge=2, description="Most customers among whom columns are shuffled.")
    n_shuffles: int = Field(5, ge=2, description="How often each column is shuffled.")
    max_grid_customers: int = Field(500, ge=1, description="Most customers whose cells are varied over a grid.")
    random_state: int = Field(42, ge=0, description="Seed of the samples and of the shuffling.")


class ColumnRise(Parameters):
    """What shuffling one column does to the loss."""

    column: str
    rise: float = Field(description="Mean over the shuffles.")
    spread: float = Field(description="Standard deviation over the shuffles.")


class ColumnStrength(Parameters):
    """How far one column moves the model's answer."""

    column: str
    mean_absolute: float = Field(description="Mean absolute SHAP value, summed over classes where there are several.")


class ColumnPair(Parameters):
    """Two columns whose effects depend on each other."""

    columns: tuple[str, str]
    mean_absolute: float = Field(description="Mean absolute SHAP interaction value, both halves.")


class ExplanationSummary(Parameters):
    """What a model rests on, for texts."""

    loss_name: str = Field(description="Loss that shuffling raises, for people.")
    loss: float = Field(description="Without shuffling, on the customers shuffled.")
    shuffled: list[ColumnRise] = Field(description="Largest rise first.")
    shuffled_customers: int
    n_shuffles: int
    strengths: list[ColumnStrength] = Field(description="Strongest first.")
    output: str = Field(description="What SHAP values add up to, for people.")
    exact: bool = Field(description="Whether SHAP values were computed, or else estimated from samples.")
    explained_customers: int
    pairs: list[ColumnPair] = Field(description="Strongest interactions; none where they were not computed.")
    interacting_customers: int = Field(description="Customers whose interactions were computed.")
    total_customers: int = Field(description="Customers that all samples were taken of.")


@dataclass(frozen=True)
class Explanation:
    """SHAP values of some customers for one output of the model.

    Attributes:
        values: Contribution of each column to the output, before calibration; shape (n, n_columns).
        base: Output for an average training customer; where it is estimated, mean output for the background.
        inputs: What the model saw: numbers, and levels as their position; of a column that became several inputs, the
            one that contributes most, or where that is unknown the one that goes with the contribution; shape
            (n, n_columns).
        columns: Column names.
        output: What the contributions add up to, for people.
        exact: Whether the values were computed, or else estimated from samples. Both add up.
    """

    values: np.ndarray
    base: float
    inputs: np.ndarray
    columns: list[str]
    output: str = "the log-odds of leaving"
    exact: bool = True


@dataclass(frozen=True)
class _Contributions:
    """Contributions to each output.

    Attributes:
        values: Shape (n, n_columns, n_outputs).
        base: Shape (n_outputs,).
        inputs: Shape (n, n_columns).
        columns: Column names.
        exact: Whether they were computed.
    """

    values: np.ndarray
    base: np.ndarray
    inputs: np.ndarray
    columns: list[str]
    exact: bool

    def of(self, output: int, name: str) -> Explanation:
        """The explanation of one output."""
        return Explanation(
            self.values[:, :, output], float(self.base[output]), self.inputs, self.columns, name, self.exact
        )


def explain(
    estimator: Any, customers: pd.DataFrame, output: str | None = None, background: pd.DataFrame | None = None
) -> Explanation:
    """Explain the scores of a model with one output.

    Args:
        estimator: A fitted estimator of task binary or regression.
        customers: Raw customer columns, n rows.
        output: What the contributions add up to, for people; None: what it is for task binary.
        background: Customers that those are compared with, of whom a seeded sample is taken. XGBoost needs none; None:
            the customers themselves.

    Returns:
        One value per customer and column. A row's values and the base sum to XGBoost's log-odds, to another
        classifier's probability, or to the predicted number.

    Raises:
        ValueError: A single customer has nobody to be compared with.
    """
    found = _contributions(estimator, customers, background)
    of_leaving = "the log-odds of leaving" if found.exact else "the probability of leaving"
    return found.of(0, of_leaving if output is None else output)


def explain_classes(
    estimator: Any, customers: pd.DataFrame, classes: Sequence[str], background: pd.DataFrame | None = None
) -> list[Explanation]:
    """Explain the scores of a model with an output for each class.

    Args:
        estimator: A fitted estimator of task multiclass.
        customers: Raw customer columns, n rows.
        classes: Labels in the order of their codes.
        background: As for :func:`explain`.

    Returns:
        An explanation for each class. A row's values and the base sum to XGBoost's logit of the class, of which softmax
        makes the probability, or to another model's probability.

    Raises:
        ValueError: A single customer has nobody to be compared with.
    """
    found = _contributions(estimator, customers, background)
    kind = "logit" if found.exact else "probability"
    return [found.of(code, f"{kind} of {name}") for code, name in enumerate(classes)]


def choose_explained(estimator: Any, customers: pd.DataFrame) -> pd.DataFrame:
    """Take as many customers as can be explained in little time.

    Args:
        estimator: A fitted estimator.
        customers: Raw customer columns.

    Returns:
        All of them for XGBoost; a seeded sample of some dozens for any other model.
    """
    features, model = unwrap(estimator)
    if _has_trees(model):
        return customers
    n_columns = len(set(source_columns(features).values()))
    most = int(np.clip(_AFFORDABLE_ANSWERS // (2 * _BACKGROUND * n_columns), _FEWEST_EXPLAINED, _MOST_EXPLAINED))
    return _sample(customers, most)


def _has_trees(model: Any) -> bool:
    """Whether XGBoost can explain the model by itself."""
    return hasattr(model, "get_booster")


def _sample(customers: pd.DataFrame, most: int, random_state: int = _SEED) -> pd.DataFrame:
    return customers if len(customers) <= most else customers.sample(most, random_state=random_state)


def _contributions(estimator: Any, customers: pd.DataFrame, background: pd.DataFrame | None) -> _Contributions:
    features, model = unwrap(estimator)
    origins = np.array(list(source_columns(features).values()))
    columns = list(dict.fromkeys(origins.tolist()))
    made_of = [np.flatnonzero(origins == column) for column in columns]
    inputs = features.transform(customers)
    if _has_trees(model):
        values, base, shown = _walk_trees(model, inputs, made_of)
        return _Contributions(values, base, inputs[:, shown], columns, exact=True)
    compared = customers if background is None else background
    if len(compared) < 2:
        raise ValueError("a model that is not XGBoost explains a customer by comparison with others: pass background")
    values, base = _estimate(model, inputs, features.transform(_sample(compared, _BACKGROUND)), made_of)
    shown = [_telling(inputs, places, values[:, column]) for column, places in enumerate(made_of)]
    return _Contributions(values, base, inputs[:, shown], columns, exact=False)


def _walk_trees(model: Any, inputs: np.ndarray, made_of: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Contributions, base, and of each column the strongest input.

    TreeSHAP as XGBoost implements it; Lundberg et al., Nature MI 2, 2020. Contributions add up, so that of a column is
    the sum of those of the inputs that were made of it.
    """
    import xgboost as xgb

    matrix = xgb.DMatrix(inputs, feature_types=model.feature_types, enable_categorical=True)
    contributions = model.get_booster().predict(matrix, pred_contribs=True)
    strength = np.abs(contributions).reshape(-1, contributions.shape[-1]).sum(axis=0)
    shown = [int(places[strength[places].argmax()]) for places in made_of]
    by_output = contributions.reshape(len(inputs), -1, contributions.shape[-1])
    values = np.stack([by_output[..., places].sum(axis=-1) for places in made_of], axis=1)
    return values, by_output[0, :, -1], shown


def _answer(model: Any, inputs: np.ndarray) -> np.ndarray:
    """Probability of leaving, of each class, or the number; shape (n, n_outputs)."""
    if not hasattr(model, "predict_proba"):
        return np.asarray(model.predict(inputs), dtype=np.float64).reshape(len(inputs), 1)
    probability = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    return probability[:, 1:] if probability.shape[1] == 2 else probability


def _estimate(
    model: Any, inputs: np.ndarray, background: np.ndarray, made_of: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Contributions and base from sampled orders of the columns.

    In each order, a background customer turns into the explained one column by column, and each column is given the
    change that it makes (Štrumbelj and Kononenko, Knowledge and Information Systems 41, 2014). Each order is used
    backward, too, which takes out much of the noise (Mitchell et al., JMLR 23, 2022). The changes of an order add up,
    so the contributions do. shap's PermutationExplainer does the same, but seeds numpy's global state, and knows no
    columns that became several inputs.

    Probabilities are explained, not log-odds: a forest says 0 or 1 at times, and these have none.
    """
    random = np.random.default_rng(_SEED)
    n, width, n_columns = len(inputs), inputs.shape[1], len(made_of)
    starts, ends = _answer(model, background), _answer(model, inputs)
    orders: list[tuple[int, np.ndarray]] = []
    for place in range(len(background)):
        order = random.permutation(n_columns)
        orders += [(place, order), (place, order[::-1])]
    total = np.zeros((n, n_columns, ends.shape[1]))
    per_batch = max(1, _BATCH_CELLS // max(1, n * n_columns * width))
    for begin in range(0, len(orders), per_batch):
        batch = orders[begin : begin + per_batch]
        between = np.empty((len(batch), n_columns - 1, n, width))
        for position, (place, order) in enumerate(batch):
            mixed = np.tile(background[place], (n, 1))
            for step, column in enumerate(order[:-1]):
                mixed[:, made_of[column]] = inputs[:, made_of[column]]
                between[position, step] = mixed
        answers = np.empty((len(batch), n_columns - 1, n, ends.shape[1]))
        if between.size:
            answers = _answer(model, between.reshape(-1, width)).reshape(answers.shape)
        for (place, order), passed in zip(batch, answers, strict=True):
            path = np.concatenate([np.broadcast_to(starts[place], (1, *ends.shape)), passed, ends[np.newaxis]])
            total[:, order] += np.diff(path, axis=0).swapaxes(0, 1)
    return total / len(orders), starts.mean(axis=0)


def _telling(inputs: np.ndarray, places: np.ndarray, values: np.ndarray) -> int:
    """The input of a column that goes most with the column's contributions."""
    if len(places) == 1:
        return int(places[0])
    table = pd.DataFrame(inputs[:, places])
    with np.errstate(invalid="ignore", divide="ignore"):
        together = sum(
            table.corrwith(pd.Series(values[:, output])).abs().fillna(0) for output in range(values.shape[1])
        )
    return int(places[np.asarray(together).argmax()])


def share_importance(estimator: Any, shuffled: PermutationImportance) -> tuple[pd.Series, ImportanceMeasure]:
    """How much of what a model does rests on each column.

    Args:
        estimator: A fitted estimator.
        shuffled: What shuffling its columns did; XGBoost's own trees tell without it.

    Returns:
        Shares that sum to 1 (all 0 where nothing matters), largest first, by column name; and what they are shares of.
    """
    if _has_trees(unwrap(estimator)[1]):
        return tree_importance(estimator), "gain"
    return shuffled.shares, "shuffling"


def tree_importance(estimator: Any) -> pd.Series:
    """Share of each column in the loss that all splits of XGBoost's trees removed (total gain).

    Args:
        estimator: A fitted estimator whose model is XGBoost's.

    Returns:
        Shares that sum to 1, largest first, by column name; a column never split on has 0.
    """
    features, trees = unwrap(estimator)
    origins = list(source_columns(features).values())
    gains = trees.get_booster().get_score(importance_type="total_gain")
    by_input = pd.Series([gains.get(f"f{position}", 0.0) for position in range(len(origins))], index=origins)
    return _shares(by_input.groupby(level=0, sort=False).sum())


@dataclass(frozen=True)
class PermutationImportance:
    """What shuffling each column does to the loss.

    Attributes:
        loss: Without shuffling.
        score: Which loss.
        rises: Loss after shuffling minus loss, shape (n_columns, n_shuffles), by column name.
        customers: Customers among whom columns were shuffled.
    """

    loss: float
    score: Score
    rises: pd.DataFrame
    customers: int

    @property
    def means(self) -> pd.Series:
        """Mean rise by column name, largest first."""
        return self.rises.mean(axis=1).sort_values(ascending=False, kind="stable")

    @property
    def spreads(self) -> pd.Series:
        """Standard deviation of the rises by column name, as :attr:`means` is ordered."""
        return self.rises.std(axis=1, ddof=0)[self.means.index]

    @property
    def shares(self) -> pd.Series:
        """Share of each column in all rises, largest first; a column whose shuffling raises nothing has 0."""
        means = self.rises.mean(axis=1)
        return _shares(means.where(means > _ROUNDING * self.loss, 0.0))


def permutation_importance(
    estimator: Any, customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: ExplanationParameters
) -> PermutationImportance:
    """How much the loss rises when the cells of one column are shuffled among the customers.

    Breiman, Machine Learning 45, 2001. Columns that say the same share what they are worth: shuffling one leaves the
    model the other.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Customers with their target; of many, or where there are many columns, a seeded sample is taken.
        declaration: The table's declaration.
        parameters: Most customers, number of shuffles and seed.

    Returns:
        Rises of log loss, in nats, or of the root mean squared error.
    """
    task, names, n_shuffles = declaration.task, declaration.feature_names, parameters.n_shuffles
    affordable = max(_FEWEST_SHUFFLED, _SHUFFLED_ANSWERS // (len(names) * n_shuffles))
    chosen = _sample(customers, min(parameters.max_shuffled, affordable), parameters.random_state)
    learning = Learning(task, "rmse" if task == "regression" else "log_loss", n_classes=len(declaration.classes))
    random = np.random.default_rng(parameters.random_state)
    table, target = chosen[names], chosen[declaration.target].to_numpy()
    loss = learning.measure(target, predict(estimator, table, task))
    # All shuffles of a column are scored at once: of an ensemble, a call costs more than the rows.
    copies = pd.concat([table] * n_shuffles, ignore_index=True)
    rises = {}
    for name in names:
        cells = [table[name].iloc[random.permutation(len(table))] for _ in range(n_shuffles)]
        answers = predict(estimator, copies.assign(**{name: pd.concat(cells, ignore_index=True)}), task)
        rises[name] = [learning.measure(target, part) - loss for part in np.split(answers, n_shuffles)]
    return PermutationImportance(loss, learning.score, pd.DataFrame.from_dict(rises, orient="index"), len(chosen))


def _shares(amounts: pd.Series) -> pd.Series:
    total = amounts.sum()
    return (amounts / total if total > 0 else amounts).sort_values(ascending=False, kind="stable")


@dataclass(frozen=True)
class ExplainedCustomers:
    """SHAP values of some customers for every output of the model, beside what the customers' table says.

    Attributes:
        outputs: One explanation for each output: one, or one for each class.
        cells: Raw cell of each explained column; of what is no column of the table, what the model saw; shape
            (n, n_columns).
        axes: How each column's cells are drawn.
        levels: Levels of the columns that have some, as text and in declared order.
        total: Customers that these were taken of.
    """

    outputs: list[Explanation]
    cells: pd.DataFrame
    axes: dict[str, AxisKind]
    levels: dict[str, list[str]]
    total: int

    @property
    def strengths(self) -> pd.Series:
        """Mean absolute SHAP value by column, summed over the outputs, strongest first."""
        return column_strengths(self.outputs)

    def strongest_output(self, column: str) -> Explanation:
        """The output that a column moves most."""
        place = self.outputs[0].columns.index(column)
        return max(self.outputs, key=lambda one: float(np.abs(one.values[:, place]).mean()))


def column_strengths(explanations: Sequence[Explanation]) -> pd.Series:
    """Mean absolute SHAP value of each column.

    Args:
        explanations: One for each output, of the same customers.

    Returns:
        Sums over the outputs by column name, strongest first.
    """
    means = np.sum([np.abs(one.values).mean(axis=0) for one in explanations], axis=0)
    return pd.Series(means, index=explanations[0].columns).sort_values(ascending=False, kind="stable")


def explain_customers(
    estimator: Any, customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: ExplanationParameters
) -> ExplainedCustomers:
    """Explain as many customers as the parameters and the model allow.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Raw customer columns; a seeded sample is taken of many. Where values are estimated, all of them are
            what customers are compared with.
        declaration: The table's declaration.
        parameters: Most customers, and the seed.

    Returns:
        Their explanations and raw cells.
    """
    chosen = choose_explained(estimator, _sample(customers, parameters.max_explained, parameters.random_state))
    outputs = _explain_outputs(estimator, chosen, declaration, customers)
    return _with_cells(outputs, chosen, declaration, len(customers))


def _explain_outputs(
    estimator: Any, customers: pd.DataFrame, declaration: CustomerDeclaration, background: pd.DataFrame
) -> list[Explanation]:
    match declaration.task:
        case "binary":
            return [explain(estimator, customers, background=background)]
        case "multiclass":
            classes = [str(label) for label in declaration.classes]
            return explain_classes(estimator, customers, classes, background=background)
        case "regression":
            return [explain(estimator, customers, f"the predicted {declaration.target}", background)]


def _with_cells(
    outputs: list[Explanation], customers: pd.DataFrame, declaration: CustomerDeclaration, total: int
) -> ExplainedCustomers:
    raw = customers.reset_index(drop=True)
    kinds = column_axes(declaration)
    cells = {
        name: raw[name] if name in kinds else pd.Series(outputs[0].inputs[:, place])
        for place, name in enumerate(outputs[0].columns)
    }
    axes: dict[str, AxisKind] = {name: kinds.get(name, "number") for name in cells}
    texts = {name: cells_as_text(cells[name]) if axis == "level" else cells[name] for name, axis in axes.items()}
    levels = {name: order_levels(texts[name], name, declaration) for name, axis in axes.items() if axis == "level"}
    return ExplainedCustomers(outputs, pd.DataFrame(texts), axes, levels, total)


def column_axes(declaration: CustomerDeclaration) -> dict[str, AxisKind]:
    """How the cells of each feature are drawn.

    Args:
        declaration: The table's declaration.

    Returns:
        Kind of axis by column name; numbers that are names of levels are levels.
    """
    kinds: dict[str, AxisKind] = {"numeric": "number", "date": "date"}
    return {column.name: kinds.get(column.kind or "", "level") for column in declaration.features}


def cells_as_text(cells: pd.Series) -> pd.Series:
    """Write levels as people do: 1 instead of 1.0; what is missing stays missing.

    Args:
        cells: Levels: text or numbers.

    Returns:
        Objects: text or None.
    """
    return pd.Series([_level_text(cell) for cell in cells], index=cells.index, dtype="object")


def _level_text(cell: Any) -> str | None:
    if pd.isna(cell):
        return None
    return f"{cell:g}" if isinstance(cell, (int, float, np.number)) and not isinstance(cell, bool) else str(cell)


def order_levels(texts: pd.Series, column: str, declaration: CustomerDeclaration) -> list[str]:
    """Levels of a column that occur, in the declared order.

    Args:
        texts: Cells as :func:`cells_as_text` writes them.
        column: Name of the column.
        declaration: The table's declaration.

    Returns:
        Declared levels that occur; levels that are not declared follow, the most frequent one first.
    """
    frequent = [str(level) for level in texts.value_counts().index]
    declared = [str(_level_text(level)) for one in declaration.features if one.name == column for level in one.levels]
    return [level for level in declared if level in frequent] + [level for level in frequent if level not in declared]


@dataclass(frozen=True)
class Interactions:
    """SHAP interaction values: how much of a contribution depends on another column.

    Attributes:
        values: Shape (n, n_columns, n_columns, n_outputs). Symmetric; each column's row sums to its contribution.
        columns: Column names.
    """

    values: np.ndarray
    columns: list[str]

    @property
    def strengths(self) -> pd.DataFrame:
        """Mean absolute interaction of each two columns, both halves, summed over outputs; shape (columns, columns).

        The diagonal, what a column does by itself, is 0.
        """
        means = 2 * np.abs(self.values).mean(axis=0).sum(axis=-1)
        np.fill_diagonal(means, 0.0)
        return pd.DataFrame(means, index=self.columns, columns=self.columns)


def explain_interactions(
    estimator: Any, customers: pd.DataFrame, random_state: int = _SEED, budget: int = _AFFORDABLE_INTERACTIONS
) -> Interactions | None:
    """Exact SHAP interaction values of XGBoost for as many customers as can be afforded.

    Lundberg et al., Nature MI 2, 2020. Their cost grows with leaves, depth, inputs and customers; from these, not from
    a clock, follows how many customers are taken, so that the same model gives the same values everywhere.

    Args:
        estimator: A fitted estimator.
        customers: Raw customer columns; a seeded sample is taken.
        random_state: Seed of the sample.
        budget: Leaves times depth times inputs times customers.

    Returns:
        In customer columns; None for any other model than XGBoost, and where too few customers are affordable.
    """
    features, model = unwrap(estimator)
    if not _has_trees(model):
        return None
    origins = np.array(list(source_columns(features).values()))
    columns = list(dict.fromkeys(origins.tolist()))
    trees = model.get_booster().get_dump()
    leaves = sum(tree.count("leaf=") for tree in trees)
    depth = max(len(line) - len(line.lstrip("\t")) for tree in trees for line in tree.splitlines())
    n_classes = int(getattr(model, "n_classes_", 2))
    n_outputs = n_classes if n_classes > 2 else 1
    most = min(
        budget // max(1, leaves * max(1, depth) * len(origins)),
        _INTERACTION_CELLS // (n_outputs * (len(origins) + 1) ** 2),
        _MOST_INTERACTING,
    )
    if most < min(_FEWEST_INTERACTING, len(customers)):
        return None
    import xgboost as xgb

    inputs = features.transform(_sample(customers, most, random_state))
    matrix = xgb.DMatrix(inputs, feature_types=model.feature_types, enable_categorical=True)
    found = model.get_booster().predict(matrix, pred_interactions=True)
    width = len(origins) + 1
    by_output = found.reshape(len(inputs), -1, width, width)[..., :-1, :-1]
    # Of each two columns, all inputs of the one with all inputs of the other.
    belongs = (origins[:, np.newaxis] == np.array(columns)).astype(by_output.dtype)
    return Interactions(np.moveaxis(belongs.T @ by_output @ belongs, 1, -1), columns)


@dataclass(frozen=True)
class Partner:
    """The column that another one acts together with.

    Attributes:
        column: Its name.
        exact: Whether the interaction was computed, or else guessed from the spread of the contributions.
    """

    column: str
    exact: bool


def find_partners(
    explained: ExplainedCustomers, columns: Sequence[str], interactions: Interactions | None
) -> dict[str, Partner]:
    """For each column, find the one that its contributions depend on most.

    Without interaction values it is guessed, as shap does: among customers whose cells in the column are alike, the
    contributions of the column should be alike, too; the partner is the column that goes most with what differs.

    Args:
        explained: Explained customers.
        columns: Columns that need a partner.
        interactions: Exact interaction values, if they could be computed.

    Returns:
        By column name; a column that acts alone has none.
    """
    partners = {}
    for column in columns:
        if interactions is not None and column in interactions.columns:
            strengths = interactions.strengths[column]
        else:
            strengths = _guess_interactions(explained, column)
        if len(strengths) and strengths.max() > _ROUNDING:
            partners[column] = Partner(str(strengths.idxmax()), exact=interactions is not None)
    return partners


def _guess_interactions(explained: ExplainedCustomers, column: str) -> pd.Series:
    """Share of what differs in a column's contributions among customers alike, that goes with each other column."""
    one = explained.strongest_output(column)
    contribution = pd.Series(one.values[:, one.columns.index(column)])
    codes = {name: _codes(explained, name) for name in one.columns}
    own = codes[column]
    if own.nunique() > _MOST_GROUPS:
        n_groups = int(np.clip(len(own) // _LEAST_ALIKE, 1, _MOST_GROUPS))
        own = pd.qcut(own, n_groups, labels=False, duplicates="drop")
    groups = own.fillna(-1)
    rest = contribution - contribution.groupby(groups).transform("mean")
    whole = float((rest**2).sum())
    if whole <= _ROUNDING * float((contribution**2).sum()):
        return pd.Series(dtype=np.float64)
    explained_share = {}
    for name, other in codes.items():
        if name == column:
            continue
        ranks = other.fillna(other.median() if other.notna().any() else 0.0)
        removed = 0.0
        for _, members in rest.groupby(groups):
            cells = ranks[members.index]
            if len(members) >= _LEAST_ALIKE and cells.nunique() > 1 and float(members.std()) > 0:
                removed += float(np.corrcoef(members, cells)[0, 1] ** 2 * (members**2).sum())
        explained_share[name] = removed / whole
    return pd.Series(explained_share)


def _codes(explained: ExplainedCustomers, column: str) -> pd.Series:
    """Ranks of numbers and dates, positions of levels; NaN where missing."""
    cells = explained.cells[column]
    if explained.axes[column] == "level":
        return cells.map({level: place for place, level in enumerate(explained.levels[column])}).astype(np.float64)
    return cells.rank()


@dataclass(frozen=True)
class PartialDependence:
    """What a model says on average when one column is set to the same cell for everyone.

    Attributes:
        column: Name of the column.
        axis: How its cells are drawn.
        grid: Cells, shape (n_points,): numbers, dates, or levels as text.
        mean: Mean answer at each point, shape (n_points, n_outputs).
        low: 10th percentile of the customers' answers, shape (n_points, n_outputs).
        high: 90th percentile of the customers' answers, shape (n_points, n_outputs).
        observed: Cells of the customers themselves, missing ones left out.
        customers: Customers whose cells were varied.
    """

    column: str
    axis: AxisKind
    grid: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    observed: np.ndarray
    customers: int


def partial_dependence(
    estimator: Any,
    customers: pd.DataFrame,
    columns: Sequence[str],
    declaration: CustomerDeclaration,
    parameters: ExplanationParameters,
) -> list[PartialDependence]:
    """Vary one column over a grid of raw cells and leave all others as they are.

    Friedman, Annals of Statistics 29, 2001; percentiles of the individual curves after Goldstein et al., Journal of
    Computational and Graphical Statistics 24, 2015. Where columns go together, some of the customers so made exist
    nowhere.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Raw customer columns; a seeded sample is taken of many.
        columns: Features to vary.
        declaration: The table's declaration.
        parameters: Most customers, and the seed.

    Returns:
        For each column the model's answers: probability of leaving, of each class, or the number. Numbers and dates are
        varied between their 1st and 99th percentile, levels over the twelve most frequent ones.
    """
    chosen = _sample(customers, parameters.max_grid_customers, parameters.random_state)
    table = chosen[declaration.feature_names]
    axes = column_axes(declaration)
    found = []
    for column in columns:
        grid = _grid(customers[column], axes[column], column, declaration)
        if not len(grid):
            continue
        copies = pd.concat([table] * len(grid), ignore_index=True)
        varied = pd.Series(np.repeat(grid.to_numpy(), len(table)), dtype=grid.dtype)
        answers = predict(estimator, copies.assign(**{column: varied}), declaration.task)
        curves = answers.reshape(len(grid), len(table), -1)
        low, high = np.quantile(curves, [0.1, 0.9], axis=1)
        levels = axes[column] == "level"
        found.append(
            PartialDependence(
                column,
                axes[column],
                (cells_as_text(grid) if levels else grid).to_numpy(),
                curves.mean(axis=1),
                low,
                high,
                (cells_as_text(chosen[column]) if levels else chosen[column]).dropna().to_numpy(),
                len(table),
            )
        )
    return found


def _grid(cells: pd.Series, axis: AxisKind, column: str, declaration: CustomerDeclaration) -> pd.Series:
    """Cells to set a column to, of the column's type."""
    known = cells.dropna()
    if axis == "level":
        texts = cells_as_text(known)
        frequent = texts.value_counts().index[:_MOST_LEVELS]
        levels = [level for level in order_levels(texts, column, declaration) if level in frequent]
        first = known.groupby(texts).first()
        return pd.Series([first[level] for level in levels], dtype=known.dtype)
    distinct = known.drop_duplicates().sort_values()
    if len(distinct) <= _GRID_POINTS:
        return distinct.reset_index(drop=True)
    # Cells that occur, so that a column of whole numbers stays one.
    points = known.quantile(np.linspace(0.01, 0.99, _GRID_POINTS), interpolation="nearest")
    return points.drop_duplicates().reset_index(drop=True)


@dataclass(frozen=True)
class ShownCustomer:
    """One customer, and how the model's answer came about.

    Attributes:
        title: Why this one is shown, and what happened.
        name: Identifiers, for people; empty where none are declared.
        explanation: SHAP values of this customer for one output; shape (1, n_columns).
        cells: Raw cell of each column, as text.
        answer: What the model says in the end, as text: the calibrated probability, or the number.
    """

    title: str
    name: str
    explanation: Explanation
    cells: list[str]
    answer: str


def choose_customers_to_show(scores: ScoredCustomers) -> dict[str, int]:
    """Choose the few customers that tell most about a model.

    Args:
        scores: Target and prediction of each customer.

    Returns:
        Position of a customer by why it was chosen. Binary: the likeliest to leave, the one nearest to the decision
        threshold, and of each kind of error the one that the model was surest of. Multiclass: the surest right and the
        surest wrong one. Regression: the largest and the median prediction, and the worst error. A customer that is
        chosen twice is there once, for both reasons.
    """
    target, prediction = scores.target, scores.prediction
    chosen: list[tuple[str, int]] = []

    def choose(reason: str, eligible: np.ndarray, badness: np.ndarray) -> None:
        places = np.flatnonzero(eligible)
        if len(places):
            chosen.append((reason, int(places[badness[places].argmin()])))

    everyone = np.ones(len(target), dtype=bool)
    match scores.task:
        case "binary":
            threshold = 0.5 if scores.threshold is None else scores.threshold
            flagged = prediction >= threshold
            choose("Likeliest to leave", everyone, -prediction)
            choose("At the decision threshold", everyone, np.abs(prediction - threshold))
            choose("Left, though thought safe", (target == 1) & ~flagged, prediction)
            choose("Stayed, though thought lost", (target == 0) & flagged, -prediction)
        case "multiclass":
            right, surest = prediction.argmax(axis=1) == target, prediction.max(axis=1)
            choose("Surest of those that are right", right, -surest)
            choose("Surest of those that are wrong", ~right, -surest)
        case "regression":
            choose("Largest prediction", everyone, -prediction)
            choose("Median prediction", everyone, np.abs(prediction - np.median(prediction)))
            choose("Worst error", everyone, -np.abs(prediction - target))
    reasons: dict[int, list[str]] = {}
    for reason, place in chosen:
        reasons.setdefault(place, []).append(reason)
    return {"; ".join(why): place for place, why in reasons.items()}


def explain_shown(
    estimator: Any, customers: pd.DataFrame, scores: ScoredCustomers, declaration: CustomerDeclaration
) -> list[ShownCustomer]:
    """Explain the customers that tell most.

    Args:
        estimator: A fitted estimator of the declared task.
        customers: Raw customer columns; those that the scores are of, in the same order.
        scores: Target and prediction of each customer.
        declaration: The table's declaration.

    Returns:
        One of :func:`choose_customers_to_show` each; with several classes, explained for the class predicted.
    """
    chosen = choose_customers_to_show(scores)
    places = list(chosen.values())
    rows = customers.iloc[places]
    outputs = _explain_outputs(estimator, rows, declaration, customers)
    explained = _with_cells(outputs, rows, declaration, len(customers))
    shown = []
    for row, (reason, place) in enumerate(chosen.items()):
        code = int(scores.prediction[place].argmax()) if scores.task == "multiclass" else 0
        one = outputs[code]
        alone = Explanation(
            one.values[row : row + 1], one.base, one.inputs[row : row + 1], one.columns, one.output, one.exact
        )
        cells = [write_cell(cell) for cell in explained.cells.iloc[row]]
        name = ", ".join(f"{column} {write_cell(rows[column].iloc[row])}" for column in declaration.id_names)
        happened, answer = _happened(scores, place, code, declaration)
        said = reason if "though thought" in reason else f"{reason}; {happened}"
        shown.append(ShownCustomer(said, name, alone, cells, answer))
    return shown


def _happened(scores: ScoredCustomers, place: int, code: int, declaration: CustomerDeclaration) -> tuple[str, str]:
    target, prediction = scores.target[place], scores.prediction[place]
    match scores.task:
        case "binary":
            return ("left" if target == 1 else "stayed"), f"probability of leaving {prediction:.3f}"
        case "multiclass":
            truth = scores.classes[int(target)]
            return f"is {truth}", f"probability of {scores.classes[code]} {prediction[code]:.3f}"
        case "regression":
            return f"actual {target:,.6g}", f"predicted {declaration.target} {prediction:,.6g}"


def write_cell(cell: Any) -> str:
    """Write a raw cell for people.

    Args:
        cell: Number, date, text or nothing.

    Returns:
        Short text.
    """
    if cell is None or (not isinstance(cell, str) and pd.isna(cell)):
        return "missing"
    if isinstance(cell, pd.Timestamp):
        return f"{cell:%Y-%m-%d}" if cell == cell.normalize() else f"{cell:%Y-%m-%d %H:%M}"
    if isinstance(cell, (int, float, np.number)) and not isinstance(cell, bool):
        return f"{cell:.0f}" if float(cell).is_integer() else f"{cell:.6g}"
    return str(cell)


def summarise_explanations(
    explained: ExplainedCustomers, shuffled: PermutationImportance, interactions: Interactions | None
) -> ExplanationSummary:
    """Gather what a model rests on.

    Args:
        explained: SHAP values.
        shuffled: What shuffling the columns did.
        interactions: Interaction values, if they could be computed.

    Returns:
        The summary; the five strongest pairs.
    """
    first = explained.outputs[0]
    kind = first.output if len(explained.outputs) == 1 else f"the {first.output.split(' of ')[0]} of each class"
    return ExplanationSummary(
        loss_name=SCORE_NAMES[shuffled.score],
        loss=shuffled.loss,
        shuffled=[
            ColumnRise(column=str(name), rise=float(rise), spread=float(spread))
            for (name, rise), spread in zip(shuffled.means.items(), shuffled.spreads, strict=True)
        ],
        shuffled_customers=shuffled.customers,
        n_shuffles=shuffled.rises.shape[1],
        strengths=[
            ColumnStrength(column=str(name), mean_absolute=float(value)) for name, value in explained.strengths.items()
        ],
        output=kind,
        exact=first.exact,
        explained_customers=len(first.values),
        pairs=[] if interactions is None else _strongest_pairs(interactions, 5),
        interacting_customers=0 if interactions is None else len(interactions.values),
        total_customers=explained.total,
    )


def _strongest_pairs(interactions: Interactions, most: int) -> list[ColumnPair]:
    strengths, names = interactions.strengths.to_numpy(), interactions.columns
    pairs = [(float(strengths[a, b]), names[a], names[b]) for a in range(len(names)) for b in range(a)]
    strongest = sorted(pairs, key=lambda pair: -pair[0])[:most]
    return [ColumnPair(columns=(b, a), mean_absolute=value) for value, a, b in strongest if value > 0]
