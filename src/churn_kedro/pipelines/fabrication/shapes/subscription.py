"""Subscribers in the shape of a public table of a subscription service, churn rate 47 %.

The public table was assembled by label and leaks. These subscribers do not leak: all columns are drawn before the
label, ids are drawn at random, and the label is a Bernoulli draw. Marginal ranges follow the public table.

The true process (coefficients in `SubscriptionEffects`, formula in `subscription_effects_on_log_odds`):

* support calls: each one raises churn, the first as much as the tenth.
* payment delay: nothing up to two weeks, then rising with each further day.
* a monthly contract raises churn against a quarterly or an annual one.
* age: subscribers above 50 churn more often; below, age does not matter.
* total spend: the more a subscriber has spent, the less likely churn is.
* women churn somewhat more often; so do subscribers without a recent interaction, slightly.
* CustomerID, Tenure, Usage Frequency and Subscription Type have no effect of their own. Tenure correlates with churn
  through total spend, and so does the subscription type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from churn_kedro.pipelines.fabrication.shapes.churn import ChurnShape
from churn_kedro.pipelines.fabrication.shapes.draws import FloatArray, IntArray, indicator

# Far more numbers than subscribers, so that drawing distinct ones stays cheap.
POSSIBLE_IDS: Final = 90_000_000

SUBSCRIPTION_TYPES: Final = ("Basic", "Standard", "Premium")
CONTRACT_LENGTHS: Final = ("Monthly", "Quarterly", "Annual")
# Dollars that a subscription adds to the total spend, against Basic.
TYPE_SPEND: Final = {"Basic": 0.0, "Standard": 40.0, "Premium": 80.0}


@dataclass(frozen=True)
class SubscriptionEffects:
    """Coefficients of the subscription shape's true process, in log-odds of churn.

    Attributes:
        support_call: Effect of each call to the support.
        late_day: Effect of each day of payment delay beyond `tolerated_days`.
        tolerated_days: Days of payment delay without effect.
        monthly_contract: Effect of a monthly contract, against a quarterly or an annual one.
        older: Effect of an age above `older_than`.
        older_than: Age in years above which churn is higher.
        spend_per_100: Effect of 100 dollars more of total spend.
        woman: Effect of being a woman, against a man.
        silent_day: Effect of each day since the last interaction.
    """

    support_call: float = 0.32
    late_day: float = 0.13
    tolerated_days: float = 14.0
    monthly_contract: float = 1.2
    older: float = 1.1
    older_than: float = 50.0
    spend_per_100: float = -0.33
    woman: float = 0.6
    silent_day: float = 0.02


SUBSCRIPTION_EFFECTS: Final = SubscriptionEffects()


def subscription_effects_on_log_odds(
    customers: pd.DataFrame, effects: SubscriptionEffects = SUBSCRIPTION_EFFECTS
) -> FloatArray:
    """Return the subscription shape's true log-odds of churn, up to the intercept.

    Args:
        customers: Columns Age, Gender, Support Calls, Payment Delay, Contract Length, Total Spend and Last Interaction.
        effects: Coefficients of the process.

    Returns:
        Shape (n,); one value per customer, in the order of the rows.
    """
    late_days = np.maximum(customers["Payment Delay"].to_numpy(dtype=np.float64) - effects.tolerated_days, 0)
    log_odds: FloatArray = (
        effects.support_call * customers["Support Calls"].to_numpy(dtype=np.float64)
        + effects.late_day * late_days
        + effects.monthly_contract * indicator(customers["Contract Length"] == "Monthly")
        + effects.older * indicator(customers["Age"] > effects.older_than)
        + effects.spend_per_100 * customers["Total Spend"].to_numpy(dtype=np.float64) / 100
        + effects.woman * indicator(customers["Gender"] == "Female")
        + effects.silent_day * customers["Last Interaction"].to_numpy(dtype=np.float64)
    )
    return log_odds


def _identify_subscribers(codes: IntArray) -> pd.DataFrame:
    """Return the CustomerID, from 1, of each code."""
    return pd.DataFrame({"CustomerID": codes + 1})


def _draw_subscription_attributes(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw the columns from Age to Last Interaction.

    Age is in years, Tenure in months, Total Spend in dollars, Payment Delay and Last Interaction in days.
    """
    months = rng.integers(1, 61, size=rows)
    subscription = rng.choice(SUBSCRIPTION_TYPES, size=rows)
    type_spend = np.asarray([TYPE_SPEND[name] for name in SUBSCRIPTION_TYPES])
    position = (subscription[:, np.newaxis] == np.asarray(SUBSCRIPTION_TYPES)).argmax(axis=1)
    spend = 375 + 4 * months + type_spend[position] + rng.uniform(-300, 300, size=rows)
    return pd.DataFrame(
        {
            "Age": rng.integers(18, 66, size=rows),
            "Gender": rng.choice(("Female", "Male"), size=rows, p=(0.53, 0.47)),
            "Tenure": months,
            "Usage Frequency": rng.integers(1, 31, size=rows),
            "Support Calls": rng.integers(0, 11, size=rows),
            "Payment Delay": rng.integers(0, 31, size=rows),
            "Subscription Type": subscription,
            "Contract Length": rng.choice(CONTRACT_LENGTHS, size=rows, p=(0.34, 0.33, 0.33)),
            "Total Spend": np.clip(np.rint(spend), 100, 1_000).astype(np.int64),
            "Last Interaction": rng.integers(1, 31, size=rows),
        }
    )


SUBSCRIPTION: Final = ChurnShape(
    id_column="CustomerID",
    target_column="Churn",
    churned_label=1,
    stayed_label=0,
    churn_rate=0.47,
    possible_ids=POSSIBLE_IDS,
    identify=_identify_subscribers,
    draw_attributes=_draw_subscription_attributes,
    effects_on_log_odds=subscription_effects_on_log_odds,
)
