"""Predictions of all test customers of a table larger than memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from churn_kedro.customers import CustomerDeclaration, read_customers
from churn_kedro.models.interface import RegisteredModel, ScoredCustomers, score_labelled
from churn_kedro.models.training_rows import count_digested, digest_partition

if TYPE_CHECKING:
    import dask.dataframe as dd

    from churn_estimators.model import CustomerModel


def score_large_part(
    model: RegisteredModel, part: dd.DataFrame, declaration: CustomerDeclaration
) -> tuple[ScoredCustomers, int | None]:
    """Score a part of a prepared table partition by partition.

    Args:
        model: A version of the declared task, loaded with its training rows.
        part: The part.
        declaration: The table's declaration.

    Returns:
        Target and prediction of each customer, in memory; and the number of customers that the version was trained on,
        None where its training rows were not recorded.
    """
    import dask

    # Delayed, so that the graph contains the model once, not once per partition.
    estimator = dask.delayed(model.estimator, pure=True)
    layout = score_partition(part._meta_nonempty, model.estimator, declaration).iloc[:0]
    scored = part.map_partitions(score_partition, estimator, declaration, meta=layout).compute()
    predictions = scored.filter(regex=r"^prediction_").to_numpy()
    scores = ScoredCustomers(
        task=declaration.task,
        target=scored["target"].to_numpy(),
        prediction=predictions if predictions.shape[1] > 1 else predictions[:, 0],
        threshold=model.estimator.threshold,
        classes=tuple(str(label) for label in declaration.classes),
        eligible=scored["eligible"].to_numpy() if "eligible" in scored else None,
    )
    return scores, count_digested(model, scored["digest"].to_numpy(), declaration)


def score_partition(prepared: pd.DataFrame, model: CustomerModel, declaration: CustomerDeclaration) -> pd.DataFrame:
    """Score the rows of a partition.

    Args:
        prepared: Rows of one part.
        model: The model.
        declaration: The table's declaration.

    Returns:
        ``target``, ``prediction_0`` and further ones for several classes, ``eligible`` if the model decides by it, and
        ``digest`` of each row.
    """
    scores = score_labelled(model, read_customers(prepared, declaration), declaration)
    predictions = np.asarray(scores.prediction).reshape(len(prepared), -1)
    table = pd.DataFrame(predictions, columns=[f"prediction_{place}" for place in range(predictions.shape[1])])
    table.insert(0, "target", scores.target)
    if scores.eligible is not None:
        table["eligible"] = scores.eligible
    table["digest"] = digest_partition(prepared, declaration).to_numpy()
    return table
