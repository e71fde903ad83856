"""What the figures of a customer table show."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_kedro.customers.declaration import Column, CustomerDeclaration
from churn_kedro.customers.display_names import DisplayNames
from churn_kedro.customers.profile import ProfileParameters, TableProfile, correlate, count_values, profile_columns
from churn_kedro.reporting.figures.data import draw_correlations, draw_distributions, draw_encoded

PARAMETERS = ProfileParameters(max_rows=1000, max_correlated=5, random_state=0)


def declare() -> CustomerDeclaration:
    columns: list[dict[str, Any]] = [
        {"name": "Age", "kind": "numeric", "description": "Age in years"},
        {"name": "Geo", "kind": "categorical", "domain": ["FR", "DE"], "description": "Country of residence"},
        {
            "name": "Plan",
            "kind": "ordinal",
            "domain": [1, 2],
            "level_labels": {1: "basic", 2: "premium"},
            "description": "Plan",
        },
        {"name": "Left", "role": "target", "description": "Left the bank"},
    ]
    labels = {"positive": 1, "negative": 0}
    return CustomerDeclaration.model_validate(
        {"description": "Customers", "task": "binary", "labels": labels, "columns": columns}
    )


def customers(rows: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "Age": random.integers(19, 93, rows).astype(float),
            "Geo": random.choice(["FR", "DE"], rows),
            "Plan": random.choice([1.0, 2.0], rows),
            "Left": random.integers(0, 2, rows),
        }
    )


def profile() -> TableProfile:
    found = profile_columns(customers(), declare(), PARAMETERS)
    return TableProfile(stages=[], **found._asdict(), train_classes={}, outliers_removed=0)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        # 74 years in at most 24 ranges.
        (np.arange(19, 93), [str(start) for start in range(15, 95, 5)]),
        (np.linspace(0, 1, 100), [f"{place / 20:.4g}" for place in range(21)]),
        (np.linspace(-100, 100, 50), [str(start) for start in range(-100, 110, 10)]),
        (np.array([1.0, 2.0, 3.5]), ["1", "2", "3.5"]),
    ],
)
def test_ranges_of_numbers_have_round_bounds(values: np.ndarray, labels: list[str]) -> None:
    cells = pd.Series(values, dtype=np.float64)
    column = Column(name="x", kind="numeric", description="x")

    histogram = count_values(cells, pd.Series(np.zeros(len(cells))), column)

    assert histogram.labels == labels
    assert sum(histogram.rows) == len(cells)


def test_levels_are_written_as_the_keys_of_their_labels() -> None:
    column = Column(
        name="x", kind="binary", domain=[1.0, 2000001], level_labels={1: "a", 2000001: "b"}, description="x"
    )

    histogram = count_values(pd.Series([1.0, 2000001.0]), pd.Series(np.zeros(2)), column)

    assert histogram.labels == list(column.level_labels) == ["1", "2000001"]


def test_only_values_with_an_order_are_joined_by_a_line() -> None:
    figures = draw_distributions(profile(), DisplayNames.of(declare()))

    assert list(figures) == [f"distribution_{place:02}.png" for place in (1, 2, 3)]
    styles = {figure.get_suptitle(): figure.axes[1].lines[-1].get_linestyle() for figure in figures.values()}
    assert styles == {"Age in years": "-", "Country of residence": "None", "Plan": "-"}
    plan = figures["distribution_03.png"]
    assert [text.get_text() for text in plan.axes[0].get_xticklabels()] == ["basic", "premium"]
    assert plan.axes[1].get_ylabel() == "share that left"


def test_correlations_name_the_columns_and_number_them() -> None:
    found = correlate(customers(), declare(), PARAMETERS)

    axes = draw_correlations(found, DisplayNames.of(declare())).axes[0]

    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[0] == "1 Left the bank"
    assert {label.split(" ", 1)[1] for label in labels} == {
        "Left the bank",
        "Age in years",
        "Country of residence",
        "Plan",
    }


def test_only_changed_numbers_are_drawn_before_and_after_treatment() -> None:
    before = customers()
    encoded = pd.DataFrame({"Age": before["Age"].clip(upper=60), "Plan": before["Plan"]})
    sources = {"Age": "Age", "Plan": "Plan"}

    figures = draw_encoded(before, encoded, sources, DisplayNames.of(declare()))

    assert [figure.get_suptitle() for figure in figures.values()] == ["Age in years, before and after treatment"]
    assert draw_encoded(before, before[["Age"]], sources) == {}
