"""Claims about what a costly column earns."""

import pytest

from churn_kedro.base.errors import ParameterError
from churn_kedro.campaigns.parameters import CampaignParameters
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.training.folds import build_development
from churn_kedro.training.parameters import TrainingParameters, configure_training
from churn_kedro.training.progress import NoProgress
from churn_kedro.training.recipe import Training, train
from churn_kedro.training.search import NoArchive, SearchContext
from tests.task_cases import task_case

CAMPAIGN = {"contact_cost": 1, "offer_cost": 10, "save_probability": 0.5, "value": 100}


def declare_costs(costs: dict[str, float]) -> CustomerDeclaration:
    declared = task_case("binary").declaration.model_dump(exclude_none=True)
    for column in declared["columns"]:
        if column["name"] in costs:
            column["cost"] = costs[column["name"]]
    return CustomerDeclaration.model_validate(declared)


def train_with(costs: dict[str, float], objective: str = "profit") -> Training:
    case = task_case("binary")
    parameters = TrainingParameters.model_validate(
        {
            "spaces": {"xgboost": {"max_depth": 3, "learning_rate": 0.2}},
            "folds": {"n_splits": 3},
            "search": {"n_trials": 1, "max_rounds": 40},
        }
    )
    campaigns = CampaignParameters.model_validate({"objective": objective, "economics": CAMPAIGN})
    declaration, features = declare_costs(costs), FeatureParameters()
    development = build_development(case.train, case.validation, case.manifest, declaration, features)
    configuration = configure_training(declaration, features, parameters, campaigns)
    return train(development, configuration, SearchContext(NoArchive(), NoProgress()))


@pytest.mark.slow
def test_an_informative_column_exceeds_its_cost_and_a_noise_column_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    age, visits = train_with({"Age": 0.5, "Visits": 0.5}).summary.column_benefits

    assert (age.column, age.cost, age.worth_it) == ("Age", 0.5, True)
    assert age.earns > 2
    assert (visits.column, visits.worth_it) == ("Visits", False)
    assert visits.earns < 0.5
    assert "Column 'Visits' costs 0.5 per customer and earns" in caplog.text
    assert "'Age'" not in caplog.text


@pytest.mark.slow
def test_what_a_column_earns_is_the_profit_that_is_lost_without_it() -> None:
    with_it = train_with({"Country": 0.1}).summary
    case = task_case("binary")
    declared = case.declaration.model_dump(exclude_none=True)
    declared["columns"] = [column for column in declared["columns"] if column["name"] != "Country"]
    without = CustomerDeclaration.model_validate(declared)
    features = FeatureParameters()
    development = build_development(case.train, case.validation, case.manifest, without, features)
    # The best number of rounds is not searched for anew: the one that the whole model has is kept.
    rounds = with_it.members[0].n_estimators
    former = with_it.recipe.configuration
    search = former.training.search.model_copy(update={"max_rounds": rounds, "early_stopping_rounds": rounds})
    parameters = former.training.model_copy(update={"search": search})
    configuration = configure_training(without, features, parameters, former.campaigns)
    other = train(development, configuration, SearchContext(NoArchive(), NoProgress())).summary

    assert with_it.threshold is not None
    assert other.threshold is not None
    assert with_it.threshold.profit_per_customer is not None
    assert other.threshold.profit_per_customer is not None
    lost = with_it.threshold.profit_per_customer - other.threshold.profit_per_customer
    # Calibration may tie customers together, and early stopping may still end a round earlier.
    assert with_it.column_benefits[0].earns == pytest.approx(lost, abs=0.5)


@pytest.mark.slow
def test_costs_leave_the_model_as_it_is() -> None:
    costly, free = train_with({"Visits": 5.0}), train_with({})

    assert costly.summary.out_of_fold == free.summary.out_of_fold
    assert free.summary.column_benefits == []


def test_costs_without_profit_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"Columns \['Age'\] have a cost.*objective profit"):
        train_with({"Age": 1.0}, objective="f1")
