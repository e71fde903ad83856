"""Figures of an evaluation. Each function returns a matplotlib figure of its own and touches no global state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_kedro.explanations import Explanation
from churn_kedro.metrics import Estimate, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure
else:
    # Kedro reads the annotations of node functions at start-up; matplotlib is not worth importing for that.
    Figure = Any

_MAIN, _SECOND, _MUTED = "#1f4e79", "#c8553d", "#9aa5b1"


def _new_figure(title: str, width: float = 6.4, height: float = 4.8) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def draw_confusion_matrix(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Customers by what they did and what the model decided, at the decision threshold.

    Args:
        scores: ``target`` (1 or 0), ``probability`` and ``flagged`` (whether it reaches the threshold) per customer.
        evaluation: Metrics with their intervals, and the decision threshold.

    Returns:
        The figure.
    """
    target, flagged = scores["target"].to_numpy(), scores["flagged"].to_numpy()
    counts = np.array([[np.sum((target == row) & (flagged == column)) for column in (0, 1)] for row in (0, 1)])
    figure, axes = _new_figure(f"Confusion matrix at threshold {evaluation.threshold:.3f}", 5.6, 4.6)
    shares = counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in (0, 1):
        for column in (0, 1):
            axes.text(
                column,
                row,
                f"{counts[row, column]:,}\n{shares[row, column]:.1%} of the row",
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.5 else "black",
            )
    axes.set_xticks([0, 1], ["no contact", "contact"])
    axes.set_yticks([0, 1], ["stayed", "left"])
    axes.set_xlabel("Decision")
    axes.set_ylabel("Customer")
    axes.spines[:].set_visible(False)
    return figure


def draw_roc_curve(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Receiver operating characteristic with the decision threshold marked.

    Args:
        scores: ``target`` (1 or 0), ``probability`` and ``flagged`` (whether it reaches the threshold) per customer.
        evaluation: Metrics with their intervals, and the decision threshold.

    Returns:
        The figure.
    """
    from sklearn.metrics import roc_curve

    target, flagged = scores["target"].to_numpy(), scores["flagged"].to_numpy()
    false_positive, true_positive, _ = roc_curve(target, scores["probability"])
    figure, axes = _new_figure("ROC curve")
    axes.plot([0, 1], [0, 1], color=_MUTED, linestyle="--", linewidth=1, label="chance")
    axes.plot(
        false_positive,
        true_positive,
        color=_MAIN,
        linewidth=2,
        label=f"area {_with_interval(evaluation.metrics['roc_auc'])}",
    )
    axes.plot(
        flagged[target == 0].mean(),
        flagged[target == 1].mean(),
        "o",
        color=_SECOND,
        label=f"decision threshold {evaluation.threshold:.3f}",
    )
    axes.set_xlabel("False positive rate: contacted among those who stay")
    axes.set_ylabel("True positive rate: contacted among those who leave")
    axes.legend(loc="lower right", frameon=False)
    return figure


def draw_precision_recall_curve(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Precision against recall with the decision threshold marked.

    Args:
        scores: ``target`` (1 or 0), ``probability`` and ``flagged`` (whether it reaches the threshold) per customer.
        evaluation: Metrics with their intervals, and the decision threshold.

    Returns:
        The figure.
    """
    from sklearn.metrics import precision_recall_curve

    target, flagged = scores["target"].to_numpy(), scores["flagged"].to_numpy()
    precision, recall, _ = precision_recall_curve(target, scores["probability"])
    base_rate = float(target.mean())
    figure, axes = _new_figure("Precision-recall curve")
    axes.axhline(base_rate, color=_MUTED, linestyle="--", linewidth=1, label=f"chance {base_rate:.3f}")
    average_precision = _with_interval(evaluation.metrics["pr_auc"])
    axes.plot(recall, precision, color=_MAIN, linewidth=2, label=f"average precision {average_precision}")
    if flagged.any():
        axes.plot(
            flagged[target == 1].mean(),
            target[flagged].mean(),
            "o",
            color=_SECOND,
            label=f"decision threshold {evaluation.threshold:.3f}",
        )
    axes.set_xlabel("Recall: contacted among those who leave")
    axes.set_ylabel("Precision: leaving among those contacted")
    axes.set_ylim(0, 1.02)
    axes.legend(loc="upper right", frameon=False)
    return figure


def draw_calibration_curve(scores: pd.DataFrame, evaluation: Evaluation) -> Figure:
    """Observed churn against predicted probability, in ten groups of equal size, with 95 % Wilson intervals.

    Args:
        scores: ``target`` (1 or 0), ``probability`` and ``flagged`` (whether it reaches the threshold) per customer.
        evaluation: Metrics with their intervals, and the decision threshold.

    Returns:
        The figure.
    """
    target, probability = scores["target"].to_numpy(), scores["probability"].to_numpy()
    groups = np.array_split(np.argsort(probability, kind="stable"), 10)
    sizes = np.array([len(group) for group in groups if len(group)])
    predicted = np.array([probability[group].mean() for group in groups if len(group)])
    observed = np.array([target[group].mean() for group in groups if len(group)])
    # Wilson's score interval, Journal of the American Statistical Association 22 (1927).
    z = 1.959964
    center = (observed + z**2 / (2 * sizes)) / (1 + z**2 / sizes)
    half = z / (1 + z**2 / sizes) * np.sqrt(observed * (1 - observed) / sizes + z**2 / (4 * sizes**2))
    below = np.clip(observed - (center - half), 0, None)
    above = np.clip(center + half - observed, 0, None)
    figure, axes = _new_figure("Calibration")
    axes.plot([0, 1], [0, 1], color=_MUTED, linestyle="--", linewidth=1, label="perfect")
    axes.errorbar(
        predicted,
        observed,
        yerr=[below, above],
        color=_MAIN,
        marker="o",
        linewidth=2,
        elinewidth=1,
        capsize=3,
        label=f"tenths of the customers; Brier score {_with_interval(evaluation.metrics['brier'])}",
    )
    axes.plot(probability, np.full(len(probability), -0.03), "|", color=_MUTED, markersize=6, alpha=0.15)
    limit = min(1.0, max(predicted.max(), (observed + above).max()) * 1.1)
    axes.set_xlim(-0.02, limit)
    axes.set_ylim(-0.06, limit)
    axes.set_xlabel("Predicted probability of leaving")
    axes.set_ylabel("Share that left")
    axes.legend(loc="upper left", frameon=False)
    return figure


def draw_importance(importance: pd.Series) -> Figure:
    """Bars of the columns' shares in the trees' gain.

    Args:
        importance: Shares by column name, largest first.

    Returns:
        The figure; the twenty largest shares.
    """
    shown = importance.head(20)[::-1]
    figure, axes = _new_figure("Feature importance (share of total gain)", 6.4, 1.4 + 0.28 * len(shown))
    bars = axes.barh(shown.index, shown.to_numpy(), color=_MAIN)
    axes.bar_label(bars, [f"{value:.1%}" for value in shown], padding=3, fontsize=8)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.set_xlabel("Share of the loss removed by splits on the column")
    axes.margins(x=0.12)
    return figure


def draw_beeswarm(explanation: Explanation) -> Figure:
    """SHAP beeswarm: one dot per customer and column.

    Args:
        explanation: Explained customers.

    Returns:
        The figure; the fifteen strongest columns.
    """
    import shap

    shown = min(15, len(explanation.columns))
    figure, axes = _new_figure(f"SHAP values of {len(explanation.values):,} customers", 8, 1.6 + 0.32 * shown)
    shap.plots.beeswarm(
        shap.Explanation(
            values=explanation.values,
            base_values=np.full(len(explanation.values), explanation.base),
            data=explanation.inputs,
            feature_names=explanation.columns,
        ),
        max_display=shown,
        ax=axes,
        show=False,
        plot_size=None,
        group_remaining_features=False,
    )
    axes.set_xlabel("Contribution to the log-odds of leaving")
    return figure
