"""Fabricate sample customers whose true churn probabilities are known.

The project runs without a download because this module can draw customers in the shape of either public
churn table. Only the layout and the rounded marginal rates follow the public tables; every row is drawn from
a seeded generator, and the label is a Bernoulli draw from a probability that is kept. A model's score can
therefore be compared with the ceiling: the score of someone who knows the true probabilities.

Both shapes follow the same recipe:

    log-odds(churn) = intercept + effects(customer)
    probability     = 1 / (1 + exp(-log-odds)), rounded to 6 decimals
    label           ~ Bernoulli(probability)

The intercept is solved on the labelled customers so that their mean probability is the shape's churn rate.

Bank shape, churn rate 20.4 % (coefficients in `BankEffects`, process in `bank_effects_on_log_odds`):

* age: a bell-shaped hump. Small below 35, highest at 54, negligible above 80.
* inactivity: raises churn, and does so most at the ages where the hump is highest.
* products: two is best, one is worse, three is very bad and four is worse still.
* Germany, women and a non-zero balance raise churn; a higher credit score lowers it slightly.
* RowNumber, CustomerId, Surname, Tenure, HasCrCard, EstimatedSalary and the size of a non-zero Balance have
  no effect: they are noise that a model should learn to ignore.

Telco shape, churn rate 26.5 % (coefficients in `TelcoEffects`, process in `telco_effects_on_log_odds`):

* contract: month-to-month is worst, one year is better, two years is best.
* tenure: a new customer's extra risk decays exponentially over the first months.
* fiber optic raises churn against DSL; having no internet service lowers it.
* paying by electronic check, and having internet without online security or without technical support, raise
  churn; senior citizens and paperless billing raise it slightly.
* customerID, gender, Partner, Dependents, PhoneService, MultipleLines, the remaining add-ons and both charges
  have no effect of their own. Some of them correlate with churn through tenure or internet service.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from churn_kedro.customers import Parameters

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TextArray = NDArray[Any]
"""One-dimensional array of `str`."""

ShapeName = Literal["bank", "telco"]

PROBABILITY_DECIMALS: Final = 6
ROWS_GUARANTEEING_AN_UNBILLED_CUSTOMER: Final = 1000

INTERNET_ADD_ONS: Final = (
    "OnlineSecurity",
    "OnlineBackup",
    "DeviceProtection",
    "TechSupport",
    "StreamingTV",
    "StreamingMovies",
)


class FabricationParameters(Parameters):
    """What to fabricate. The same parameters always give the same customers."""

    shape: ShapeName = Field(description="Public table whose columns are imitated.")
    # Telling customers apart by an eight-digit id stays cheap only while far fewer than 90 million are drawn.
    rows: int = Field(gt=0, le=10_000_000, description="Number of labelled customers.")
    new_rows: int = Field(ge=0, le=10_000_000, description="Number of new, unlabelled customers.")
    seed: int = Field(ge=0, description="Seed of the random generator.")


@dataclass(frozen=True)
class FabricatedCustomers:
    """Fabricated customers and the probabilities behind their labels.

    Attributes:
        labelled: One row per labelled customer, all columns of the shape in the public table's order.
        new: One row per new customer, the same columns without the target. The ids are disjoint from those of
            `labelled`; RowNumber, where the shape has it, continues from `labelled`.
        truth: One row per labelled customer in the same order: the id column and `probability`, the true
            probability of churn in [0, 1], rounded to 6 decimals.
    """

    labelled: pd.DataFrame
    new: pd.DataFrame
    truth: pd.DataFrame


class Ceiling(Parameters):
    """Scores on a set of customers reached by predicting each one's true churn probability."""

    rows: int = Field(gt=0, description="Number of customers scored.")
    churn_rate: float = Field(ge=0, le=1, description="Share of the customers that churned.")
    roc_auc: float = Field(ge=0, le=1, description="Area under the ROC curve of the true probabilities.")
    pr_auc: float = Field(ge=0, le=1, description="Average precision of the true probabilities.")
    log_loss: float = Field(ge=0, description="Mean log loss of the true probabilities, in nats.")
    brier: float = Field(ge=0, le=1, description="Mean squared error of the true probabilities.")


@dataclass(frozen=True)
class BankEffects:
    """Coefficients of the bank shape's true process, in log-odds of churn.

    Attributes:
        age_peak: Age in years at which churn is highest.
        age_spread: Standard deviation in years of the bell-shaped age hump.
        age_hump: Height of the hump for an active customer of the peak age.
        inactive: Effect of being inactive far from the peak age.
        inactive_at_age_peak: Further effect of being inactive at the peak age.
        products: Effect of holding 1, 2, 3 and 4 products, in this order; 2 is the reference.
        germany: Effect of living in Germany, against France and Spain.
        woman: Effect of being a woman, against a man.
        has_balance: Effect of a non-zero balance.
        credit_score_per_100: Effect of 100 more points of credit score.
    """

    age_peak: float = 54.0
    age_spread: float = 9.0
    age_hump: float = 2.8
    inactive: float = 0.6
    inactive_at_age_peak: float = 1.6
    products: tuple[float, float, float, float] = (1.65, 0.0, 4.7, 6.5)
    germany: float = 1.0
    woman: float = 0.6
    has_balance: float = 0.2
    credit_score_per_100: float = -0.08


@dataclass(frozen=True)
class TelcoEffects:
    """Coefficients of the telco shape's true process, in log-odds of churn.

    Attributes:
        one_year_contract: Effect of a one-year contract, against month-to-month.
        two_year_contract: Effect of a two-year contract, against month-to-month.
        new_customer: Effect of a tenure of zero months, against a very long tenure.
        tenure_decay_months: Months over which the effect of being new falls by a factor of e.
        fiber_optic: Effect of fiber optic, against DSL.
        no_internet: Effect of having no internet service, against DSL with all add-ons.
        electronic_check: Effect of paying by electronic check, against every other method.
        no_online_security: Effect of having internet without online security.
        no_tech_support: Effect of having internet without technical support.
        senior_citizen: Effect of being a senior citizen.
        paperless_billing: Effect of paperless billing.
    """

    one_year_contract: float = -1.1
    two_year_contract: float = -2.2
    new_customer: float = 2.3
    tenure_decay_months: float = 16.0
    fiber_optic: float = 1.0
    no_internet: float = -0.5
    electronic_check: float = 0.6
    no_online_security: float = 0.5
    no_tech_support: float = 0.5
    senior_citizen: float = 0.25
    paperless_billing: float = 0.25


BANK_EFFECTS: Final = BankEffects()
TELCO_EFFECTS: Final = TelcoEffects()


def fabricate(parameters: FabricationParameters) -> FabricatedCustomers:
    """Draw labelled and new customers with known churn probabilities.

    The labelled customers do not depend on `new_rows`. Written with `to_csv(index=False)` the frames read
    back with the same values, provided that the telco TotalCharges column is read as text.

    Args:
        parameters: Shape, numbers of customers and seed.

    Returns:
        The labelled customers, the new customers and the labelled customers' true probabilities.
    """
    shape = CUSTOMER_SHAPES[parameters.shape]
    # One stream per purpose, so that changing the number of new customers leaves the labelled ones alone.
    identity_rng, labelled_rng, label_rng, new_rng = np.random.default_rng(parameters.seed).spawn(4)
    codes = _draw_unique_codes(identity_rng, parameters.rows + parameters.new_rows, shape.possible_ids)
    identities = shape.identify(codes)

    attributes = shape.draw_attributes(labelled_rng, parameters.rows)
    effects = shape.effects_on_log_odds(attributes)
    intercept = solve_intercept(effects, shape.churn_rate)
    # The label is drawn from the rounded probability, so the published truth is exact.
    probability = np.round(churn_probability(effects, intercept), PROBABILITY_DECIMALS)
    churned = label_rng.random(parameters.rows) < probability

    labelled = pd.concat([identities.iloc[: parameters.rows], attributes], axis="columns")
    labelled[shape.target_column] = np.where(churned, shape.churned_label, shape.stayed_label)
    truth = pd.DataFrame({shape.id_column: labelled[shape.id_column], "probability": probability})
    new_identities = identities.iloc[parameters.rows :].reset_index(drop=True)
    new = pd.concat([new_identities, shape.draw_attributes(new_rng, parameters.new_rows)], axis="columns")
    return FabricatedCustomers(labelled=labelled, new=new, truth=truth)


def describe_ceiling(labels: ArrayLike, probabilities: ArrayLike) -> Ceiling:
    """Score the true probabilities against the labels drawn from them.

    Args:
        labels: Shape (n,); 1 or True for a customer that churned, 0 or False otherwise. Both must occur.
        probabilities: Shape (n,); each customer's true probability of churn in [0, 1].

    Returns:
        The scores that no model can be expected to beat on these customers.

    Raises:
        ValueError: If the shapes differ, a label is neither 0 nor 1, only one label occurs, or a probability
            lies outside [0, 1].
    """
    from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

    churned = np.asarray(labels)
    probability = np.asarray(probabilities, dtype=np.float64)
    if churned.ndim != 1 or churned.shape != probability.shape:
        msg = f"labels {churned.shape} and probabilities {probability.shape} must be arrays of one length"
        raise ValueError(msg)
    if not np.array_equal(np.unique(churned), [0, 1]):
        msg = "labels must hold 0 and 1, both of them and nothing else"
        raise ValueError(msg)
    if not np.all((probability >= 0) & (probability <= 1)):
        msg = "probabilities must lie in [0, 1]"
        raise ValueError(msg)
    churned = churned.astype(np.int64)
    return Ceiling(
        rows=len(churned),
        churn_rate=float(churned.mean()),
        roc_auc=float(roc_auc_score(churned, probability)),
        pr_auc=float(average_precision_score(churned, probability)),
        log_loss=float(log_loss(churned, probability)),
        brier=float(brier_score_loss(churned, probability)),
    )


def bank_effects_on_log_odds(customers: pd.DataFrame, effects: BankEffects = BANK_EFFECTS) -> FloatArray:
    """Return the bank shape's true log-odds of churn, up to the intercept.

    Args:
        customers: Columns CreditScore, Geography, Gender, Age, Balance, NumOfProducts and IsActiveMember.
        effects: Coefficients of the process.

    Returns:
        Shape (n,); one value per customer, in the order of the rows.
    """
    years_from_peak = customers["Age"].to_numpy(dtype=np.float64) - effects.age_peak
    age_hump = np.exp(-0.5 * (years_from_peak / effects.age_spread) ** 2)
    inactive = _indicator(customers["IsActiveMember"] == 0)
    product_effect = np.asarray(effects.products)[customers["NumOfProducts"].to_numpy(dtype=np.int64) - 1]
    credit_score = customers["CreditScore"].to_numpy(dtype=np.float64)
    log_odds: FloatArray = (
        effects.age_hump * age_hump
        + inactive * (effects.inactive + effects.inactive_at_age_peak * age_hump)
        + product_effect
        + effects.germany * _indicator(customers["Geography"] == "Germany")
        + effects.woman * _indicator(customers["Gender"] == "Female")
        + effects.has_balance * _indicator(customers["Balance"] > 0)
        + effects.credit_score_per_100 * credit_score / 100
    )
    return log_odds


def telco_effects_on_log_odds(customers: pd.DataFrame, effects: TelcoEffects = TELCO_EFFECTS) -> FloatArray:
    """Return the telco shape's true log-odds of churn, up to the intercept.

    Args:
        customers: Columns SeniorCitizen, tenure, InternetService, OnlineSecurity, TechSupport, Contract,
            PaperlessBilling and PaymentMethod.
        effects: Coefficients of the process.

    Returns:
        Shape (n,); one value per customer, in the order of the rows.
    """
    months = customers["tenure"].to_numpy(dtype=np.float64)
    log_odds: FloatArray = (
        effects.one_year_contract * _indicator(customers["Contract"] == "One year")
        + effects.two_year_contract * _indicator(customers["Contract"] == "Two year")
        + effects.new_customer * np.exp(-months / effects.tenure_decay_months)
        + effects.fiber_optic * _indicator(customers["InternetService"] == "Fiber optic")
        + effects.no_internet * _indicator(customers["InternetService"] == "No")
        + effects.electronic_check * _indicator(customers["PaymentMethod"] == "Electronic check")
        + effects.no_online_security * _indicator(customers["OnlineSecurity"] == "No")
        + effects.no_tech_support * _indicator(customers["TechSupport"] == "No")
        + effects.senior_citizen * _indicator(customers["SeniorCitizen"] == 1)
        + effects.paperless_billing * _indicator(customers["PaperlessBilling"] == "Yes")
    )
    return log_odds


def churn_probability(effects: FloatArray, intercept: float) -> FloatArray:
    """Turn log-odds into probabilities.

    Args:
        effects: Shape (n,); log-odds of churn up to the intercept.
        intercept: Log-odds of a customer whose effects sum to zero.

    Returns:
        Shape (n,); probabilities in [0, 1].
    """
    # The hyperbolic tangent form of the logistic function cannot overflow.
    probability: FloatArray = 0.5 * (1 + np.tanh(0.5 * (effects + intercept)))
    return probability


def solve_intercept(effects: FloatArray, churn_rate: float) -> float:
    """Find the intercept at which the mean churn probability equals the churn rate.

    Args:
        effects: Shape (n,), n > 0; log-odds of churn up to the intercept.
        churn_rate: Wanted mean probability, strictly between 0 and 1.

    Returns:
        The intercept in log-odds, to floating-point precision.
    """
    # At these ends every probability lies on one side of the rate, so the solution is in between.
    rate_log_odds = float(np.log(churn_rate / (1 - churn_rate)))
    lower = rate_log_odds - float(effects.max())
    upper = rate_log_odds - float(effects.min())
    for _ in range(60):
        middle = 0.5 * (lower + upper)
        if churn_probability(effects, middle).mean() < churn_rate:
            lower = middle
        else:
            upper = middle
    return 0.5 * (lower + upper)


def _indicator(condition: "pd.Series[bool]") -> FloatArray:
    """Return 1.0 where the condition holds and 0.0 elsewhere."""
    return condition.to_numpy().astype(np.float64)


def _draw_unique_codes(rng: np.random.Generator, count: int, possible: int) -> IntArray:
    """Draw distinct integers.

    Args:
        rng: Source of randomness.
        count: Number of integers wanted.
        possible: Integers come from 0 to `possible` - 1; must be well above `count`.

    Returns:
        Shape (count,); in the order of their first draw, so a smaller count gives a prefix.
    """
    codes = np.empty(0, dtype=np.int64)
    while len(codes) < count:
        codes = pd.unique(np.concatenate([codes, rng.integers(possible, size=count)]))
    return codes[:count]


def _draw_yes_no(rng: np.random.Generator, probability_of_yes: FloatArray) -> TextArray:
    """Draw "Yes" with each customer's own probability, otherwise "No"."""
    return np.where(rng.random(len(probability_of_yes)) < probability_of_yes, "Yes", "No")


def _draw_category(rng: np.random.Generator, categories: tuple[int | str, ...], weights: FloatArray) -> NDArray[Any]:
    """Draw one category per customer.

    Args:
        rng: Source of randomness.
        categories: The k values to choose from.
        weights: Shape (n, k); each customer's positive relative weights of the categories.

    Returns:
        Shape (n,); drawn values.
    """
    cumulative = np.cumsum(weights, axis=1)
    threshold = rng.random(len(weights)) * cumulative[:, -1]
    drawn: NDArray[Any] = np.asarray(categories)[(threshold[:, np.newaxis] >= cumulative).sum(axis=1)]
    return drawn


BANK_FIRST_CUSTOMER_ID: Final = 10_000_000
BANK_POSSIBLE_IDS: Final = 90_000_000

# Relative weights of 1, 2, 3 and 4 products: a customer without a balance tends to hold a second product.
PRODUCT_WEIGHTS_WITHOUT_BALANCE: Final = (25.0, 72.0, 2.6, 0.4)
PRODUCT_WEIGHTS_WITH_BALANCE: Final = (65.4, 31.4, 2.5, 0.7)

SURNAME_OPENINGS: Final = tuple(
    onset + vowel
    for onset in ("b", "br", "d", "dr", "h", "l", "m", "n", "r", "s", "st", "t", "tr", "v", "w")
    for vowel in ("a", "e", "i", "o")
)
# No ending is shorter than three letters, so no surname can read as a missing value such as "None" or "NA".
SURNAME_ENDINGS: Final = ("dor", "land", "lin", "mar", "nel", "rand", "sten", "ton", "vik", "wen")


def _identify_bank_customers(codes: IntArray) -> pd.DataFrame:
    """Return RowNumber, from 1, and the eight-digit CustomerId of each code in 0..89999999."""
    return pd.DataFrame(
        {
            "RowNumber": np.arange(1, len(codes) + 1, dtype=np.int64),
            "CustomerId": BANK_FIRST_CUSTOMER_ID + codes,
        }
    )


def _draw_surnames(rng: np.random.Generator, rows: int) -> TextArray:
    """Draw pronounceable made-up surnames of two or three syllables, five letters or more."""
    first = rng.choice(SURNAME_OPENINGS, size=rows)
    second = np.where(rng.random(rows) < 0.5, rng.choice(SURNAME_OPENINGS, size=rows), "")
    ending = rng.choice(SURNAME_ENDINGS, size=rows)
    return np.strings.capitalize(np.strings.add(np.strings.add(first, second), ending))


def _draw_bank_attributes(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw the bank columns from Surname to EstimatedSalary.

    Age is in years; Tenure in years as a customer; Balance and EstimatedSalary in euros.
    """
    country = rng.choice(("France", "Germany", "Spain"), size=rows, p=(0.50, 0.25, 0.25))
    has_balance = (country == "Germany") | (rng.random(rows) < 0.52)
    # A draw this far below the mean happens a few times in 100,000; the floor keeps it a real balance.
    positive_balance = np.maximum(rng.normal(120_000, 30_000, size=rows), 1_000)
    product_weights = np.where(
        has_balance[:, np.newaxis], PRODUCT_WEIGHTS_WITH_BALANCE, PRODUCT_WEIGHTS_WITHOUT_BALANCE
    )
    return pd.DataFrame(
        {
            "Surname": _draw_surnames(rng, rows),
            "CreditScore": np.clip(np.rint(rng.normal(650, 97, size=rows)), 350, 850).astype(np.int64),
            "Geography": country,
            "Gender": rng.choice(("Female", "Male"), size=rows, p=(0.45, 0.55)),
            "Age": np.minimum(np.floor(18 + rng.gamma(4.0, 5.35, size=rows)), 92).astype(np.int64),
            # Rounding makes the two end years half as likely as the others, as in the public table.
            "Tenure": np.rint(rng.uniform(0, 10, size=rows)).astype(np.int64),
            "Balance": np.where(has_balance, np.round(positive_balance, 2), 0.0),
            "NumOfProducts": _draw_category(rng, (1, 2, 3, 4), product_weights),
            "HasCrCard": rng.binomial(1, 0.70, size=rows),
            "IsActiveMember": rng.binomial(1, 0.51, size=rows),
            "EstimatedSalary": np.round(rng.uniform(11, 200_000, size=rows), 2),
        }
    )


TELCO_DIGITS: Final = 10_000
TELCO_LETTERS: Final = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
TELCO_LETTER_COUNT: Final = 5

INTERNET_SERVICES: Final = ("DSL", "Fiber optic", "No")
PAYMENT_METHODS: Final = (
    "Electronic check",
    "Mailed check",
    "Bank transfer (automatic)",
    "Credit card (automatic)",
)
# Relative weights in the order of PAYMENT_METHODS, by internet service.
PAYMENT_WEIGHTS: Final = {
    "DSL": (27.0, 27.0, 23.0, 23.0),
    "Fiber optic": (52.0, 8.0, 20.0, 20.0),
    "No": (8.0, 48.0, 22.0, 22.0),
}
PAPERLESS_SHARE: Final = {"DSL": 0.55, "Fiber optic": 0.77, "No": 0.29}

# Share of internet customers with each add-on at a tenure of 32 months; longer tenures hold more.
ADD_ON_SHARE: Final = {
    "OnlineSecurity": 0.36,
    "OnlineBackup": 0.44,
    "DeviceProtection": 0.44,
    "TechSupport": 0.36,
    "StreamingTV": 0.49,
    "StreamingMovies": 0.49,
}
ADD_ON_LOG_ODDS_PER_MONTH: Final = 0.02

# Monthly prices in dollars of the services that make up MonthlyCharges.
PHONE_PRICE: Final = 20.0
SECOND_LINE_PRICE: Final = 5.0
INTERNET_PRICE: Final = {"DSL": 25.0, "Fiber optic": 50.0, "No": 0.0}
ADD_ON_PRICE: Final = {
    "OnlineSecurity": 5.0,
    "OnlineBackup": 5.0,
    "DeviceProtection": 5.0,
    "TechSupport": 5.0,
    "StreamingTV": 10.0,
    "StreamingMovies": 10.0,
}


def _identify_telco_customers(codes: IntArray) -> pd.DataFrame:
    """Return the customerID, such as "0042-QXABC", of each code in 0..10000 * 26**5 - 1."""
    letters, digits = np.divmod(codes, TELCO_DIGITS)
    text = np.strings.add(np.strings.zfill(digits.astype(np.str_), 4), "-")
    for _ in range(TELCO_LETTER_COUNT):
        letters, position = np.divmod(letters, len(TELCO_LETTERS))
        text = np.strings.add(text, np.asarray(TELCO_LETTERS)[position])
    return pd.DataFrame({"customerID": text})


def _draw_telco_tenure(rng: np.random.Generator, rows: int) -> IntArray:
    """Draw months as a customer, 0..72: U-shaped from 1 to 72, with about 0.15 % exactly 0.

    Where rows >= 1000 at least one tenure is 0, because the blank TotalCharges of such a customer is a trap
    that every sample of useful size should set.
    """
    months: IntArray = np.minimum(1 + np.floor(72 * rng.beta(0.55, 0.68, size=rows)), 72).astype(np.int64)
    months[rng.random(rows) < 0.0015] = 0
    if rows >= ROWS_GUARANTEEING_AN_UNBILLED_CUSTOMER and not (months == 0).any():
        months[rng.integers(rows)] = 0
    return months


def _draw_contracts(rng: np.random.Generator, months: IntArray, internet: TextArray) -> TextArray:
    """Draw contracts: longer ones for longer tenures, shorter ones for fiber optic."""
    fiber_optic = internet == "Fiber optic"
    weights = np.column_stack(
        [
            np.ones(len(months)),
            np.exp(-2.2 + 0.045 * months - 0.7 * fiber_optic),
            np.exp(-3.2 + 0.072 * months - 1.3 * fiber_optic),
        ]
    )
    return _draw_category(rng, ("Month-to-month", "One year", "Two year"), weights)


def _draw_add_ons(rng: np.random.Generator, months: IntArray, internet: TextArray) -> dict[str, TextArray]:
    """Draw the six internet add-ons: "Yes", "No" or "No internet service"."""
    add_ons = {}
    for add_on in INTERNET_ADD_ONS:
        share = ADD_ON_SHARE[add_on]
        log_odds = np.log(share / (1 - share)) + ADD_ON_LOG_ODDS_PER_MONTH * (months - 32)
        drawn = _draw_yes_no(rng, churn_probability(log_odds, 0.0))
        add_ons[add_on] = np.where(internet == "No", "No internet service", drawn)
    return add_ons


def _values_by_internet(internet: TextArray, value: dict[str, Any]) -> FloatArray:
    """Look up each customer's value by internet service: shape (n,) or, for tuples of k, (n, k)."""
    table = np.asarray([value[service] for service in INTERNET_SERVICES], dtype=np.float64)
    position = (internet[:, np.newaxis] == np.asarray(INTERNET_SERVICES)).argmax(axis=1)
    values: FloatArray = table[position]
    return values


def _draw_total_charges(rng: np.random.Generator, months: IntArray, monthly_charges: FloatArray) -> list[str]:
    """Draw dollars charged so far as text without trailing zeros; one blank where tenure is 0.

    The first month costs the present price; earlier prices differed by a few percent.
    """
    past_price_ratio = rng.normal(1.0, 0.03, size=len(months))
    total = monthly_charges * (1 + np.maximum(months - 1, 0) * past_price_ratio)
    return [
        " " if month == 0 else f"{dollars:.2f}".rstrip("0").rstrip(".")
        for month, dollars in zip(months, total, strict=True)
    ]


def _draw_telco_attributes(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw the telco columns from gender to TotalCharges. Tenure is in months, charges in dollars."""
    months = _draw_telco_tenure(rng, rows)
    partner = _draw_yes_no(rng, np.full(rows, 0.48))
    dependents = _draw_yes_no(rng, np.where(partner == "Yes", 0.52, 0.09))
    phone = _draw_yes_no(rng, np.full(rows, 0.903))
    drawn_lines = _draw_yes_no(rng, np.full(rows, 0.467))
    lines = np.where(phone == "No", "No phone service", drawn_lines)
    # A customer without a phone line must have internet service; in the public table it is always DSL.
    internet = np.where(phone == "No", "DSL", rng.choice(INTERNET_SERVICES, size=rows, p=(0.275, 0.485, 0.24)))
    add_ons = _draw_add_ons(rng, months, internet)
    price = (
        PHONE_PRICE * (phone == "Yes")
        + SECOND_LINE_PRICE * (lines == "Yes")
        + _values_by_internet(internet, INTERNET_PRICE)
        + sum(ADD_ON_PRICE[add_on] * (held == "Yes") for add_on, held in add_ons.items())
    )
    monthly_charges = np.round(np.clip(price + rng.normal(0, 0.6, size=rows), 18, 120), 2)
    return pd.DataFrame(
        {
            "gender": rng.choice(("Female", "Male"), size=rows),
            "SeniorCitizen": rng.binomial(1, 0.16, size=rows),
            "Partner": partner,
            "Dependents": dependents,
            "tenure": months,
            "PhoneService": phone,
            "MultipleLines": lines,
            "InternetService": internet,
            **add_ons,
            "Contract": _draw_contracts(rng, months, internet),
            "PaperlessBilling": _draw_yes_no(rng, _values_by_internet(internet, PAPERLESS_SHARE)),
            "PaymentMethod": _draw_category(rng, PAYMENT_METHODS, _values_by_internet(internet, PAYMENT_WEIGHTS)),
            "MonthlyCharges": monthly_charges,
            "TotalCharges": pd.Series(_draw_total_charges(rng, months, monthly_charges), dtype="str"),
        }
    )


@dataclass(frozen=True)
class CustomerShape:
    """What sets one fabricated table apart from the other.

    Attributes:
        id_column: Column that identifies a customer.
        target_column: Column that says whether the customer churned.
        churned_label: Value of the target for a customer that churned.
        stayed_label: Value of the target for a customer that stayed.
        churn_rate: Mean true probability of churn.
        possible_ids: Number of distinct ids the shape can express.
        identify: Maps distinct codes in 0..possible_ids - 1 to the leading identity columns.
        draw_attributes: Draws the columns between identity and target for a number of customers.
        effects_on_log_odds: Maps attributes to the true log-odds of churn, up to the intercept.
    """

    id_column: str
    target_column: str
    churned_label: int | str
    stayed_label: int | str
    churn_rate: float
    possible_ids: int
    identify: Callable[[IntArray], pd.DataFrame]
    draw_attributes: Callable[[np.random.Generator, int], pd.DataFrame]
    effects_on_log_odds: Callable[[pd.DataFrame], FloatArray]


CUSTOMER_SHAPES: Final[dict[ShapeName, CustomerShape]] = {
    "bank": CustomerShape(
        id_column="CustomerId",
        target_column="Exited",
        churned_label=1,
        stayed_label=0,
        churn_rate=0.204,
        possible_ids=BANK_POSSIBLE_IDS,
        identify=_identify_bank_customers,
        draw_attributes=_draw_bank_attributes,
        effects_on_log_odds=bank_effects_on_log_odds,
    ),
    "telco": CustomerShape(
        id_column="customerID",
        target_column="Churn",
        churned_label="Yes",
        stayed_label="No",
        churn_rate=0.265,
        possible_ids=TELCO_DIGITS * len(TELCO_LETTERS) ** TELCO_LETTER_COUNT,
        identify=_identify_telco_customers,
        draw_attributes=_draw_telco_attributes,
        effects_on_log_odds=telco_effects_on_log_odds,
    ),
}
