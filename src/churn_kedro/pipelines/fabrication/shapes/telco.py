"""Customers in the shape of IBM's public telco table, churn rate 26.5 %.

The true process (coefficients in `TelcoEffects`, formula in `telco_effects_on_log_odds`):

* contract: month-to-month is worst, one year is better, two years is best.
* tenure: a new customer's extra risk decays exponentially over the first months.
* fiber optic raises churn against DSL; having no internet service lowers it.
* paying by electronic check, and having internet without online security or without technical support, raise
  churn; senior citizens and paperless billing raise it slightly.
* customerID, gender, Partner, Dependents, PhoneService, MultipleLines, the remaining add-ons and both charges
  have no effect of their own. Some of them correlate with churn through tenure or internet service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from churn_kedro.pipelines.fabrication.shapes.churn import ChurnShape, churn_probability
from churn_kedro.pipelines.fabrication.shapes.draws import (
    FloatArray,
    IntArray,
    TextArray,
    draw_category,
    draw_yes_no,
    indicator,
)

ROWS_GUARANTEEING_AN_UNBILLED_CUSTOMER: Final = 1000

INTERNET_ADD_ONS: Final = (
    "OnlineSecurity",
    "OnlineBackup",
    "DeviceProtection",
    "TechSupport",
    "StreamingTV",
    "StreamingMovies",
)


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


TELCO_EFFECTS: Final = TelcoEffects()


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
        effects.one_year_contract * indicator(customers["Contract"] == "One year")
        + effects.two_year_contract * indicator(customers["Contract"] == "Two year")
        + effects.new_customer * np.exp(-months / effects.tenure_decay_months)
        + effects.fiber_optic * indicator(customers["InternetService"] == "Fiber optic")
        + effects.no_internet * indicator(customers["InternetService"] == "No")
        + effects.electronic_check * indicator(customers["PaymentMethod"] == "Electronic check")
        + effects.no_online_security * indicator(customers["OnlineSecurity"] == "No")
        + effects.no_tech_support * indicator(customers["TechSupport"] == "No")
        + effects.senior_citizen * indicator(customers["SeniorCitizen"] == 1)
        + effects.paperless_billing * indicator(customers["PaperlessBilling"] == "Yes")
    )
    return log_odds


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

    For rows >= 1000, at least one tenure is 0, since the blank TotalCharges of such a customer is a known pitfall of
    the public table.
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
    return draw_category(rng, ("Month-to-month", "One year", "Two year"), weights)


def _draw_add_ons(rng: np.random.Generator, months: IntArray, internet: TextArray) -> dict[str, TextArray]:
    """Draw the six internet add-ons: "Yes", "No" or "No internet service"."""
    add_ons = {}
    for add_on in INTERNET_ADD_ONS:
        share = ADD_ON_SHARE[add_on]
        log_odds = np.log(share / (1 - share)) + ADD_ON_LOG_ODDS_PER_MONTH * (months - 32)
        drawn = draw_yes_no(rng, churn_probability(log_odds, 0.0))
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
    partner = draw_yes_no(rng, np.full(rows, 0.48))
    dependents = draw_yes_no(rng, np.where(partner == "Yes", 0.52, 0.09))
    phone = draw_yes_no(rng, np.full(rows, 0.903))
    drawn_lines = draw_yes_no(rng, np.full(rows, 0.467))
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
            "PaperlessBilling": draw_yes_no(rng, _values_by_internet(internet, PAPERLESS_SHARE)),
            "PaymentMethod": draw_category(rng, PAYMENT_METHODS, _values_by_internet(internet, PAYMENT_WEIGHTS)),
            "MonthlyCharges": monthly_charges,
            "TotalCharges": pd.Series(_draw_total_charges(rng, months, monthly_charges), dtype="str"),
        }
    )


TELCO: Final = ChurnShape(
    id_column="customerID",
    target_column="Churn",
    churned_label="Yes",
    stayed_label="No",
    churn_rate=0.265,
    possible_ids=TELCO_DIGITS * len(TELCO_LETTERS) ** TELCO_LETTER_COUNT,
    identify=_identify_telco_customers,
    draw_attributes=_draw_telco_attributes,
    effects_on_log_odds=telco_effects_on_log_odds,
)
