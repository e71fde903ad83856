"""Claims about the fabricated customers and about the ceiling computed from their true probabilities."""

import io
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray
from pandas.testing import assert_frame_equal
from pydantic import ValidationError
from scipy.stats import norm
from sklearn.datasets import load_iris
from sklearn.metrics import r2_score, roc_auc_score, root_mean_squared_error

from churn_kedro.base.errors import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.pipelines.fabrication.nodes import fabricate_customers, fabricate_large_customers, measure_ceiling
from churn_kedro.pipelines.fabrication.shapes import CHURN_SHAPES, SHAPES, fabricate
from churn_kedro.pipelines.fabrication.shapes.bank import bank_effects_on_log_odds
from churn_kedro.pipelines.fabrication.shapes.ceiling import SampleReport, describe_ceiling, describe_value_ceiling
from churn_kedro.pipelines.fabrication.shapes.churn import churn_probability, solve_intercept
from churn_kedro.pipelines.fabrication.shapes.housing import (
    CITIES,
    NOISE,
    PLACES,
    expected_house_value,
    log_house_value,
)
from churn_kedro.pipelines.fabrication.shapes.interface import FabricatedCustomers, FabricationParameters, ShapeName
from churn_kedro.pipelines.fabrication.shapes.subscription import subscription_effects_on_log_odds
from churn_kedro.pipelines.fabrication.shapes.telco import INTERNET_ADD_ONS, telco_effects_on_log_odds
from tests import ROOT

Fabricated = dict[ShapeName, FabricatedCustomers]

ALL_SHAPES: tuple[ShapeName, ...] = get_args(ShapeName)
CHURN: tuple[ShapeName, ...] = tuple(CHURN_SHAPES)
ROWS = 6000
NEW_ROWS = 400

BANK_COLUMNS = [
    "RowNumber",
    "CustomerId",
    "Surname",
    "CreditScore",
    "Geography",
    "Gender",
    "Age",
    "Tenure",
    "Balance",
    "NumOfProducts",
    "HasCrCard",
    "IsActiveMember",
    "EstimatedSalary",
    "Exited",
]
TELCO_COLUMNS = [
    "customerID",
    "gender",
    "SeniorCitizen",
    "Partner",
    "Dependents",
    "tenure",
    "PhoneService",
    "MultipleLines",
    "InternetService",
    "OnlineSecurity",
    "OnlineBackup",
    "DeviceProtection",
    "TechSupport",
    "StreamingTV",
    "StreamingMovies",
    "Contract",
    "PaperlessBilling",
    "PaymentMethod",
    "MonthlyCharges",
    "TotalCharges",
    "Churn",
]
SUBSCRIPTION_COLUMNS = [
    "CustomerID",
    "Age",
    "Gender",
    "Tenure",
    "Usage Frequency",
    "Support Calls",
    "Payment Delay",
    "Subscription Type",
    "Contract Length",
    "Total Spend",
    "Last Interaction",
    "Churn",
]
HOUSING_COLUMNS = [
    "longitude",
    "latitude",
    "housing_median_age",
    "total_rooms",
    "total_bedrooms",
    "population",
    "households",
    "median_income",
    "median_house_value",
    "ocean_proximity",
]
IRIS_COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
ADD_ON_VALUES = {"Yes", "No", "No internet service"}
CATEGORIES: dict[ShapeName, dict[str, set[Any]]] = {
    "bank": {
        "Geography": {"France", "Germany", "Spain"},
        "Gender": {"Female", "Male"},
        "NumOfProducts": {1, 2, 3, 4},
        "HasCrCard": {0, 1},
        "IsActiveMember": {0, 1},
        "Exited": {0, 1},
    },
    "telco": {
        "gender": {"Female", "Male"},
        "SeniorCitizen": {0, 1},
        "Partner": {"Yes", "No"},
        "Dependents": {"Yes", "No"},
        "PhoneService": {"Yes", "No"},
        "MultipleLines": {"Yes", "No", "No phone service"},
        "InternetService": {"DSL", "Fiber optic", "No"},
        **dict.fromkeys(INTERNET_ADD_ONS, ADD_ON_VALUES),
        "Contract": {"Month-to-month", "One year", "Two year"},
        "PaperlessBilling": {"Yes", "No"},
        "PaymentMethod": {
            "Electronic check",
            "Mailed check",
            "Bank transfer (automatic)",
            "Credit card (automatic)",
        },
        "Churn": {"Yes", "No"},
    },
    "subscription": {
        "Gender": {"Female", "Male"},
        "Subscription Type": {"Basic", "Standard", "Premium"},
        "Contract Length": {"Monthly", "Quarterly", "Annual"},
        "Support Calls": set(range(11)),
        "Churn": {0, 1},
    },
    "housing": {"ocean_proximity": {"<1H OCEAN", "INLAND", "ISLAND", "NEAR BAY", "NEAR OCEAN"}},
    "iris": {"species": {"setosa", "versicolor", "virginica"}},
}
RANGES: dict[ShapeName, dict[str, tuple[float, float]]] = {
    "bank": {
        "CustomerId": (10_000_000, 99_999_999),
        "CreditScore": (350, 850),
        "Age": (18, 92),
        "Tenure": (0, 10),
        "EstimatedSalary": (11, 200_000),
    },
    "telco": {"tenure": (0, 72), "MonthlyCharges": (18, 120)},
    "subscription": {
        "CustomerID": (1, 90_000_000),
        "Age": (18, 65),
        "Tenure": (1, 60),
        "Usage Frequency": (1, 30),
        "Payment Delay": (0, 30),
        "Total Spend": (100, 1000),
        "Last Interaction": (1, 30),
    },
    # What the public table ranges over; it has the same caps.
    "housing": {
        "longitude": (-124.4, -114.2),
        "latitude": (32.5, 42),
        "housing_median_age": (1, 52),
        "total_rooms": (2, 40_000),
        "population": (3, 36_000),
        "households": (1, 6_100),
        "median_income": (0.4999, 15.0001),
    },
    "iris": {
        "sepal_length": (3.5, 8.7),
        "sepal_width": (1.2, 5.2),
        "petal_length": (0.1, 7.7),
        "petal_width": (0.1, 3.3),
    },
}
TEXT_ON_READING: dict[ShapeName, dict[str, str]] = {"telco": {"TotalCharges": "str"}}


def fabricate_shape(shape: ShapeName, rows: int = ROWS, new_rows: int = NEW_ROWS, seed: int = 7) -> FabricatedCustomers:
    """Fabricate one shape with the tests' usual sizes; the iris table has the one it has."""
    rows = 150 if shape == "iris" else rows
    return fabricate(FabricationParameters(shape=shape, rows=rows, new_rows=new_rows, seed=seed))


@pytest.fixture(scope="module", name="fabricated")
def fabricated_by_shape() -> Fabricated:
    """Customers of each shape, drawn once for the tests that only look at them."""
    return {shape: fabricate_shape(shape) for shape in ALL_SHAPES}


def churned(shape: ShapeName, customers: FabricatedCustomers) -> NDArray[np.int64]:
    """Return 1 for each labelled customer that churned and 0 for the others."""
    target = customers.labelled[CHURN_SHAPES[shape].target_column]
    return (target == CHURN_SHAPES[shape].churned_label).to_numpy().astype(np.int64)


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_same_parameters_give_identical_frames(shape: ShapeName, fabricated: Fabricated) -> None:
    """The same seed gives the same values, dtypes and order; another seed gives other customers."""
    again = fabricate_shape(shape)
    assert_frame_equal(again.labelled, fabricated[shape].labelled)
    assert_frame_equal(again.new, fabricated[shape].new)
    assert_frame_equal(again.truth, fabricated[shape].truth)
    assert not fabricate_shape(shape, seed=8).new.equals(again.new)
    # The iris table is not drawn.
    assert fabricate_shape(shape, seed=8).labelled.equals(again.labelled) == (shape == "iris")


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_labelled_customers_do_not_depend_on_new_ones(shape: ShapeName, fabricated: Fabricated) -> None:
    """Asking for no new customers gives an empty frame with its columns and the same labelled customers."""
    without_new = fabricate_shape(shape, new_rows=0)
    assert_frame_equal(without_new.labelled, fabricated[shape].labelled)
    assert_frame_equal(without_new.truth, fabricated[shape].truth)
    assert len(without_new.new) == 0
    assert list(without_new.new.columns) == list(fabricated[shape].new.columns)


@pytest.mark.parametrize(
    ("shape", "columns", "target", "truth"),
    [
        ("bank", BANK_COLUMNS, "Exited", ["CustomerId", "probability"]),
        ("telco", TELCO_COLUMNS, "Churn", ["customerID", "probability"]),
        ("subscription", SUBSCRIPTION_COLUMNS, "Churn", ["CustomerID", "probability"]),
        ("housing", HOUSING_COLUMNS, "median_house_value", ["expected_value"]),
        ("iris", IRIS_COLUMNS, "species", ["setosa", "versicolor", "virginica"]),
    ],
)
def test_columns_follow_the_public_table(
    shape: ShapeName, columns: list[str], target: str, truth: list[str], fabricated: Fabricated
) -> None:
    """Labelled customers have every public column in order, new ones all but the target."""
    customers = fabricated[shape]
    assert list(customers.labelled.columns) == columns
    assert list(customers.new.columns) == [column for column in columns if column != target]
    assert list(customers.truth.columns) == truth
    assert len(customers.labelled) == (150 if shape == "iris" else ROWS)
    assert len(customers.truth) == (0 if shape == "iris" else ROWS)
    assert len(customers.new) == NEW_ROWS
    assert_frame_equal(customers.labelled.drop(columns=target).dtypes.to_frame(), customers.new.dtypes.to_frame())


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_values_stay_in_their_domains(shape: ShapeName, fabricated: Fabricated) -> None:
    """Every category occurs and no other does; numbers lie in their ranges; nothing but bedrooms is missing."""
    labelled, new = fabricated[shape].labelled, fabricated[shape].new
    for column, allowed in CATEGORIES[shape].items():
        assert set(labelled[column].unique()) == allowed, column
        assert column not in new or set(new[column].unique()) <= allowed, column
    for frame in (labelled, new):
        for column, (lowest, highest) in RANGES[shape].items():
            assert frame[column].between(lowest, highest).all(), column
        assert not frame.drop(columns="total_bedrooms", errors="ignore").isna().any(axis=None)


@pytest.mark.parametrize("shape", CHURN)
def test_ids_are_unique_and_new_customers_are_not_labelled_ones(shape: ShapeName, fabricated: Fabricated) -> None:
    """No id occurs twice, within or across the frames, and the truth keeps the labelled order."""
    id_column = CHURN_SHAPES[shape].id_column
    labelled, new = fabricated[shape].labelled, fabricated[shape].new
    assert pd.concat([labelled[id_column], new[id_column]]).is_unique
    assert labelled[id_column].equals(fabricated[shape].truth[id_column])


def test_bank_identity_columns(fabricated: Fabricated) -> None:
    """RowNumber counts on from labelled to new customers and carries no order of the shuffled ids."""
    labelled, new = fabricated["bank"].labelled, fabricated["bank"].new
    row_numbers = pd.concat([labelled["RowNumber"], new["RowNumber"]])
    assert row_numbers.tolist() == list(range(1, ROWS + NEW_ROWS + 1))
    assert abs(labelled["RowNumber"].corr(labelled["CustomerId"])) < 0.05
    assert labelled["Surname"].str.fullmatch("[A-Z][a-z]{4,}").all()


def test_telco_ids_look_like_the_public_ones(fabricated: Fabricated) -> None:
    """A customerID is four digits, a dash and five capitals."""
    assert fabricated["telco"].labelled["customerID"].str.fullmatch(r"\d{4}-[A-Z]{5}").all()


def test_bank_marginals_follow_the_public_rates() -> None:
    """Rates, the shape of age and the balances by country are close to the public table's."""
    bank = fabricate_shape("bank", rows=20_000, new_rows=0).labelled
    assert bank["Geography"].value_counts(normalize=True)["Germany"] == pytest.approx(0.25, abs=0.015)
    assert (bank["Gender"] == "Female").mean() == pytest.approx(0.45, abs=0.015)
    assert bank["HasCrCard"].mean() == pytest.approx(0.70, abs=0.015)
    assert bank["IsActiveMember"].mean() == pytest.approx(0.51, abs=0.015)
    assert bank["Age"].median() == pytest.approx(37, abs=1)
    assert bank["Age"].mean() == pytest.approx(39, abs=0.5)
    assert bank["CreditScore"].mean() == pytest.approx(650, abs=3)
    products = bank["NumOfProducts"].value_counts(normalize=True)
    assert products.loc[[1, 2]].tolist() == pytest.approx([0.51, 0.46], abs=0.015)
    assert products.loc[[3, 4]].tolist() == pytest.approx([0.025, 0.006], abs=0.004)

    no_balance = (bank["Balance"] == 0).groupby(bank["Geography"]).mean()
    assert no_balance["Germany"] == 0
    assert no_balance[["France", "Spain"]].tolist() == pytest.approx([0.48, 0.48], abs=0.02)
    positive = bank.loc[bank["Balance"] > 0, "Balance"]
    assert positive.mean() == pytest.approx(120_000, rel=0.01)
    assert positive.std() == pytest.approx(30_000, rel=0.03)


@pytest.mark.parametrize(("shape", "churn_rate"), [("bank", 0.204), ("telco", 0.265), ("subscription", 0.47)])
def test_mean_true_probability_is_the_churn_rate(shape: ShapeName, churn_rate: float, fabricated: Fabricated) -> None:
    """The intercept is solved, so only rounding to 6 decimals separates the mean from the rate."""
    probability = fabricated[shape].truth["probability"]
    assert probability.mean() == pytest.approx(churn_rate, abs=1e-6)
    assert probability.between(0, 1).all()
    assert (probability == probability.round(6)).all()


@pytest.mark.parametrize("shape", CHURN)
def test_labels_are_drawn_from_the_true_probabilities(shape: ShapeName, fabricated: Fabricated) -> None:
    """In each decile of probability the number of churners is within four binomial standard errors."""
    probability = fabricated[shape].truth["probability"]
    label = pd.Series(churned(shape, fabricated[shape]))
    decile = pd.qcut(probability, 10, labels=False)
    surplus = (label - probability).groupby(decile).sum()
    standard_error = np.sqrt((probability * (1 - probability)).groupby(decile).sum())
    z_score: NDArray[np.float64] = surplus.to_numpy() / np.asarray(standard_error)
    assert np.abs(z_score).max() < 4
    # Ten squared z-scores sum to 10 on average; 35 is exceeded about once in 10,000 seeds.
    assert (z_score**2).sum() < 35


@pytest.mark.parametrize(
    ("shape", "lowest", "highest"), [("bank", 0.86, 0.89), ("telco", 0.83, 0.87), ("subscription", 0.80, 0.85)]
)
def test_ceiling_leaves_room_as_in_the_public_tables(
    shape: ShapeName, lowest: float, highest: float, fabricated: Fabricated
) -> None:
    """Knowing the true probabilities ranks churners well but far from perfectly."""
    ceiling = describe_ceiling(churned(shape, fabricated[shape]), fabricated[shape].truth["probability"])
    assert ceiling.rows == ROWS
    assert lowest < ceiling.roc_auc < highest


def test_ceiling_of_four_customers_worked_by_hand() -> None:
    """All scores equal the ones computed by hand.

    ROC-AUC: of the four pairs of a churner (0.35, 0.8) and a stayer (0.1, 0.4), three are in the right order.
    PR-AUC: from the top, precision is 1/1 at the first churner and 2/3 at the second; their mean is 5/6.
    """
    ceiling = describe_ceiling([0, 1, 0, 1], [0.1, 0.35, 0.4, 0.8])
    assert ceiling.rows == 4
    assert ceiling.churn_rate == 0.5
    assert ceiling.roc_auc == pytest.approx(3 / 4)
    assert ceiling.pr_auc == pytest.approx(5 / 6)
    assert ceiling.log_loss == pytest.approx(-np.log(0.9 * 0.35 * 0.6 * 0.8) / 4)
    assert ceiling.brier == pytest.approx((0.1**2 + 0.65**2 + 0.4**2 + 0.2**2) / 4)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [0.5], "one length"),
        ([1, 1], [0.5, 0.6], "both of them"),
        (["No", "Yes"], [0.5, 0.6], "no other value"),
        ([0, 1], [0.5, 1.5], r"lie in \[0, 1\]"),
        ([0, 1], [0.5, float("nan")], r"lie in \[0, 1\]"),
    ],
)
def test_ceiling_refuses_what_it_cannot_score(labels: list[Any], probabilities: list[float], message: str) -> None:
    """Unequal lengths, a single class, text labels and impossible probabilities are errors."""
    with pytest.raises(ValueError, match=message):
        describe_ceiling(labels, probabilities)


@pytest.mark.parametrize("active", [0, 1])
def test_churn_rises_from_youth_to_the_mid_fifties_and_falls_in_old_age(active: int) -> None:
    """All else equal, a customer of 55 is likelier to churn than one of 30 and one of 80."""
    ages = pd.DataFrame({"Age": [30, 55, 80]})
    same = ages.assign(
        CreditScore=650,
        Geography="France",
        Gender="Male",
        Balance=0.0,
        NumOfProducts=1,
        IsActiveMember=active,
    )
    young, middle, old = churn_probability(bank_effects_on_log_odds(same), intercept=-3.0)
    assert middle > 2 * young
    assert middle > 2 * old


def test_inactivity_matters_most_in_the_mid_fifties() -> None:
    """On the log-odds scale, being inactive costs more at 54 than at 30."""
    customers = pd.DataFrame({"Age": [30, 30, 54, 54], "IsActiveMember": [1, 0, 1, 0]}).assign(
        CreditScore=650, Geography="Spain", Gender="Female", Balance=0.0, NumOfProducts=2
    )
    log_odds = bank_effects_on_log_odds(customers)
    assert log_odds[3] - log_odds[2] > log_odds[1] - log_odds[0] > 0


def test_two_products_are_best_and_more_are_worse_than_one() -> None:
    """All else equal, churn rises in the order 2, 1, 3, 4 products."""
    customers = pd.DataFrame({"NumOfProducts": [2, 1, 3, 4]}).assign(
        CreditScore=650, Geography="Spain", Gender="Female", Balance=0.0, Age=40, IsActiveMember=1
    )
    assert (np.diff(bank_effects_on_log_odds(customers)) > 0).all()


def test_bank_noise_columns_do_not_move_the_truth(fabricated: Fabricated) -> None:
    """Shuffling the columns documented as noise leaves every true log-odds unchanged."""
    bank = fabricated["bank"].labelled
    noise = ["RowNumber", "CustomerId", "Surname", "Tenure", "HasCrCard", "EstimatedSalary"]
    shuffled = bank.assign(**{column: bank[column].to_numpy()[::-1] for column in noise})
    assert np.array_equal(bank_effects_on_log_odds(shuffled), bank_effects_on_log_odds(bank))


def test_telco_true_effects_have_the_documented_signs() -> None:
    """Each risky value raises the log-odds of an otherwise safe customer."""
    safe = {
        "SeniorCitizen": 0,
        "tenure": 60,
        "InternetService": "DSL",
        "OnlineSecurity": "Yes",
        "TechSupport": "Yes",
        "Contract": "Two year",
        "PaperlessBilling": "No",
        "PaymentMethod": "Mailed check",
    }
    risks: list[dict[str, Any]] = [
        {"SeniorCitizen": 1},
        {"tenure": 2},
        {"InternetService": "Fiber optic"},
        {"OnlineSecurity": "No"},
        {"TechSupport": "No"},
        {"Contract": "One year"},
        {"Contract": "Month-to-month"},
        {"PaperlessBilling": "Yes"},
        {"PaymentMethod": "Electronic check"},
    ]
    log_odds = telco_effects_on_log_odds(pd.DataFrame([safe, *({**safe, **risk} for risk in risks)]))
    assert (log_odds[1:] > log_odds[0]).all()
    one_year, month_to_month = log_odds[6], log_odds[7]
    assert month_to_month > one_year


def test_telco_services_are_consistent(fabricated: Fabricated) -> None:
    """Without internet there is no add-on, without a phone no line count, and everyone has one of the two."""
    for telco in (fabricated["telco"].labelled, fabricated["telco"].new):
        no_internet = telco["InternetService"] == "No"
        for add_on in INTERNET_ADD_ONS:
            assert ((telco[add_on] == "No internet service") == no_internet).all(), add_on
        no_phone = telco["PhoneService"] == "No"
        assert ((telco["MultipleLines"] == "No phone service") == no_phone).all()
        assert not (no_internet & no_phone).any()


def test_telco_total_charges_follow_tenure_and_monthly_charges(fabricated: Fabricated) -> None:
    """The total is one blank at tenure 0, the monthly charge at tenure 1, and near their product later."""
    telco = fabricated["telco"].labelled
    unbilled = telco["tenure"] == 0
    assert ((telco["TotalCharges"] == " ") == unbilled).all()
    billed = telco[~unbilled]
    ratio = billed["TotalCharges"].astype(float) / (billed["tenure"] * billed["MonthlyCharges"])
    assert ratio.between(0.8, 1.2).all()
    assert ratio[billed["tenure"] == 1].tolist() == pytest.approx([1.0] * (billed["tenure"] == 1).sum())


def test_a_thousand_telco_customers_include_an_unbilled_one() -> None:
    """Some seeds draw no tenure of 0 among 1000 by chance; every one of them has at least one, and few."""
    for seed in range(12):
        unbilled = (fabricate_shape("telco", rows=1000, new_rows=0, seed=seed).labelled["tenure"] == 0).sum()
        assert 1 <= unbilled <= 10


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_frames_survive_a_csv_file(shape: ShapeName, fabricated: Fabricated) -> None:
    """Writing without the index and reading back gives equal values and dtypes."""
    customers = fabricated[shape]
    for frame in (customers.labelled, customers.new, customers.truth):
        written = frame.to_csv(index=False)
        dtype = {name: kind for name, kind in TEXT_ON_READING.get(shape, {}).items() if name in frame}
        # A column without a cell has no type in a file.
        read = pd.read_csv(io.StringIO(written), dtype=dtype)
        assert_frame_equal(read, frame, check_exact=True, check_dtype=not frame.empty)


def test_subscribers_do_not_leak(fabricated: Fabricated) -> None:
    """Neither the id nor the place in the file says who churns, and no single column comes near the truth."""
    labelled = fabricated["subscription"].labelled
    label = churned("subscription", fabricated["subscription"])
    assert abs(roc_auc_score(label, labelled["CustomerID"]) - 0.5) < 0.03
    assert abs(roc_auc_score(label, np.arange(len(label))) - 0.5) < 0.03
    numbers = labelled.select_dtypes("number").drop(columns="Churn")
    assert all(0.25 < roc_auc_score(label, numbers[column]) < 0.75 for column in numbers)


def test_subscription_marginals_follow_the_public_rates() -> None:
    """Means are near those of the public table's testing file."""
    means = fabricate_shape("subscription", rows=20_000, new_rows=0).labelled.mean(numeric_only=True)
    public = {
        "Age": 42.0,
        "Tenure": 32.0,
        "Usage Frequency": 15.1,
        "Support Calls": 5.4,
        "Payment Delay": 17.1,
        "Total Spend": 541.0,
        "Last Interaction": 15.5,
        "Churn": 0.474,
    }
    assert means[list(public)].to_dict() == pytest.approx(public, rel=0.15)


def test_subscription_true_effects_have_the_documented_signs() -> None:
    """Each risky value raises the log-odds of an otherwise safe subscriber; a short delay and middle age do not."""
    safe = {
        "Age": 30,
        "Gender": "Male",
        "Support Calls": 0,
        "Payment Delay": 0,
        "Contract Length": "Annual",
        "Total Spend": 800,
        "Last Interaction": 1,
    }
    risks: list[dict[str, Any]] = [
        {"Age": 51},
        {"Gender": "Female"},
        {"Support Calls": 1},
        {"Payment Delay": 15},
        {"Contract Length": "Monthly"},
        {"Total Spend": 700},
        {"Last Interaction": 30},
    ]
    harmless: list[dict[str, Any]] = [{"Age": 50}, {"Payment Delay": 14}, {"Contract Length": "Quarterly"}]
    log_odds = subscription_effects_on_log_odds(pd.DataFrame([safe, *({**safe, **risk} for risk in risks + harmless)]))
    assert (log_odds[1 : 1 + len(risks)] > log_odds[0]).all()
    assert (log_odds[1 + len(risks) :] == log_odds[0]).all()


def test_housing_marginals_follow_the_public_table() -> None:
    """Means, and shares by place, are near those of the 20,640 public districts (the island aside, which is tiny)."""
    housing = fabricate_shape("housing", rows=20_000, new_rows=0).labelled
    shares = housing["ocean_proximity"].value_counts(normalize=True)
    public = {"<1H OCEAN": 9136, "INLAND": 6551, "NEAR BAY": 2290, "NEAR OCEAN": 2658}
    assert shares[list(public)].to_dict() == pytest.approx({name: n / 20_640 for name, n in public.items()}, abs=0.015)
    assert housing["total_bedrooms"].isna().mean() == pytest.approx(207 / 20_640, abs=0.003)
    means = {"median_income": 3.87, "median_house_value": 206_856, "households": 500, "total_rooms": 2_636}
    assert housing[list(means)].mean().to_dict() == pytest.approx(means, rel=0.05)
    assert (housing["median_house_value"] == 500_001).mean() == pytest.approx(0.02, abs=0.01)
    assert housing["median_house_value"].max() == 500_001


def test_house_values_are_drawn_around_their_expected_values(fabricated: Fabricated) -> None:
    """In each decile of the expected value, the mean surplus is within four standard errors of nothing."""
    value = fabricated["housing"].labelled["median_house_value"]
    expected = fabricated["housing"].truth["expected_value"]
    surplus = (value - expected).groupby(pd.qcut(expected, 10, labels=False))
    standard_error = surplus.std().to_numpy() / np.sqrt(surplus.size().to_numpy())
    z_score: NDArray[np.float64] = surplus.mean().to_numpy() / standard_error
    assert np.abs(z_score).max() < 4
    # Ten squared z-scores sum to 10 on average; 35 is exceeded about once in 10,000 seeds.
    assert (z_score**2).sum() < 35


def test_no_function_of_the_district_is_left_in_the_noise(fabricated: Fabricated) -> None:
    """The log of an uncapped value differs from the formula by normal noise of the documented spread."""
    housing = fabricated["housing"].labelled
    far_below_the_cap = log_house_value(housing) < np.log(500_001) - 4 * NOISE
    noise = (np.log(housing["median_house_value"]) - log_house_value(housing))[far_below_the_cap]
    assert noise.mean() == pytest.approx(0, abs=4 * NOISE / np.sqrt(len(noise)))
    assert noise.std() == pytest.approx(NOISE, rel=0.04)
    features = housing.loc[far_below_the_cap].drop(columns=["median_house_value", "ocean_proximity"])
    # Four standard errors of the correlation of what is unrelated.
    assert features.corrwith(noise).abs().max() < 4 / np.sqrt(len(noise))


def test_best_reachable_house_values_leave_noise(fabricated: Fabricated) -> None:
    """Knowing the expected value explains most of the spread and not all; R² is scikit-learn's."""
    value = fabricated["housing"].labelled["median_house_value"]
    expected = fabricated["housing"].truth["expected_value"]
    ceiling = describe_value_ceiling(value, expected)
    assert 0.83 < ceiling.r2 < 0.87
    assert ceiling.r2 == pytest.approx(r2_score(value, expected))
    assert ceiling.rmse == pytest.approx(root_mean_squared_error(value, expected))


@pytest.mark.parametrize("log_value", [11.0, 12.8, 13.1, 14.0])
def test_expected_house_value_is_the_mean_of_the_capped_draws(log_value: float) -> None:
    """The closed form equals an integral over the quantiles of the noise, far below the cap, around and above it."""
    quantiles = (np.arange(1_000_000) + 0.5) / 1_000_000
    draws = np.minimum(np.exp(log_value + NOISE * norm.ppf(quantiles)), 500_001)
    assert expected_house_value(np.array([log_value]))[0] == pytest.approx(draws.mean(), rel=1e-6)


def test_house_values_follow_the_documented_process() -> None:
    """Richer, nearer to a city, dearer places and fewer people per household: all raise the value of a district."""
    latitude, longitude = CITIES["Los Angeles"]
    district = {
        "longitude": longitude,
        "latitude": latitude + 1,
        "housing_median_age": 20,
        "population": 1500,
        "households": 500,
        "median_income": 3.0,
        "ocean_proximity": "INLAND",
    }
    better: list[dict[str, Any]] = [
        {"median_income": 4.0},
        {"latitude": latitude},
        {"population": 1000},
        {"housing_median_age": 30},
        *({"ocean_proximity": name} for name in PLACES if name != "INLAND"),
    ]
    log_value = log_house_value(pd.DataFrame([district, *({**district, **change} for change in better)]))
    assert (log_value[1:] > log_value[0]).all()
    # Ten times the people in ten times the households: nothing changes.
    larger = log_house_value(pd.DataFrame([{**district, "population": 15_000, "households": 5_000}]))
    assert larger[0] == pytest.approx(log_value[0])


def test_iris_is_the_table_of_scikit_learn(fabricated: Fabricated) -> None:
    """Every flower, in the order of scikit-learn's own frame, with the species by name."""
    frame = load_iris(as_frame=True).frame
    labelled = fabricated["iris"].labelled
    assert np.array_equal(labelled.drop(columns="species"), frame.drop(columns="target"))
    assert labelled["species"].tolist() == ["setosa"] * 50 + ["versicolor"] * 50 + ["virginica"] * 50
    assert frame["target"].tolist() == [0] * 50 + [1] * 50 + [2] * 50


def test_new_flowers_are_like_the_real_ones(fabricated: Fabricated) -> None:
    """Each new flower is in millimetres and near a real one: four shifts of 2 mm rarely add up to 1 cm."""
    real = fabricated["iris"].labelled.drop(columns="species").to_numpy()
    new = fabricated["iris"].new.to_numpy()
    assert np.array_equal(new, new.round(1))
    nearest = np.sqrt(((new[:, np.newaxis] - real) ** 2).sum(axis=2)).min(axis=1)
    assert nearest.max() < 1
    assert np.median(nearest) > 0


def test_value_ceiling_worked_by_hand() -> None:
    """Errors of 1, 0, 0 and -1 around the values 1, 2, 3 and 4: their variance is 1.25, the error 0.5."""
    ceiling = describe_value_ceiling([1, 2, 3, 4], [0, 2, 3, 5])
    assert ceiling.model_dump() == pytest.approx({"rows": 4, "target_mean": 2.5, "r2": 0.6, "rmse": np.sqrt(0.5)})


@pytest.mark.parametrize(
    ("values", "expected", "message"),
    [
        ([1, 2], [1], "one length"),
        ([1, float("nan")], [1, 2], "finite"),
        ([1, 2], [1, float("inf")], "finite"),
        ([2, 2], [1, 2], "must differ"),
    ],
)
def test_value_ceiling_refuses_what_it_cannot_score(values: list[float], expected: list[float], message: str) -> None:
    """Unequal lengths, numbers that are none and a target without spread are errors."""
    with pytest.raises(ValueError, match=message):
        describe_value_ceiling(values, expected)


def read_use_case(use_case: str) -> tuple[FabricationParameters, CustomerDeclaration]:
    """Parameters and declaration of a use case, as its folder has them; the bank's are in base."""
    folder = ROOT / "conf" / ("base" if use_case == "bank" else use_case) / "parameters"
    parameters = yaml.safe_load((folder / "fabrication.yml").read_text(encoding="utf-8"))["fabrication"]
    declared = yaml.safe_load((folder / "customers.yml").read_text(encoding="utf-8"))["customers"]
    return FabricationParameters.model_validate(parameters), CustomerDeclaration.model_validate(declared)


@pytest.mark.parametrize("use_case", ALL_SHAPES)
def test_the_committed_sample_is_a_fresh_fabrication(use_case: str) -> None:
    """What the nodes give for the committed parameters is what lies in the use case's folder, byte for byte."""
    parameters, declaration = read_use_case(use_case)
    labelled, new, truth = fabricate_customers(parameters, declaration)
    ceiling = measure_ceiling(labelled, truth, declaration)
    made = {
        "customers.csv": labelled.to_csv(index=False),
        "new_customers.csv": new.to_csv(index=False),
        "true_values.csv" if use_case == "housing" else "true_probabilities.csv": truth.to_csv(index=False),
        "ceiling.json": ceiling.model_dump_json(indent=2) + "\n",
    }
    folder = ROOT / "data" / "01_raw" / use_case
    assert {path.name: path.read_bytes().decode() for path in folder.iterdir()} == made


def test_a_sample_without_a_truth_has_no_ceiling(fabricated: Fabricated) -> None:
    """Of the iris flowers nothing but their number is reported."""
    _, declaration = read_use_case("iris")
    iris = fabricated["iris"]
    assert measure_ceiling(iris.labelled, iris.truth, declaration) == SampleReport(rows=150)


def test_another_table_is_not_overwritten() -> None:
    """A use case whose columns no shape has is refused, with the shapes there are."""
    parameters, _ = read_use_case("housing")
    _, declaration = read_use_case("iris")
    with pytest.raises(ParameterError, match=r"lack columns.*petal_length.*bank, telco, subscription, housing, iris"):
        fabricate_customers(parameters, declaration)


def test_every_shape_name_has_a_shape() -> None:
    """What the parameters allow can be fabricated."""
    assert set(SHAPES) == set(ALL_SHAPES)


@pytest.mark.parametrize("churn_rate", [0.001, 0.204, 0.9])
def test_intercept_meets_the_churn_rate(churn_rate: float) -> None:
    """Whatever the spread of the effects, the mean probability is the wanted rate."""
    effects = np.array([-30.0, -1.0, 0.0, 2.0, 40.0, 3.0, 3.0, 3.0])
    intercept = solve_intercept(effects, churn_rate)
    assert churn_probability(effects, intercept).mean() == pytest.approx(churn_rate, rel=1e-9)


@pytest.mark.parametrize("shape", CHURN)
def test_a_single_customer_can_be_fabricated(shape: ShapeName) -> None:
    """The smallest request is served: one customer, whose probability is the churn rate."""
    customers = fabricate_shape(shape, rows=1, new_rows=1)
    assert customers.truth["probability"].tolist() == [CHURN_SHAPES[shape].churn_rate]
    assert len(customers.new) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"shape": "retail"}, {"rows": 0}, {"new_rows": -1}, {"seed": -1}, {"noise": 0.1}, {"shape": "iris", "rows": 149}],
    ids=lambda wrong: "-".join(wrong),
)
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    """An unknown shape, a size or seed out of range, an unknown parameter and a part of the flowers are errors."""
    with pytest.raises(ValidationError):
        FabricationParameters.model_validate({"shape": "bank", "rows": 10, "new_rows": 0, "seed": 1} | wrong)


@pytest.mark.parametrize("shape", CHURN)
def test_a_table_in_many_files_has_no_identifier_twice(shape: ShapeName) -> None:
    parameters = FabricationParameters.model_validate(
        {"shape": shape, "rows": 10, "new_rows": 0, "seed": 4, "large": {"parts": 3, "part_rows": 500}}
    )

    files = fabricate_large_customers(parameters)
    parts = [draw() for draw in files.values()]

    assert list(files) == ["part-00000", "part-00001", "part-00002"]
    assert pd.concat(parts)[CHURN_SHAPES[shape].id_column].nunique() == 1500
    assert not parts[0].drop(columns=CHURN_SHAPES[shape].id_column).equals(parts[1])
    assert_frame_equal(list(files.values())[2](), parts[2])


def test_without_a_size_there_are_no_files() -> None:
    assert fabricate_large_customers(FabricationParameters(shape="iris", rows=150, new_rows=0, seed=4)) == {}


def test_more_customers_than_identifiers_are_refused() -> None:
    parameters = FabricationParameters.model_validate(
        {"shape": "bank", "rows": 10, "new_rows": 0, "seed": 4, "large": {"parts": 100, "part_rows": 500_000}}
    )

    with pytest.raises(ParameterError, match="identifiers for at most 45,000,000"):
        fabricate_large_customers(parameters)["part-00000"]()
