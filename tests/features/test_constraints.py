"""Claims about the constraints of the declaration on model inputs."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_kedro.base.errors import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.splits import describe_splits
from churn_kedro.features.constraints import InputConstraints, find_constraints
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.features.treatment import fit_features
from tests.task_cases import SPLIT, train_given

Treatment = dict[str, Any]


def declared(
    interactions: list[list[str]] | None = None, derived: bool = False, **columns: dict[str, Any]
) -> CustomerDeclaration:
    shapes: dict[str, dict[str, Any]] = {
        "Age": {"kind": "numeric", "nullable": True},
        "Calls": {"kind": "numeric"},
        "Size": {"kind": "ordinal", "domain": ["small", "middle", "large"]},
        "Card": {"kind": "binary", "domain": [0, 1]},
        "City": {"kind": "categorical"},
    }
    return CustomerDeclaration.model_validate(
        {
            "description": "Customers of a test",
            "task": "binary",
            "labels": {"positive": 1, "negative": 0},
            "interactions": interactions or [],
            "derived": [{"name": "Pace", "operation": "ratio", "of": ["Age", "Calls"]}] if derived else [],
            "columns": [
                *(
                    {"name": name, "description": "A column", **shape, **columns.get(name, {})}
                    for name, shape in shapes.items()
                ),
                {"name": "Left", "role": "target", "description": "A column"},
            ],
        }
    )


def customers(n_rows: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(0)
    age, calls = random.normal(50, 12, n_rows), random.poisson(3, n_rows).astype(float)
    size = random.choice(["small", "middle", "large"], n_rows)
    # Falls with age in the middle: a free model shows it.
    drive = (age - 50) / 6 + 2 * np.sin(age / 3) + 0.3 * calls + (size == "middle") - 1
    return pd.DataFrame(
        {
            "Age": np.where(random.random(n_rows) < 0.1, np.nan, age),
            "Calls": calls,
            "Size": size,
            "Card": random.integers(0, 2, n_rows).astype(float),
            "City": random.choice(["Lyon", "Nice"], n_rows),
            "Left": (random.random(n_rows) < 1 / (1 + np.exp(-drive))).astype("int64"),
        }
    )


def limits_of(declaration: CustomerDeclaration) -> tuple[dict[str, int], InputConstraints]:
    inputs = fit_features(customers(), declaration, FeatureParameters())
    limits = find_constraints(inputs, declaration)
    return dict(zip(inputs.sources, limits.monotone, strict=True)), limits


def test_without_declared_constraints_there_are_none() -> None:
    monotone, limits = limits_of(declared())

    assert limits.free
    assert set(monotone.values()) == {0}


def test_a_direction_constrains_the_input_of_its_column() -> None:
    monotone, limits = limits_of(
        declared(
            Age={"monotone": "increasing", "treatment": {"missing": "median", "indicator": True, "scaling": "robust"}},
            Size={"monotone": "decreasing"},
            Card={"monotone": "increasing"},
        )
    )

    assert not limits.free
    assert {name: sign for name, sign in monotone.items() if sign} == {"Age": 1, "Size": -1, "Card": 1}
    assert len(monotone) == 6


@pytest.mark.parametrize(("name", "treatment"), [("Size", {"encoding": "one_hot"}), ("Size", {"encoding": "native"})])
def test_a_treatment_without_an_input_that_rises_with_the_column_raises(name: str, treatment: Treatment) -> None:
    columns: dict[str, Any] = {name: {"monotone": "increasing", "treatment": treatment}}
    declaration = declared(**columns)

    with pytest.raises(ParameterError, match=rf"Column '{name}' is declared monotone, .* makes .*ordinal"):
        limits_of(declaration)


def test_target_encoding_of_a_monotone_column_raises() -> None:
    with pytest.raises(ParameterError, match="Column 'Size' is declared monotone"):
        limits_of(declared(Size={"monotone": "increasing", "treatment": {"encoding": "target"}}))


def test_groups_are_positions_of_all_inputs_of_their_columns() -> None:
    declaration = declared(
        interactions=[["Age", "Calls"], ["Calls", "City"]],
        Age={"treatment": {"missing": "median", "indicator": True}},
        City={"treatment": {"encoding": "one_hot"}},
    )
    inputs = fit_features(customers(), declaration, FeatureParameters())
    sources = list(inputs.sources.values())

    groups = find_constraints(inputs, declaration).interactions

    assert groups is not None
    named = [sorted({sources[position] for position in group}) for group in groups]
    assert named == [["Age", "Calls"], ["Calls", "City"], *([name] for name in sources if name in ("Size", "Card"))]
    # Every input has its place, and those of one column have the same.
    assert {position for group in groups for position in group} == set(range(len(sources)))
    for group in groups:
        for name in {sources[position] for position in group}:
            assert {place for place, source in enumerate(sources) if source == name} <= set(group)


def test_a_derived_column_may_be_in_a_group() -> None:
    declaration = declared(interactions=[["Pace", "City"]], derived=True)
    inputs = fit_features(customers(), declaration, FeatureParameters())
    sources = list(inputs.sources.values())

    groups = find_constraints(inputs, declaration).interactions

    assert groups is not None
    assert sorted(sources[position] for position in groups[0]) == ["City", "Pace"]


def test_a_column_without_selected_inputs_needs_no_constraint() -> None:
    declaration = declared(City={"kind": "binary", "domain": ["Lyon", "Nice"], "monotone": "increasing"})
    parameters = FeatureParameters.model_validate({"selection": {"method": "mutual_information", "number": 2}})
    inputs = fit_features(customers(), declaration, parameters)
    assert "City" not in inputs.sources.values()

    assert not any(find_constraints(inputs, declaration).monotone)


@pytest.mark.parametrize("direction", [None, "increasing"])
def test_the_finished_model_keeps_a_declared_direction_on_raw_customers(direction: str | None) -> None:
    declaration = declared(Age={"monotone": direction})
    table = customers(800)
    parts = table.iloc[:400], table.iloc[400:600], table.iloc[600:]
    train, validation, test = (part.reset_index(drop=True) for part in parts)
    manifest = describe_splits(train, validation, test, declaration, SPLIT, {})
    given: Any = {"xgboost": ({"max_depth": 3, "learning_rate": 0.3}, 30)}
    calibration = {"method": "isotonic"}

    model = train_given(train, validation, manifest, declaration, given=given, calibration=calibration).model

    grid = np.linspace(15, 85, 150)
    steps = [
        np.diff(model.estimator.scores(pd.DataFrame([row] * 150).assign(Age=grid)))
        for row in test.head(10).to_dict("records")
    ]
    assert (np.min(steps) >= -1e-9) is np.bool_(direction is not None)
    assert np.max(steps) > 0.05
