"""Claims about the fabricated customers and about the ceiling computed from their true probabilities."""

import io
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pandas.testing import assert_frame_equal
from pydantic import ValidationError

from churn_kedro.fabrication import (
    CUSTOMER_SHAPES,
    INTERNET_ADD_ONS,
    FabricatedCustomers,
    FabricationParameters,
    ShapeName,
    bank_effects_on_log_odds,
    churn_probability,
    describe_ceiling,
    fabricate,
    solve_intercept,
    telco_effects_on_log_odds,
)

Fabricated = dict[ShapeName, FabricatedCustomers]

SHAPES: tuple[ShapeName, ...] = get_args(ShapeName)
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
}
TEXT_ON_READING: dict[ShapeName, dict[str, str]] = {"bank": {}, "telco": {"TotalCharges": "str"}}


def fabricate_shape(shape: ShapeName, rows: int = ROWS, new_rows: int = NEW_ROWS, seed: int = 7) -> FabricatedCustomers:
    """Fabricate one shape with the tests' usual sizes."""
    return fabricate(FabricationParameters(shape=shape, rows=rows, new_rows=new_rows, seed=seed))


@pytest.fixture(scope="module", name="fabricated")
def fabricated_by_shape() -> Fabricated:
    """Customers of each shape, drawn once for the tests that only look at them."""
    return {shape: fabricate_shape(shape) for shape in SHAPES}


def churned(shape: ShapeName, customers: FabricatedCustomers) -> NDArray[np.int64]:
    """Return 1 for each labelled customer that churned and 0 for the others."""
    target = customers.labelled[CUSTOMER_SHAPES[shape].target_column]
    return (target == CUSTOMER_SHAPES[shape].churned_label).to_numpy().astype(np.int64)


@pytest.mark.parametrize("shape", SHAPES)
def test_same_parameters_give_identical_frames(shape: ShapeName, fabricated: Fabricated) -> None:
    """The same seed gives the same values, dtypes and order; another seed gives other customers."""
    again = fabricate_shape(shape)
    assert_frame_equal(again.labelled, fabricated[shape].labelled)
    assert_frame_equal(again.new, fabricated[shape].new)
    assert_frame_equal(again.truth, fabricated[shape].truth)
    assert not fabricate_shape(shape, seed=8).labelled.equals(again.labelled)


@pytest.mark.parametrize("shape", SHAPES)
def test_labelled_customers_do_not_depend_on_new_ones(shape: ShapeName, fabricated: Fabricated) -> None:
    """Asking for no new customers gives an empty frame with its columns and the same labelled customers."""
    without_new = fabricate_shape(shape, new_rows=0)
    assert_frame_equal(without_new.labelled, fabricated[shape].labelled)
    assert_frame_equal(without_new.truth, fabricated[shape].truth)
    assert len(without_new.new) == 0
    assert list(without_new.new.columns) == list(fabricated[shape].new.columns)


@pytest.mark.parametrize(("shape", "columns"), [("bank", BANK_COLUMNS), ("telco", TELCO_COLUMNS)])
def test_columns_follow_the_public_table(shape: ShapeName, columns: list[str], fabricated: Fabricated) -> None:
    """Labelled customers have every public column in order, new ones all but the target."""
    customers = fabricated[shape]
    assert list(customers.labelled.columns) == columns
    assert list(customers.new.columns) == columns[:-1]
    assert list(customers.truth.columns) == [CUSTOMER_SHAPES[shape].id_column, "probability"]
    assert len(customers.labelled) == len(customers.truth) == ROWS
    assert len(customers.new) == NEW_ROWS
    assert_frame_equal(customers.labelled.dtypes[:-1].to_frame(), customers.new.dtypes.to_frame())


@pytest.mark.parametrize("shape", SHAPES)
def test_values_stay_in_their_domains(shape: ShapeName, fabricated: Fabricated) -> None:
    """Every category occurs and no other does; numbers lie in their ranges; nothing is missing."""
    labelled, new = fabricated[shape].labelled, fabricated[shape].new
    for column, allowed in CATEGORIES[shape].items():
        assert set(labelled[column].unique()) == allowed, column
        assert column not in new or set(new[column].unique()) <= allowed, column
    for frame in (labelled, new):
        for column, (lowest, highest) in RANGES[shape].items():
            assert frame[column].between(lowest, highest).all(), column
        assert not frame.isna().any(axis=None)


@pytest.mark.parametrize("shape", SHAPES)
def test_ids_are_unique_and_new_customers_are_not_labelled_ones(shape: ShapeName, fabricated: Fabricated) -> None:
    """No id occurs twice, within or across the frames, and the truth keeps the labelled order."""
    id_column = CUSTOMER_SHAPES[shape].id_column
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


@pytest.mark.parametrize(("shape", "churn_rate"), [("bank", 0.204), ("telco", 0.265)])
def test_mean_true_probability_is_the_churn_rate(shape: ShapeName, churn_rate: float, fabricated: Fabricated) -> None:
    """The intercept is solved, so only rounding to 6 decimals separates the mean from the rate."""
    probability = fabricated[shape].truth["probability"]
    assert probability.mean() == pytest.approx(churn_rate, abs=1e-6)
    assert probability.between(0, 1).all()
    assert (probability == probability.round(6)).all()


@pytest.mark.parametrize("shape", SHAPES)
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


@pytest.mark.parametrize(("shape", "lowest", "highest"), [("bank", 0.86, 0.89), ("telco", 0.83, 0.87)])
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
        (["No", "Yes"], [0.5, 0.6], "nothing else"),
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


@pytest.mark.parametrize("shape", SHAPES)
def test_frames_survive_a_csv_file(shape: ShapeName, fabricated: Fabricated) -> None:
    """Writing without the index and reading back gives equal values and dtypes."""
    customers = fabricated[shape]
    for frame in (customers.labelled, customers.new, customers.truth):
        written = frame.to_csv(index=False)
        dtype = {name: kind for name, kind in TEXT_ON_READING[shape].items() if name in frame}
        assert_frame_equal(pd.read_csv(io.StringIO(written), dtype=dtype), frame, check_exact=True)


@pytest.mark.parametrize("churn_rate", [0.001, 0.204, 0.9])
def test_intercept_meets_the_churn_rate(churn_rate: float) -> None:
    """Whatever the spread of the effects, the mean probability is the wanted rate."""
    effects = np.array([-30.0, -1.0, 0.0, 2.0, 40.0, 3.0, 3.0, 3.0])
    intercept = solve_intercept(effects, churn_rate)
    assert churn_probability(effects, intercept).mean() == pytest.approx(churn_rate, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_single_customer_can_be_fabricated(shape: ShapeName) -> None:
    """The smallest request is served: one customer, whose probability is the churn rate."""
    customers = fabricate_shape(shape, rows=1, new_rows=1)
    assert customers.truth["probability"].tolist() == [CUSTOMER_SHAPES[shape].churn_rate]
    assert len(customers.new) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"shape": "retail"}, {"rows": 0}, {"new_rows": -1}, {"seed": -1}, {"noise": 0.1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    """An unknown shape, a size or seed out of range and an unknown parameter are errors."""
    with pytest.raises(ValidationError):
        FabricationParameters.model_validate({"shape": "bank", "rows": 10, "new_rows": 0, "seed": 1} | wrong)
