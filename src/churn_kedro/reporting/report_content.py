"""Sentences and table rows about an evaluation, shared by report and model card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from churn_kedro.campaigns import Alternative, CampaignReport, Economics, ValueColumn
from churn_kedro.customers import DisplayNames, LeakageReport, Task
from churn_kedro.evaluation import (
    METRICS,
    Estimate,
    ExplanationSummary,
    FairnessReport,
    ModelComparison,
    ProtectedColumn,
    RateGap,
    Slice,
    SliceReport,
    headlines,
)
from churn_kedro.reporting.evaluation_results import EvaluationResults
from churn_kedro.reporting.wording import name_group, write_interval, write_money, write_number

Tone = Literal["good", "warning", "bad", ""]
DifferenceOutcome = Literal["better", "worse", "unclear"]

# Smaller test sets and classes are mentioned among the limits.
_FEW_ROWS, _FEW_OF_A_CLASS = 500, 50
_MOST_NAMED = 3
# Metrics that a page shows; the others are folded below them.
_MAIN_METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("roc_auc", "precision", "recall", "lift_10", "ece"),
    "multiclass": ("accuracy", "balanced_accuracy", "roc_auc", "log_loss", "ece"),
    "regression": ("r2", "mae", "median_ae", "rmse", "bias"),
}


@dataclass(frozen=True)
class Tile:
    """A headline number.

    Attributes:
        value: Number as text.
        label: Meaning.
        tone: Rating, if there is one.
    """

    value: str
    label: str
    tone: Tone = ""


@dataclass(frozen=True)
class MetricRow:
    """A row of the table of metrics."""

    name: str
    title: str
    value: str
    interval: str
    direction: str
    meaning: str


@dataclass(frozen=True)
class StepRow:
    """A row of the table of contacts: so many contacts find so many leavers, at some cost and return."""

    contacted: str
    found: str
    cost: str
    returns: str
    profit: str
    by_model: bool


@dataclass(frozen=True)
class DifferenceRow:
    """A row of the comparison with the baseline."""

    title: str
    candidate: str
    baseline: str
    difference: str
    outcome: DifferenceOutcome


def _signed(value: float) -> str:
    text = write_number(value)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def _money(estimate: Estimate, currency: str | None = None) -> str:
    return f"{write_money(estimate.value, currency)} ({write_money(estimate.low)} to {write_money(estimate.high)})"


def _whole(share: float) -> str:
    return f"{100 * share:.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def metric_title(name: str) -> str:
    """Return the title of a metric.

    Args:
        name: Name of the metric.

    Returns:
        The title.
    """
    return METRICS[name].title if name in METRICS else name.replace("_", " ")


def list_metrics(results: EvaluationResults) -> list[MetricRow]:
    """List all metrics with interval and explanation.

    Args:
        results: Results of the evaluation.

    Returns:
        Rows in the order of the evaluation.
    """
    evaluation = results.evaluation
    rows = []
    for name, estimate in (evaluation.metrics | evaluation.extended).items():
        metric = METRICS[name]
        direction = f"{metric.better} is better" if metric.ordered else "best at 0"
        meaning = metric.explain(evaluation.task)
        value, interval = write_number(estimate.value), write_interval(estimate)
        rows.append(MetricRow(name, metric.title, value, interval, direction, meaning))
    return rows


def main_metrics(results: EvaluationResults) -> list[MetricRow]:
    """List the five metrics that matter most.

    Args:
        results: Results of the evaluation.

    Returns:
        Rows in order of importance.
    """
    rows = {row.name: row for row in list_metrics(results)}
    return [rows[name] for name in _MAIN_METRICS[results.evaluation.task] if name in rows]


def list_steps(campaign: CampaignReport) -> list[StepRow]:
    """List what contacting a growing number of customers finds, costs and brings.

    Args:
        campaign: Profit of the campaign.

    Returns:
        Rows by increasing number of contacts.
    """
    return [
        StepRow(
            f"{step.contacted:,} ({_whole(step.contacted / campaign.rows)} %)",
            f"{step.found:,} ({_whole(step.found / max(campaign.leavers, 1))} %)",
            write_money(step.spending),
            write_money(step.returns),
            write_money(step.profit),
            step.by_model,
        )
        for step in campaign.steps
    ]


def describe_difference(name: str, difference: Estimate) -> DifferenceOutcome:
    """Classify a paired difference as better, worse or unclear.

    Args:
        name: Name of the metric.
        difference: Paired difference with its interval, model minus baseline.

    Returns:
        ``unclear`` if the interval contains 0, or if the metric has no direction of improvement.
    """
    if not METRICS[name].ordered or difference.low <= 0 <= difference.high:
        return "unclear"
    return "better" if (difference.high < 0) == (METRICS[name].lower_is_better) else "worse"


def list_differences(results: EvaluationResults) -> list[DifferenceRow]:
    """List the paired differences from the baseline.

    Args:
        results: Results of the evaluation.

    Returns:
        One row per metric; empty without a comparison.
    """
    comparison = results.assessment.comparison
    if comparison is None:
        return []
    rows = []
    for name, difference in comparison.differences.items():
        candidate, baseline = comparison.values[name]
        text = f"{_signed(difference.value)} ({write_interval(difference)})"
        outcome = describe_difference(name, difference)
        rows.append(DifferenceRow(metric_title(name), write_number(candidate), write_number(baseline), text, outcome))
    return rows


def best_alternative(campaign: CampaignReport) -> Alternative | None:
    """Return the most profitable feasible policy without a model.

    Args:
        campaign: Profit of the campaign.

    Returns:
        The policy; perfect foresight is excluded.
    """
    real = [one for one in campaign.alternatives if one.policy != "perfect" and one.affordable]
    return max(real, key=lambda one: one.profit_per_customer.value, default=None)


def contacted_share(results: EvaluationResults) -> float | None:
    """Return the share of the test customers that the model flags.

    Args:
        results: Results of the evaluation.

    Returns:
        The share; None unless the task is binary.
    """
    evaluation = results.evaluation
    if evaluation.task != "binary":
        return None
    if results.assessment.campaign is not None:
        return results.assessment.campaign.chosen.contacted_share
    precision, recall = evaluation.metrics["precision"].value, evaluation.metrics["recall"].value
    return recall * _leavers(results) / (precision * evaluation.test_rows) if precision > 0 else 0.0


def _leavers(results: EvaluationResults) -> int:
    """Return the number of test customers who left."""
    label = str(results.declaration.classes[1])
    return results.evaluation.test_classes.get(label, 0)


def list_tiles(results: EvaluationResults) -> list[Tile]:
    """List the headline numbers.

    Args:
        results: Results of the evaluation.

    Returns:
        Tiles in order of importance.
    """
    evaluation, task = results.evaluation, results.evaluation.task
    tiles: list[Tile] = []
    if results.assessment.campaign is not None:
        tiles.append(_profit_tile(results.assessment.campaign))
    share = contacted_share(results)
    if share is not None and evaluation.threshold is not None:
        tiles.append(Tile(_percent(share), f"of the customers contacted, at threshold {evaluation.threshold:.3f}"))
    for name, title in headlines(task).items():
        if task == "binary" and name == "pr_auc":
            continue
        estimate = evaluation.metrics[name]
        at_best = "; 0.5 is chance, 1 is perfect" if name == "roc_auc" else ""
        tiles.append(Tile(write_number(estimate.value), f"{title} ({write_interval(estimate)}){at_best}"))
    if "ece" in evaluation.metrics:
        estimate = evaluation.metrics["ece"]
        low, high = 100 * estimate.low, 100 * estimate.high
        label = f"mean error of the probabilities ({low:.1f} to {high:.1f} percentage points)"
        tiles.append(Tile(f"{100 * estimate.value:.1f} points", label))
    elif "bias" in evaluation.metrics:
        estimate = evaluation.metrics["bias"]
        tone: Tone = "" if estimate.low <= 0 <= estimate.high else "warning"
        label = f"mean of predicted minus actual ({write_interval(estimate)})"
        tiles.append(Tile(_signed(estimate.value), label, tone))
    if results.assessment.comparison is not None:
        tiles.append(_comparison_tile(results.assessment.comparison, task))
    if not results.assessment.slices.tested:
        return tiles
    worse, odd = results.assessment.slices.failing, results.assessment.slices.miscalibrated
    affected = {one.name for one in [*worse, *odd]}
    tested = _count(results.assessment.slices.tested, "group")
    label = f"of {tested} tested: model worse ({len(worse)}) or miscalibrated ({len(odd)})"
    tiles.append(Tile(str(len(affected)), label, "warning" if affected else "good"))
    return tiles


def _profit_tile(campaign: CampaignReport) -> Tile:
    profit, alternative = campaign.chosen.profit_per_customer, best_alternative(campaign)
    value = write_money(profit.value, campaign.economics.currency)
    label = f"expected profit per customer ({write_money(profit.low)} to {write_money(profit.high)})"
    if alternative is None:
        return Tile(value, label)
    advantage = alternative.model_advantage
    tone: Tone = "good" if advantage.low > 0 else "bad" if advantage.high < 0 else "warning"
    label += f"; {alternative.title.lower()}: {write_money(alternative.profit_per_customer.value)}"
    return Tile(value, label, tone)


def _comparison_tile(comparison: ModelComparison, task: Task) -> Tile:
    name = next((name for name in headlines(task) if name in comparison.differences), None)
    if name is None:
        return Tile("–", f"against {comparison.baseline}: not comparable")  # noqa: RUF001
    difference = comparison.differences[name]
    outcome = describe_difference(name, difference)
    tones: dict[DifferenceOutcome, Tone] = {"better": "good", "worse": "bad", "unclear": ""}
    clear = "" if outcome != "unclear" else "; no clear difference"
    label = f"{metric_title(name)} against {comparison.baseline}: {write_interval(difference)}{clear}"
    return Tile(_signed(difference.value), label, tones[outcome])


def summarise(results: EvaluationResults) -> list[str]:
    """Summarise the most important results in a few sentences.

    Args:
        results: Results of the evaluation.

    Returns:
        Sentences.
    """
    names = results.names
    sentences = [*_describe_allowed_leaks(results.assessment.leakage, names)]
    if results.assessment.campaign is not None:
        sentences += [*_summarise_contacts(results.assessment.campaign), _summarise_profit(results.assessment.campaign)]
    sentences.append(_describe_test(results))
    sentences += _describe_near_duplicates(results.assessment.leakage)
    match results.evaluation.task:
        case "binary":
            sentences += _summarise_decisions(results)
        case "multiclass":
            metrics = results.evaluation.metrics
            right = metrics["accuracy"]
            sentences.append(
                f"Of 100 customers, it names the right class for {_whole(right.value)} "
                f"({_whole(right.low)} to {_whole(right.high)}); with equal weight of the classes, for "
                f"{_whole(metrics['balanced_accuracy'].value)}."
            )
        case "regression":
            metrics = results.evaluation.metrics
            sentences.append(
                f"It explains {_percent(metrics['r2'].value)} of the variance of "
                f"“{names.column(results.declaration.target)}”; half "
                f"of its errors are smaller than {write_number(metrics['median_ae'].value)}, their mean is "
                f"{write_number(metrics['mae'].value)}."
            )
    if results.assessment.comparison is not None:
        sentences.append(_summarise_comparison(results.assessment.comparison, results.evaluation.task))
    strengths = results.explanations.strengths[:_MOST_NAMED]
    strongest = [_quoted(names.column(one.column)) for one in strengths if one.mean_absolute > 0]
    sentences.append(
        f"Its predictions depend most on {_join(strongest)}." if strongest else "Its predictions depend on no column."
    )
    sentences.append(_summarise_groups(results.assessment.slices, names))
    if results.assessment.fairness is not None:
        for column in results.assessment.fairness.columns:
            sentences += _summarise_protected(column, names)
    return sentences


def _quoted(name: str) -> str:
    return f"“{name}”"


def _describe_allowed_leaks(leakage: LeakageReport, names: DisplayNames) -> list[str]:
    named = [
        f"{leak.check}{f' of {_quoted(names.column(leak.column))}' if leak.column else ''} ({leak.allowed})"
        for leak in leakage.allowed_leaks
    ]
    if not named:
        return []
    return [
        f"The table has {_count(len(named), 'leak')} that the declaration allows, so all metrics may be too good: "
        f"{_join(named)}."
    ]


def _describe_near_duplicates(leakage: LeakageReport) -> list[str]:
    return [
        f"Not all test customers are new to the model, so metrics may be too good: {finding.evidence}"
        for finding in leakage.findings
        if finding.check == "near_duplicates" and finding.severity != "notice"
    ]


def _describe_test(results: EvaluationResults) -> str:
    evaluation = results.evaluation
    version = f"Version {evaluation.model_version} of {evaluation.model_name}"
    sentence = f"{version} was tested on {evaluation.test_rows:,} customers"
    sentence += (
        " outside its training set"
        if evaluation.training_row_share == 0
        else " (some from its training set, see limits)"
    )
    if evaluation.task == "binary":
        left = _leavers(results)
        sentence += f", of whom {left:,} left ({_percent(left / evaluation.test_rows)})"
    return f"{sentence}."


def _summarise_decisions(results: EvaluationResults) -> list[str]:
    metrics, share = results.evaluation.metrics, contacted_share(results)
    if not share:
        return ["At its threshold it flags no customer."]
    precision, recall = metrics["precision"], metrics["recall"]
    base = _leavers(results) / results.evaluation.test_rows
    return [
        f"Of 100 customers the model flags, {_whole(precision.value)} leave ({_whole(precision.low)} to "
        f"{_whole(precision.high)}); of 100 chosen at random it would be {_whole(base)}.",
        f"It finds {_whole(recall.value)} of 100 leavers ({_whole(recall.low)} to {_whole(recall.high)}) by "
        f"contacting {_percent(share)} of all customers.",
        *(
            [
                f"Customers whose “{results.names.column(results.card.value_column)}” cannot pay for a contact are not "
                "contacted."
            ]
            if results.card.value_column is not None
            else []
        ),
    ]


def _summarise_contacts(campaign: CampaignReport) -> list[str]:
    found = next((step for step in campaign.steps if step.by_model), None)
    if found is None:
        return []
    currency = campaign.economics.currency
    return [
        f"Contacting the {found.contacted:,} of {campaign.rows:,} customers that the model flags finds {found.found:,} "
        f"of {_count(campaign.leavers, 'leaver')}, costs {write_money(found.spending, currency)} and brings "
        f"{write_money(found.returns, currency)}."
    ]


def _summarise_profit(campaign: CampaignReport) -> str:
    currency = campaign.economics.currency
    profit = _money(campaign.chosen.profit_per_customer, currency)
    sentence = f"The expected profit of a campaign with the model is {profit} per customer"
    alternative = best_alternative(campaign)
    if alternative is None:
        return f"{sentence}."
    advantage = alternative.model_advantage
    clear = "" if advantage.low > 0 or advantage.high < 0 else ", which is no clear difference"
    word = "more" if advantage.value >= 0 else "less"
    return (
        f"{sentence}: {write_money(abs(advantage.value), currency)} {word} than the best feasible policy without a "
        f"model ({alternative.title.lower()}); the interval of the difference is {write_money(advantage.low)} to "
        f"{write_money(advantage.high)}{clear}."
    )


def _summarise_comparison(comparison: ModelComparison, task: Task) -> str:
    outcomes = {name: describe_difference(name, found) for name, found in comparison.differences.items()}
    by_outcome = {
        outcome: [metric_title(name) for name in outcomes if outcomes[name] == outcome]
        for outcome in ("better", "worse")
    }
    name = next((name for name in headlines(task) if name in outcomes), None)
    begin = f"Compared with {comparison.baseline} on the same {comparison.rows:,} customers, it is"
    if name is None:
        return f"{begin} better in {len(by_outcome['better'])} and worse in {len(by_outcome['worse'])} metrics."
    main = {"better": "better", "worse": "worse", "unclear": "not clearly different"}[outcomes[name]]
    difference = comparison.differences[name]
    counted = (
        f"of all {len(outcomes)} metrics, it is clearly better in {len(by_outcome['better']) or 'none'} and clearly "
        "worse "
        f"in {len(by_outcome['worse']) or 'none'}"
    )
    size = f"{_signed(difference.value)}, {write_interval(difference)}"
    return f"{begin} {main} in {metric_title(name)} ({size}); {counted}."


def _named(groups: list[Slice], names: DisplayNames) -> str:
    named = [_quoted(name_group(one, names)) for one in groups[:_MOST_NAMED]]
    more = len(groups) - len(named)
    return _join([*named, *([f"{more} more"] if more else [])])


def _summarise_groups(report: SliceReport, names: DisplayNames) -> str:
    if not report.tested:
        enough = "customers" if report.task == "regression" else "customers of each class"
        return f"No group has enough {enough} to be compared with the whole."
    if not report.failing and not report.miscalibrated:
        harder = (
            f"; {len(report.harder)} of them {'is' if len(report.harder) == 1 else 'are'} harder to rank than "
            "all customers, for any model"
            if report.harder
            else ""
        )
        return f"Of {_count(report.tested, 'group')} of customers tested, the model is not worse on any{harder}."
    parts = []
    if report.failing:
        parts.append(f"clearly worse for {_named(report.failing, names)}")
    if report.miscalibrated:
        parts.append(f"miscalibrated for {_named(report.miscalibrated, names)}")
    return f"It is {' and '.join(parts)}."


def _summarise_protected(column: ProtectedColumn, names: DisplayNames) -> list[str]:
    gap = column.selection_rate
    if gap is None:
        return []
    return [
        f"Between the groups of “{names.column(column.column)}”, the share that is contacted differs by "
        f"{100 * gap.difference.value:.1f} percentage points ({100 * gap.difference.low:.1f} to "
        f"{100 * gap.difference.high:.1f}): least for {names.level(column.column, gap.lowest)}, "
        f"most for {names.level(column.column, gap.highest)}."
    ]


def list_limits(results: EvaluationResults) -> list[str]:
    """List the limits of the evaluation and the weaknesses of the model.

    Args:
        results: Results of the evaluation.

    Returns:
        Sentences.
    """
    names, slices = results.names, results.assessment.slices
    limits = [
        *_describe_allowed_leaks(results.assessment.leakage, names),
        *_describe_near_duplicates(results.assessment.leakage),
        *_limits_of_the_test(results),
        *(_describe_worse(group, slices, names) for group in slices.failing),
        *_describe_harder(slices, names),
        *(_describe_miscalibrated(group, results.evaluation.task, names) for group in slices.miscalibrated),
    ]
    untested = [group for group in slices.slices if group.p_value is None]
    if untested:
        limits.append(f"Too small for a test: {_named(untested, results.names)}.")
    if results.assessment.campaign is not None:
        limits += _limits_of_the_campaign(results.assessment.campaign)
    if results.assessment.fairness is not None:
        limits += _limits_of_fairness(results.assessment.fairness, names)
    if results.assessment.comparison is not None and results.assessment.comparison.note:
        limits.append(_sentence(results.assessment.comparison.note))
    if not results.explanations.exact:
        limits.append(
            "SHAP values are estimated by sampling, for "
            f"{_count(results.explanations.explained_customers, 'customer')}; small ones are noise."
        )
    if results.card.git_dirty:
        limits.append("The training code of the version had uncommitted changes.")
    if results.evaluation.task == "binary":
        limits.append("The model predicts who is likely to leave, not who would stay after a contact.")
    return [*limits, "Explanations show on which columns the model depends, not what causes the outcome."]


def _limits_of_fairness(report: FairnessReport, names: DisplayNames) -> list[str]:
    used = [_quoted(names.column(column.column)) for column in report.columns if column.used_by_model]
    limits = [f"Protected columns are inputs of the model: {_join(used)}."] if used else []
    return limits + [
        f"Groups of “{names.column(column.column)}” with too few customers for a comparison: "
        f"{_join([names.level(column.column, group) for group in column.left_out])}."
        for column in report.columns
        if column.left_out
    ]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _limits_of_the_test(results: EvaluationResults) -> list[str]:
    evaluation, card = results.evaluation, results.card
    limits = []
    if evaluation.training_row_share > 0:
        limits.append(
            f"{_percent(evaluation.training_row_share)} of the test customers are training rows: all metrics are "
            "optimistic."
        )
    if card.train_digest and card.split_train_digest and card.train_digest != card.split_train_digest:
        limits.append(
            "The version was trained on another split than that of the test table; some test customers may be training "
            "rows."
        )
    if evaluation.test_rows < _FEW_ROWS:
        limits.append(f"Only {evaluation.test_rows:,} test customers: the intervals are wide, and groups are small.")
    rare = {label: count for label, count in evaluation.test_classes.items() if count < _FEW_OF_A_CLASS}
    if rare:
        named = _join([f"{results.names.outcome(label)} ({count:,})" for label, count in list(rare.items())[:6]])
        limits.append(f"Few test customers of some classes, so results on these are uncertain: {named}.")
    if card.split_method is not None and card.split_method != "time":
        by = "by chance" if card.split_method in ("random", "copies") else f"by {card.split_method}"
        limits.append(
            f"The test customers were selected {by}, not by time: performance on later customers is not tested."
        )
    return limits


def _describe_harder(report: SliceReport, names: DisplayNames) -> list[str]:
    if not report.harder:
        return []
    return [
        f"Some groups are harder to rank, and {metric_title(report.metric)} is lower on them for that reason only: "
        f"{_named(report.harder, names)}."
    ]


def _describe_worse(group: Slice, report: SliceReport, names: DisplayNames) -> str:
    sentence = f"Worse for “{name_group(group, names)}” ({group.rows:,} customers)"
    if group.metric is not None and group.whole is not None:
        found, whole = write_number(group.metric.value), write_number(group.whole)
        sentence += f": {metric_title(report.metric)} {found} against {whole}"
    return f"{sentence}. {_sentence(group.note)}" if group.note else f"{sentence}."


def _describe_miscalibrated(group: Slice, task: Task, names: DisplayNames) -> str:
    name = _quoted(name_group(group, names))
    if group.calibration is None:
        return f"Miscalibrated: {name}."
    difference = group.calibration.difference
    way = "low" if difference.value > 0 else "high"
    if task == "regression":
        size = f"{write_number(abs(difference.value))} more than elsewhere"
    else:
        size = f"{100 * abs(difference.value):.1f} percentage points"
    return f"Predictions are too {way} for {name} ({group.rows:,} customers), by {size}."


def _limits_of_the_campaign(campaign: CampaignReport) -> list[str]:
    limits = ["The expected profit depends on the assumed costs, value and save probability."]
    if campaign.chosen.within_capacity is False:
        limits.append("At its threshold, the model would contact more customers than the capacity allows.")
    if campaign.chosen.within_budget is False:
        limits.append("At its threshold, the campaign would spend more than the budget.")
    if campaign.chosen.note:
        limits.append(_sentence(campaign.chosen.note))
    if campaign.best.profit_per_customer > campaign.chosen.profit_per_customer.value:
        best = write_money(campaign.best.profit_per_customer, campaign.economics.currency)
        limits.append(
            f"The best threshold on these customers ({campaign.best.threshold:.3f}, profit {best} per customer) was "
            "chosen on them and is optimistic."
        )
    return limits


def describe_economics(economics: Economics, names: DisplayNames) -> list[str]:
    """Describe the assumed costs and value of a campaign.

    Args:
        economics: Costs and value.
        names: Names of the columns.

    Returns:
        Sentences.
    """

    def write(value: float) -> str:
        return f"{value:,g}" if economics.currency is None else f"{value:,g} {economics.currency}"

    value = (
        f"“{names.column(economics.value.column)}” times {write(economics.value.factor)}"
        if isinstance(economics.value, ValueColumn)
        else write(economics.value)
    )
    sentences = [
        f"A contact costs {write(economics.contact_cost)}, an offer that is taken {write(economics.offer_cost)}; a "
        f"customer who would leave takes it and stays with probability {economics.save_probability:g}, and is then "
        f"worth {value}; one who would stay anyway takes it, too.",
    ]
    if economics.capacity is not None:
        sentences.append(f"At most {_percent(economics.capacity)} of the customers can be contacted.")
    if economics.budget is not None:
        sentences.append(f"At most {write(economics.budget)} per customer of the table may be spent.")
    return sentences


def describe_explanations(summary: ExplanationSummary, task: Task, names: DisplayNames) -> list[str]:
    """Describe the method of the explanations, and interactions.

    Args:
        summary: Summary of the explanations.
        task: What is predicted.
        names: Names of the columns.

    Returns:
        Sentences.
    """
    how = "computed exactly" if summary.exact else "estimated by sampling"
    sentences = [
        f"SHAP values decompose {summary.output} by column; they were {how} for "
        f"{summary.explained_customers:,} of {summary.total_customers:,} test customers."
        + (
            ""
            if task == "regression"
            else " The examples decompose the probability itself, in percentage points, estimated by sampling."
        ),
        f"Permutation importance: increase of the {summary.loss_name} over {write_number(summary.loss)} when a column "
        f"is shuffled, {summary.n_repeats} times among {summary.shuffled_customers:,} customers.",
    ]
    if summary.pairs:
        strongest = summary.pairs[:_MOST_NAMED]
        pairs = [" with ".join(_quoted(names.column(one)) for one in pair.columns) for pair in strongest]
        sentences.append(
            f"Strongest interactions, computed for {_count(summary.interacting_customers, 'customer')}: {_join(pairs)}."
        )
    idle = [_quoted(names.column(one.column)) for one in summary.shuffled if one.rise <= one.spread]
    if idle:
        shown = [*idle[:6], *([f"{len(idle) - 6} more"] if len(idle) > 6 else [])]
        sentences.append(
            f"No significant permutation importance: {_join(shown)}. The model does not need them, or correlated "
            "columns replace them."
        )
    return sentences


def list_protected(results: EvaluationResults, most: int) -> list[dict[str, Any]]:
    """List the protected columns with the rates of their groups and the gaps between them.

    Args:
        results: Results of the evaluation.
        most: Maximum number of groups of a column.

    Returns:
        Title, whether it is an input of the model, groups and gaps of each column.
    """
    if results.assessment.fairness is None:
        return []
    names = results.names
    return [
        {
            "title": names.column(column.column),
            "is_input": column.used_by_model,
            "groups": [
                {
                    "name": names.level(column.column, group.group),
                    "left_out": group.group in column.left_out,
                    "rows": f"{group.rows:,}",
                    "rates": [
                        ("left", _write_rate(group.base_rate)),
                        ("contacted", _write_rate(group.selection_rate)),
                        ("contacted among leavers", _write_rate(group.true_positive_rate)),
                        ("contacted among stayers", _write_rate(group.false_positive_rate)),
                        ("leaving among contacted", _write_rate(group.precision)),
                    ],
                }
                for group in column.groups[:most]
            ],
            "gaps": _describe_gaps(column),
        }
        for column in results.assessment.fairness.columns
    ]


def list_policies(campaign: CampaignReport) -> list[dict[str, str]]:
    """List the profit of the model and of the other policies.

    Args:
        campaign: Profit of the campaign.

    Returns:
        Table cells by name: title, share, profit, advantage, spending and description.
    """
    currency, own = campaign.economics.currency, campaign.chosen
    rows = [
        {
            "title": "By the model",
            "share": _percent(own.contacted_share),
            "profit": _money(own.profit_per_customer, currency),
            "advantage": "",
            "spending": write_money(own.spending_per_customer, currency),
            "description": f"At its threshold of {own.threshold:.3f}: {_count(own.contacted, 'customer')}, "
            f"{write_money(own.total_profit, currency)} in all",
        }
    ]
    rows += [
        {
            "title": one.title if one.affordable else f"{one.title} (beyond the limits)",
            "share": _percent(one.contacted_share),
            "profit": _money(one.profit_per_customer, currency),
            "advantage": _money(one.model_advantage, currency),
            "spending": write_money(one.spending_per_customer, currency),
            "description": one.description,
        }
        for one in campaign.alternatives
    ]
    return rows


def _describe_gaps(column: ProtectedColumn) -> list[tuple[str, str, str]]:
    gaps: list[tuple[str, RateGap | None]] = [
        ("share contacted (demographic parity)", column.selection_rate),
        ("share of the leavers contacted (true positive rate)", column.true_positive_rate),
        ("share of the stayers contacted (false positive rate)", column.false_positive_rate),
    ]
    rows = [(name, gap.difference, gap.ratio) for name, gap in gaps if gap is not None]
    if column.equalized_odds_difference is not None:
        rows.append(("equalized odds", column.equalized_odds_difference, column.equalized_odds_ratio))
    return [
        (name, f"{write_number(difference.value)} ({write_interval(difference)})", _optional(ratio))
        for name, difference, ratio in rows
    ]


def _optional(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{write_number(estimate.value)} ({write_interval(estimate)})"


def _write_rate(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def list_groups(results: EvaluationResults, most: int) -> list[dict[str, Any]]:
    """List the groups of customers with their results.

    Args:
        results: Results of the evaluation.
        most: Maximum number of groups.

    Returns:
        Table cells by name, worst group first: name, rows, marks, metric, p, observed, predicted, gap and note.
    """
    rows = []
    for group in results.assessment.slices.slices[:most]:
        odd = group.calibration is not None and group.calibration.miscalibrated
        kinds = (
            ("worse", group.worse and not group.by_nature),
            ("harder", group.by_nature),
            ("miscalibrated", odd),
            ("found", not group.declared),
        )
        rows.append(
            {
                "name": name_group(group, results.names),
                "rows": f"{group.rows:,}",
                "marks": [mark for mark, holds in kinds if holds],
                "note": group.note,
                **_describe_group(group, results.evaluation.task),
            }
        )
    return rows


def _describe_group(group: Slice, task: Task) -> dict[str, str]:

    def level(value: float) -> str:
        return write_number(value) if task == "regression" else f"{100 * value:.1f} %"

    gap = ""
    if group.calibration is not None:
        difference = group.calibration.difference
        scale = 1.0 if task == "regression" else 100.0
        low, value, high = (scale * number for number in (difference.low, difference.value, difference.high))
        gap = (
            f"{_signed(value)} ({write_number(low)} to {write_number(high)})"
            if task == "regression"
            else f"{value:+.1f} ({low:.1f} to {high:.1f})"
        )
    return {
        "metric": ""
        if group.metric is None
        else f"{write_number(group.metric.value)} ({write_interval(group.metric)})",
        "p": "" if group.adjusted_p_value is None else _p_value(group.adjusted_p_value),
        "observed": level(group.rate),
        "predicted": level(group.mean_prediction),
        "gap": gap,
    }


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def describe_use(results: EvaluationResults) -> tuple[list[str], list[str]]:
    """Describe intended and unintended use of the model.

    Args:
        results: Results of the evaluation.

    Returns:
        Sentences on intended use, and on unintended use.
    """
    declaration = results.declaration
    match declaration.task:
        case "binary":
            does = "predicts a calibrated probability of leaving and a contact decision for each customer"
        case "multiclass":
            does = f"predicts the probability of each of {len(declaration.classes)} classes for each customer"
        case "regression":
            does = f"predicts “{results.names.column(declaration.target)}” for each customer"
    intended = [
        _sentence(results.card.purpose),
        f"The model {does}. Its input is {_count(len(declaration.features), 'column')} of a table with the declaration "
        "of its training.",
    ]
    not_intended = [
        "Customers of another population than the training and test customers, or columns of another meaning.",
        "Causal inference: it does not predict the effect of changing a column of a customer.",
        "Decisions that affect the rights of a person, such as credit, employment or prices, without human review.",
    ]
    return intended, not_intended


def list_lineage(results: EvaluationResults) -> list[tuple[str, str]]:
    """List the origin of the version and its test customers.

    Args:
        results: Results of the evaluation.

    Returns:
        Name and value; unknown values are omitted.
    """
    card, evaluation, declaration = results.card, results.evaluation, results.declaration
    commit = card.git_commit
    if commit is not None and card.git_dirty:
        commit += ", with uncommitted changes"
    classes = ", ".join(f"{results.names.outcome(one)}: {count:,}" for one, count in evaluation.test_classes.items())
    found: dict[str, str | None] = {
        "model": f"{card.model_name} version {card.model_version}",
        "use case": card.use_case,
        "target": f"{declaration.target} ({declaration.task})",
        "algorithm": card.algorithm,
        "calibration": card.calibration,
        "threshold": None if card.threshold is None else f"{card.threshold:.4f}",
        "reason of the threshold": card.threshold_reason,
        "trained at": card.trained_at,
        "training customers": None if card.trained_rows is None else f"{card.trained_rows:,}",
        "test customers": f"{evaluation.test_rows:,}" + (f" ({classes})" if classes else ""),
        "split": card.split_method,
        "digest of the training table": card.train_digest,
        "digest of the test table": card.test_digest,
        "git commit": commit,
        "run": card.run_id,
        "model id": card.model_id,
        "libraries": ", ".join(f"{name} {version}" for name, version in card.libraries.items()) or None,
    }
    return [(name, value) for name, value in found.items() if value is not None]
