"""Customers in the shape of the public table of a bank, churn rate 20.4 %.

The true process (coefficients in `BankEffects`, formula in `bank_effects_on_log_odds`):

* age: a bell-shaped hump. Small below 35, highest at 54, negligible above 80.
* inactivity: raises churn, and does so most at the ages where the hump is highest.
* products: two is best, one is worse, three is very bad and four is worse still.
* Germany, women and a non-zero balance raise churn; a higher credit score lowers it slightly.
* RowNumber, CustomerId, Surname, Tenure, HasCrCard, EstimatedSalary and the size of a non-zero Balance have
  no effect: they are noise that a model should learn to ignore.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from churn_kedro.pipelines.fabrication.shapes.churn import ChurnShape
from churn_kedro.pipelines.fabrication.shapes.draws import FloatArray, IntArray, TextArray, draw_category, indicator


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


BANK_EFFECTS: Final = BankEffects()


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
    inactive = indicator(customers["IsActiveMember"] == 0)
    product_effect = np.asarray(effects.products)[customers["NumOfProducts"].to_numpy(dtype=np.int64) - 1]
    credit_score = customers["CreditScore"].to_numpy(dtype=np.float64)
    log_odds: FloatArray = (
        effects.age_hump * age_hump
        + inactive * (effects.inactive + effects.inactive_at_age_peak * age_hump)
        + product_effect
        + effects.germany * indicator(customers["Geography"] == "Germany")
        + effects.woman * indicator(customers["Gender"] == "Female")
        + effects.has_balance * indicator(customers["Balance"] > 0)
        + effects.credit_score_per_100 * credit_score / 100
    )
    return log_odds


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
            "NumOfProducts": draw_category(rng, (1, 2, 3, 4), product_weights),
            "HasCrCard": rng.binomial(1, 0.70, size=rows),
            "IsActiveMember": rng.binomial(1, 0.51, size=rows),
            "EstimatedSalary": np.round(rng.uniform(11, 200_000, size=rows), 2),
        }
    )


BANK: Final = ChurnShape(
    id_column="CustomerId",
    target_column="Exited",
    churned_label=1,
    stayed_label=0,
    churn_rate=0.204,
    possible_ids=BANK_POSSIBLE_IDS,
    identify=_identify_bank_customers,
    draw_attributes=_draw_bank_attributes,
    effects_on_log_odds=bank_effects_on_log_odds,
)
