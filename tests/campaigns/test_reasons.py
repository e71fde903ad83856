"""Claims about the reasons of single customers."""

from copy import copy

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from churn_kedro.campaigns.reasons import Reason, explain_reasons
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.display_names import DisplayNames
from churn_kedro.evaluation.explanations import explain
from churn_kedro.models.interface import TrainedModel


def test_the_points_of_all_columns_sum_to_the_distance_from_the_mean_score(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    model = trained.estimator
    names = DisplayNames.of(declaration)

    reasons = explain_reasons(model, raw_customers, names, 99, falling=True)

    base = explain(model, raw_customers).base
    mean = 1 / (1 + np.exp(-base))
    if model.calibration is not None:
        mean = model.calibration.predict_proba(np.array([[1 - mean, mean]]))[0, 1]
    total = np.array([sum(reason.points for reason in found) for found in reasons])
    # Reasons below half a point are left out.
    assert np.abs(total - 100 * (model.scores(raw_customers) - mean)).max() < 0.5 * len(model.readers)


def test_reasons_rise_and_are_ordered_by_points(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    reasons = explain_reasons(trained.estimator, raw_customers, DisplayNames.of(declaration), 2)

    assert max(map(len, reasons)) == 2
    for found in reasons:
        points = [reason.points for reason in found]
        assert points == sorted(points, reverse=True)
        assert all(point >= 0.5 for point in points)


def test_a_phrase_is_said_for_its_level_and_with_the_value(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    phrases = {
        "Age": "is {value} years old",
        "Country": {"Spain": "lives in Spain"},
        "Tier": {"2": "has the second tariff"},
    }
    columns = [
        column.model_copy(update={"phrase": phrases.get(column.name), "description": f"{column.name} of it"})
        for column in declaration.columns
    ]
    names = DisplayNames.of(declaration.model_copy(update={"columns": columns}))

    reasons = explain_reasons(trained.estimator, raw_customers, names, 9)

    said = {reason.column: set() for found in reasons for reason in found}  # type: ignore[var-annotated]
    for found, (_, customer) in zip(reasons, raw_customers.iterrows(), strict=True):
        for reason in found:
            said[reason.column].add(reason.text)
            if reason.column == "Age":
                assert reason.text == f"is {customer['Age']} years old"
    assert "lives in Spain" in said["Country"]
    assert "has the second tariff" in said["Tier"]


def test_a_missing_cell_is_not_known(declaration: CustomerDeclaration) -> None:
    names = DisplayNames(columns={"Age": "Age in years"}, phrases={"Age": "is {value} years old"})

    assert names.say("Age", "missing") == "Age in years is not known"


@pytest.mark.parametrize(
    ("points", "text"), [(18.4, "is 9: +18 points"), (1.2, "is 9: +1 point"), (-0.9, "is 9: -1 point")]
)
def test_a_reason_is_written_with_its_points(points: float, text: str) -> None:
    assert str(Reason("Age", "is 9", points)) == text


def test_other_models_than_xgboost_are_explained_against_other_customers(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    model, names = copy(trained.estimator), DisplayNames.of(declaration)
    target = raw_customers["Left"].astype(int)
    model.learner = HistGradientBoostingClassifier(max_iter=10, random_state=1).fit(model.inputs(raw_customers), target)
    likely = raw_customers.iloc[np.argsort(-model.scores(raw_customers))[:3]]

    reasons = explain_reasons(model, likely, names, 2, raw_customers)

    assert [len(found) for found in reasons] == [2, 2, 2]
    assert {found[0].column for found in reasons} <= {"Age", "Country", "Tier", "Contract"}
    assert explain_reasons(model, likely.head(0), names, 2) == []


def test_a_number_beyond_the_range_of_the_trees_is_explained(
    trained: TrainedModel, raw_customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    extreme = raw_customers.head(2).assign(Charges=["1e300", "-1e300"])

    assert len(explain_reasons(trained.estimator, extreme, DisplayNames.of(declaration), 9, falling=True)) == 2
