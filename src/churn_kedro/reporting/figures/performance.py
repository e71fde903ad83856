"""Figures of the metrics of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from churn_kedro.customers import FILE_NAMES, DisplayNames, LeakageParameters, LeakageReport
from churn_kedro.evaluation import Estimate, Evaluation, group_by_probability
from churn_kedro.models import ScoredCustomers
from churn_kedro.reporting.figures.style import (
    MAIN,
    MOST_CURVES,
    MUTED,
    SECOND,
    SMALL,
    Figure,
    group_thousands,
    label_axes,
    new_figure,
    new_row_figure,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

# Maximum number of classes for shares, and for counts, in the cells of a confusion matrix.
_MOST_SHARES, _MOST_COUNTS = 16, 6


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def draw_performance(scores: ScoredCustomers, evaluation: Evaluation) -> dict[str, Figure]:
    """Draw the figures of a task.

    Args:
        scores: Target and prediction of each test customer.
        evaluation: Metrics with their intervals.

    Returns:
        Figures by file name. Classes: confusion matrix, ROC, precision-recall and calibration curve. Numbers: predicted
        against actual, residuals against predicted, distribution of the residuals.
    """
    drawings: dict[str, Callable[[ScoredCustomers, Evaluation], Figure]] = (
        {
            "predicted_against_actual": draw_predicted_against_actual,
            "residuals_against_predicted": draw_residuals_against_predicted,
            "residual_distribution": draw_residual_distribution,
        }
        if scores.task == "regression"
        else {
            "confusion_matrix": draw_confusion_matrix,
            "roc_curve": draw_roc_curve,
            "precision_recall_curve": draw_precision_recall_curve,
            "calibration_curve": draw_calibration_curve,
        }
    )
    return {f"{name}.png": draw(scores, evaluation) for name, draw in drawings.items()}


def _add_legend(figure: Figure) -> None:
    """Add the legend below the axes, any part of which the curves can cover."""
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL)


def _group_both(axes: Axes) -> None:
    group_thousands(axes.xaxis)
    group_thousands(axes.yaxis)
    axes.locator_params(axis="x", nbins=5)


def _flagged(scores: ScoredCustomers, evaluation: Evaluation) -> tuple[np.ndarray, float]:
    """Return whether each customer is flagged, and the decision threshold."""
    if evaluation.threshold is None:
        raise ValueError("found a binary evaluation without decision threshold; evaluate a version with threshold")
    return scores.decision, evaluation.threshold


def draw_confusion_matrix(scores: ScoredCustomers, evaluation: Evaluation) -> Figure:
    """Draw the confusion matrix.

    Args:
        scores: Target and probabilities of each customer; task binary: decided at the threshold.
        evaluation: Metrics with their intervals, and the decision threshold.

    Returns:
        The figure.
    """
    if scores.task == "binary":
        flagged, threshold = _flagged(scores, evaluation)
        decided = flagged.astype(int)
        title = f"Confusion matrix at threshold {threshold:.3f}"
        columns, rows, names = ["no contact", "contact"], ["stayed", "left"], ("Decision", "Customer")
    else:
        decided = scores.prediction.argmax(axis=1)
        title = "Confusion matrix"
        columns = rows = list(scores.classes)
        names = ("Predicted class", "Class")
    n_classes = len(rows)
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(counts, (scores.target, decided), 1)
    # A class without customers has an empty row.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 4.6 if n_classes <= _MOST_COUNTS else 1.2 + 0.6 * min(n_classes, 16)
    figure, axes = new_figure(title, side + 0.6, side)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if n_classes <= _MOST_SHARES:
        for row in range(n_classes):
            for column in range(n_classes):
                share = f"{shares[row, column]:.1%}" if n_classes <= _MOST_COUNTS else f"{shares[row, column]:.0%}"
                count = f"{counts[row, column]:,}\n"
                axes.text(
                    column,
                    row,
                    f"{count}{share}{' of the row' if n_classes == 2 else ''}" if n_classes <= _MOST_COUNTS else share,
                    ha="center",
                    va="center",
                    fontsize=10 if n_classes <= _MOST_COUNTS else 8,
                    color="white" if shares[row, column] > 0.5 else "black",
                )
    axes.set_xticks(range(n_classes), columns)
    if n_classes > _MOST_COUNTS:
        axes.tick_params(axis="x", labelrotation=90)
    axes.set_yticks(range(n_classes), rows)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1] if n_classes == 2 else f"{names[1]} (shares are of the row)")
    axes.spines[:].set_visible(False)
    return figure


def _classes_to_draw(scores: ScoredCustomers) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return label, membership and probability of the most frequent classes, in declared order."""
    sizes = np.bincount(scores.target, minlength=len(scores.classes))
    frequent = np.argsort(-sizes, kind="stable")[:MOST_CURVES]
    return [
        (scores.classes[code], (scores.target == code).astype(np.int64), scores.prediction[:, code])
        for code in sorted(frequent)
        if 0 < sizes[code] < len(scores.target)
    ]


def _title_of_curves(name: str, scores: ScoredCustomers, drawn: int) -> str:
    whole = drawn == len(scores.classes)
    return f"{name}, each class against the others" if whole else f"{name}, the {drawn} most frequent classes"


def draw_roc_curve(scores: ScoredCustomers, evaluation: Evaluation) -> Figure:
    """Draw the ROC curve of leaving, with the decision threshold marked, or of each class.

    Args:
        scores: Target and probabilities of each customer.
        evaluation: Metrics with their intervals, and the decision threshold.

    Returns:
        The figure.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    area = _with_interval(evaluation.metrics["roc_auc"])
    if scores.task == "binary":
        target, (flagged, threshold) = scores.target, _flagged(scores, evaluation)
        false_positive, true_positive, _ = roc_curve(target, scores.prediction)
        figure, axes = new_figure("ROC curve")
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="chance")
        axes.plot(false_positive, true_positive, color=MAIN, linewidth=2, label=f"area {area}")
        axes.plot(
            flagged[target == 0].mean(),
            flagged[target == 1].mean(),
            "o",
            color=SECOND,
            label=f"decision threshold {threshold:.3f}",
        )
        label_axes(
            axes,
            "False positive rate: contacted among those who stay",
            "True positive rate: contacted among those who leave",
        )
    else:
        drawn = _classes_to_draw(scores)
        figure, axes = new_figure(_title_of_curves("ROC curves", scores, len(drawn)))
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="chance")
        for label, member, probability in drawn:
            false_positive, true_positive, _ = roc_curve(member, probability)
            own = f"{label}: area {roc_auc_score(member, probability):.3f}"
            axes.plot(false_positive, true_positive, linewidth=2, label=own)
        label_axes(
            axes,
            "False positive rate: share of the other customers listed",
            "True positive rate: share of the class listed",
        )
        axes.plot([], [], " ", label=f"mean area {area}")
    _add_legend(figure)
    return figure


def draw_precision_recall_curve(scores: ScoredCustomers, evaluation: Evaluation) -> Figure:
    """Draw precision against recall of leaving, with the decision threshold marked, or of each class.

    Args:
        scores: Target and probabilities of each customer.
        evaluation: Metrics with their intervals, and the decision threshold.

    Returns:
        The figure.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    average_precision = _with_interval(evaluation.metrics["pr_auc"])
    if scores.task == "binary":
        target, (flagged, threshold) = scores.target, _flagged(scores, evaluation)
        precision, recall, _ = precision_recall_curve(target, scores.prediction)
        base_rate = float(target.mean())
        figure, axes = new_figure("Precision-recall curve")
        axes.axhline(base_rate, color=MUTED, linestyle="--", linewidth=1, label=f"chance {base_rate:.3f}")
        axes.plot(recall, precision, color=MAIN, linewidth=2, label=f"average precision {average_precision}")
        if flagged.any():
            axes.plot(
                flagged[target == 1].mean(),
                target[flagged].mean(),
                "o",
                color=SECOND,
                label=f"decision threshold {threshold:.3f}",
            )
        label_axes(axes, "Recall: contacted among those who leave", "Precision: leaving among those contacted")
    else:
        drawn = _classes_to_draw(scores)
        title = _title_of_curves("Precision-recall curves", scores, len(drawn))
        figure, axes = new_figure(title, height=4.2 + 0.2 * (len(drawn) + 1))
        for label, member, probability in drawn:
            precision, recall, _ = precision_recall_curve(member, probability)
            own = average_precision_score(member, probability)
            chance = member.mean()
            axes.plot(
                recall, precision, linewidth=2, label=f"{label}: average precision {own:.3f} (chance {chance:.3f})"
            )
        axes.plot([], [], " ", label=f"mean {average_precision}")
        label_axes(axes, "Recall: share of the class listed", "Precision: share of the listed that are of the class")
    _add_legend(figure)
    axes.set_ylim(0, 1.02)
    return figure


def draw_calibration_curve(scores: ScoredCustomers, evaluation: Evaluation) -> Figure:
    """Draw observed share against predicted probability in ten groups of equal size, with 95 % Wilson intervals.

    With several classes, the probability is that of the predicted class.

    Args:
        scores: Target and probabilities of each customer.
        evaluation: Metrics with their intervals.

    Returns:
        The figure.
    """
    if scores.task == "binary":
        outcome, probability = scores.target, scores.prediction
        title, names = "Calibration", ("Predicted probability of leaving", "Share that left")
    else:
        outcome = (scores.prediction.argmax(axis=1) == scores.target).astype(np.int64)
        probability = scores.prediction.max(axis=1)
        title = "Calibration of the predicted class"
        names = ("Probability of the predicted class", "Share predicted correctly")
    groups = group_by_probability(probability, 10)
    sizes = np.array([len(group) for group in groups])
    predicted = np.array([probability[group].mean() for group in groups])
    observed = np.array([outcome[group].mean() for group in groups])
    # Wilson's score interval, Journal of the American Statistical Association 22 (1927).
    z = 1.959964
    center = (observed + z**2 / (2 * sizes)) / (1 + z**2 / sizes)
    half = z / (1 + z**2 / sizes) * np.sqrt(observed * (1 - observed) / sizes + z**2 / (4 * sizes**2))
    below = np.clip(observed - (center - half), 0, None)
    above = np.clip(center + half - observed, 0, None)
    figure, axes = new_figure(title)
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfect")
    axes.errorbar(
        predicted,
        observed,
        yerr=[below, above],
        color=MAIN,
        marker="o",
        linewidth=2,
        elinewidth=1,
        capsize=3,
        label=f"tenths of the customers; Brier score {_with_interval(evaluation.metrics['brier'])}",
    )
    axes.plot(probability, np.full(len(probability), -0.03), "|", color=MUTED, markersize=6, alpha=0.15)
    limit = min(1.0, max(predicted.max(), (observed + above).max()) * 1.1)
    axes.set_xlim(-0.02, limit)
    axes.set_ylim(-0.06, limit)
    label_axes(axes, names[0], names[1])
    _add_legend(figure)
    return figure


def _dots(n_customers: int) -> dict[str, Any]:
    """Draw dots with a size and transparency for their number."""
    return {"s": 12, "alpha": float(np.clip(300 / n_customers, 0.1, 0.6)), "color": MAIN, "linewidths": 0}


def draw_predicted_against_actual(scores: ScoredCustomers, evaluation: Evaluation) -> Figure:
    """Draw predicted against actual numbers, one dot per customer.

    Args:
        scores: Target and prediction of each customer.
        evaluation: Metrics with their intervals.

    Returns:
        The figure.
    """
    figure, axes = new_figure("Predicted against actual", height=5.2)
    ends = [
        float(min(scores.target.min(), scores.prediction.min())),
        float(max(scores.target.max(), scores.prediction.max())),
    ]
    explained = f"customers; R² {_with_interval(evaluation.metrics['r2'])}"
    axes.scatter(scores.prediction, scores.target, label=explained, **_dots(len(scores.target)))
    axes.plot(ends, ends, color=SECOND, linestyle="--", linewidth=1, label="perfect")
    axes.set_aspect("equal", adjustable="datalim")
    label_axes(axes, "Predicted", "Actual")
    _group_both(axes)
    _add_legend(figure)
    return figure


def draw_residuals_against_predicted(scores: ScoredCustomers, evaluation: Evaluation) -> Figure:
    """Draw residuals against predictions, one dot per customer, with means of ten groups.

    Args:
        scores: Target and prediction of each customer.
        evaluation: Metrics with their intervals.

    Returns:
        The figure.
    """
    residual = scores.target - scores.prediction
    figure, axes = new_figure("Residuals against predicted")
    axes.axhline(0, color=MUTED, linestyle="--", linewidth=1)
    axes.scatter(scores.prediction, residual, label="customers", **_dots(len(residual)))
    groups = [group for group in np.array_split(np.argsort(scores.prediction, kind="stable"), 10) if len(group)]
    axes.plot(
        [scores.prediction[group].mean() for group in groups],
        [residual[group].mean() for group in groups],
        color=SECOND,
        marker="o",
        linewidth=2,
        label="mean of each tenth of the customers",
    )
    label_axes(axes, "Predicted", "Actual minus predicted")
    _group_both(axes)
    _add_legend(figure)
    return figure


def draw_residual_distribution(scores: ScoredCustomers, evaluation: Evaluation) -> Figure:
    """Draw the histogram of the residuals.

    Args:
        scores: Target and prediction of each customer.
        evaluation: Metrics with their intervals.

    Returns:
        The figure.
    """
    residual = scores.target - scores.prediction
    figure, axes = new_figure("Distribution of the residuals", height=5.0)
    axes.hist(residual, bins=min(50, max(5, round(2 * len(residual) ** (1 / 3)))), color=MAIN, alpha=0.85)
    axes.axvline(0, color=MUTED, linestyle="--", linewidth=1)
    axes.axvline(residual.mean(), color=SECOND, linewidth=2, label=f"mean {residual.mean():.4g}")
    for name, metric in (("RMSE", "rmse"), ("mean absolute error", "mae"), ("median absolute error", "median_ae")):
        estimate = evaluation.metrics[metric]
        axes.plot([], [], " ", label=f"{name} {estimate.value:.4g} ({estimate.low:.4g} to {estimate.high:.4g})")
    label_axes(axes, "Actual minus predicted", "Customers")
    _group_both(axes)
    _add_legend(figure)
    return figure


def draw_findings(
    report: LeakageReport, parameters: LeakageParameters, names: DisplayNames = FILE_NAMES
) -> dict[str, Figure]:
    """Draw the evidence of the leakage checks: univariate strength of each feature, and target over the row orders.

    Args:
        report: Result of the checks.
        parameters: Limits of the checks, drawn as lines.
        names: Names of columns and classes.

    Returns:
        Figures by file name; of the features, the twenty-five strongest.
    """
    figures = {"leakage_columns.png": _draw_strengths(report, parameters, names)}
    for place, curve in enumerate(report.orders, start=1):
        figure, axes = new_figure(f"Target over {names.column(curve.order)}", height=3.2)
        middles = (np.arange(len(curve.means[0])) + 0.5) / len(curve.means[0])
        for position, (series, means, overall) in enumerate(zip(curve.series, curve.means, curve.overall, strict=True)):
            color = MAIN if len(curve.series) == 1 else f"C{position}"
            axes.step(middles, means, where="mid", color=color, linewidth=2, label=_name_series(series, names))
            axes.axhline(overall, color=color if len(curve.series) > 1 else MUTED, linestyle="--", linewidth=1)
        axes.set_xlabel("Share of the rows, in that order; dashed: all rows", fontsize=SMALL)
        axes.xaxis.set_major_formatter("{x:.0%}")
        group_thousands(axes.yaxis)
        if report.task != "regression":
            axes.set_ylim(-0.02, 1.02)
        _add_legend(figure)
        figures[f"leakage_order_{place}.png"] = figure
    return figures


def _name_series(series: str, names: DisplayNames) -> str:
    """Name the share of a class, which the report calls ``target = label``, or the target's mean."""
    for label, title in names.classes.items():
        if series.endswith(f" = {label}"):
            return f"share of customers: {title}"
    return f"mean of {names.column(series)}"


def _draw_strengths(report: LeakageReport, parameters: LeakageParameters, names: DisplayNames) -> Figure:
    shown = report.strengths[:25]
    figure, axes = new_row_figure("One column alone", [names.column(strength.column) for strength in shown], 1.6)
    warning, leak = parameters.column_warning.of(report.task), parameters.column_leak.of(report.task)
    chance = 0.0 if report.task == "regression" else 0.5
    values = np.array([strength.value for strength in shown])
    colors = [SECOND if strength.low >= warning else MAIN for strength in shown]
    axes.barh(np.arange(len(shown)), np.clip(values - chance, 0, None), left=chance, color=colors)
    for limit, name, style in ((warning, "warning", "--"), (leak, "leak", "-")):
        axes.axvline(limit, color=SECOND, linestyle=style, linewidth=1, label=f"{name} from {limit:g}")
    axes.set_xlim(chance, 1.01)
    label = "R² of the target's ranks" if report.task == "regression" else "ROC-AUC, on rows left out"
    axes.set_xlabel(label, fontsize=SMALL)
    _add_legend(figure)
    return figure
