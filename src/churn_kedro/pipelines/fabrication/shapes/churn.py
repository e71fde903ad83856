"""Generator of all churn tables.

    log-odds(churn) = intercept + effects(customer)
    probability     = 1 / (1 + exp(-log-odds)), rounded to 6 decimals
    label           ~ Bernoulli(probability)

The intercept is solved on the labelled customers so that their mean probability is the shape's churn rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from churn_kedro.pipelines.fabrication.shapes.draws import FloatArray, IntArray, draw_unique_codes
from churn_kedro.pipelines.fabrication.shapes.drift import apply_drift
from churn_kedro.pipelines.fabrication.shapes.interface import FabricatedCustomers, FabricationParameters

PROBABILITY_DECIMALS: Final = 6
_DRIFT_STREAM: Final = 1


@dataclass(frozen=True)
class ChurnShape:
    """Definition of a synthetic churn table.

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


def fabricate_churn(shape: ChurnShape, parameters: FabricationParameters) -> FabricatedCustomers:
    """Draw labelled and new customers with known churn probabilities.

    Args:
        shape: The table to imitate.
        parameters: Numbers of customers, seed and planted change.

    Returns:
        The customers; the truth has the id column and `probability`, the true probability of churn in [0, 1],
        rounded to 6 decimals. Ids of labelled and new customers are disjoint.

    Raises:
        ParameterError: The planted change does not fit the shape's columns.
    """
    # Separate random streams, so that the labelled customers do not depend on the number of new ones.
    identity_rng, labelled_rng, label_rng, new_rng = np.random.default_rng(parameters.seed).spawn(4)
    codes = draw_unique_codes(identity_rng, parameters.rows + parameters.new_rows, shape.possible_ids)
    identities = shape.identify(codes)

    # A drift has a stream of its own, so that customers without one stay the same.
    drift_rng = np.random.default_rng([parameters.seed, _DRIFT_STREAM])
    drawn = shape.draw_attributes(labelled_rng, parameters.rows)
    intercept = solve_intercept(shape.effects_on_log_odds(drawn), shape.churn_rate)
    attributes, behaving, added = apply_drift(drawn, parameters.drift, drift_rng, drawn)
    effects = shape.effects_on_log_odds(behaving) + added
    # The label is drawn from the rounded probability, so the stored probability is exact.
    probability = np.round(churn_probability(effects, intercept), PROBABILITY_DECIMALS)
    churned = label_rng.random(parameters.rows) < probability

    labelled = pd.concat([identities.iloc[: parameters.rows], attributes], axis="columns")
    labelled[shape.target_column] = np.where(churned, shape.churned_label, shape.stayed_label)
    truth = pd.DataFrame({shape.id_column: labelled[shape.id_column], "probability": probability})
    new_identities = identities.iloc[parameters.rows :].reset_index(drop=True)
    new_drawn = shape.draw_attributes(new_rng, parameters.new_rows)
    new_attributes, _, _ = apply_drift(new_drawn, parameters.drift, drift_rng, drawn)
    new = pd.concat([new_identities, new_attributes], axis="columns")
    return FabricatedCustomers(labelled=labelled, new=new, truth=truth)


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
