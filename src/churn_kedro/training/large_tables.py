"""The final fit on all training rows of a table larger than memory.

Search, candidate comparison and treatment use the sample. The trees are fitted on all training rows, with the
hyperparameters and the number of rounds of the chosen candidate; the validation customers of the sample, on which no
part of the model is fitted, then give calibration and threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from churn_kedro.base import ParameterError
from churn_kedro.customers import (
    CustomerDeclaration,
    CustomerTableError,
    LargeTables,
    WholeTable,
    describe_large_part,
    read_customers,
)
from churn_kedro.features import TrainingInputs
from churn_kedro.training.algorithms import Problem
from churn_kedro.training.algorithms.interface import answer
from churn_kedro.training.candidates import CandidateComparison, divide_for_calibration
from churn_kedro.training.folds import Development, Sample
from churn_kedro.training.parameters import ClassWeight, TrainingConfiguration, Value

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def require_large_table_support(development: Development, configuration: TrainingConfiguration) -> None:
    """Check before the search that the final fit on all rows is possible.

    Args:
        development: Training and validation customers; without effect if they are not a sample.
        configuration: Declaration and parameters.

    Raises:
        ParameterError: The algorithm cannot be fitted on a cluster, or outliers would have to be found among all rows.
    """
    if development.manifest.whole is None:
        return
    algorithms = configuration.training.algorithms
    if algorithms != ["xgboost"]:
        raise ParameterError(
            f"training.algorithms is {algorithms}, but of the algorithms only xgboost is fitted on all rows of a table "
            "larger than memory (sample_rows). Set it to [xgboost]."
        )
    if not development.learnable.all() or development.manifest.rows_left_out.get("outliers"):
        raise ParameterError(
            "The treatment drops outliers from training, which is not supported for a table larger than memory "
            "(sample_rows): limits of the sample would not be those of all rows. Choose another action for outliers."
        )


def require_same_table(development: Development, parts: LargeTables, declaration: CustomerDeclaration) -> None:
    """Check that all rows belong to the same table as the sample.

    Args:
        development: Training and validation customers.
        parts: Parts of the large table; empty without one.
        declaration: The table's declaration.

    Raises:
        CustomerTableError: The sample belongs to another table, or only one of the two was read in partitions.
    """
    whole = development.manifest.whole
    if whole is None and not parts:
        return
    if whole is None or not parts:
        raise CustomerTableError(
            "The training customers are "
            + ("not a sample, but sample_rows is set" if whole is None else "a sample, but sample_rows is not set")
            + ". Run `kedro run --pipelines data_processing,training` with one value of sample_rows for both, or set "
            "it in globals.yml of the use case."
        )
    found = describe_large_part(parts["train"], declaration)
    if found.digest != whole.train.digest:
        raise CustomerTableError(
            f"The training part of all customers ({found.rows:,} rows, digest {found.digest}) is not the one of the "
            f"split manifest ({whole.train.rows:,} rows, digest {whole.train.digest}). Run "
            "`kedro run --pipelines data_processing` again."
        )


def fit_on_all_rows(
    parts: LargeTables,
    whole: WholeTable,
    inputs: TrainingInputs,
    sample: Sample,
    configuration: TrainingConfiguration,
    problem: Problem,
    hyperparameters: Mapping[str, Value],
    rounds: int | None,
) -> Any:
    """Fit XGBoost's trees on all training rows.

    Args:
        parts: Parts of the large table.
        whole: Counts of its rows.
        inputs: The treatment, fitted on training customers of the sample.
        sample: Training customers of the sample, for types and constraints of the inputs.
        configuration: Declaration and class weights.
        problem: Learning problem.
        hyperparameters: Hyperparameters of the chosen candidate.
        rounds: Number of rounds of the chosen candidate.

    Returns:
        Fitted ``XGBClassifier`` or ``XGBRegressor``.
    """
    from churn_kedro.training.algorithms.xgboost_trees import XGBoost

    declaration = configuration.declaration
    factors = weight_factors(parts, whole, declaration, configuration.training.class_weight)
    layout = dict.fromkeys([*(f"f{place}" for place in range(len(sample.types))), "target"], "float32")
    if factors is not None:
        layout["weight"] = "float32"
    rows = parts["train"].map_partitions(encode_rows, inputs.transformer, declaration, factors, meta=layout)
    return XGBoost().grow_on_cluster(rows, sample, hyperparameters, problem, rounds or problem.max_rounds)


def encode_rows(
    prepared: pd.DataFrame, transformer: Pipeline, declaration: CustomerDeclaration, factors: np.ndarray | None
) -> pd.DataFrame:
    """Compute the model inputs of a partition.

    Args:
        prepared: Training rows of a prepared table.
        transformer: The fitted treatment.
        declaration: The table's declaration.
        factors: Factor of the weight of each class, shape (n_classes,), or of all rows, shape (1,); None: no weights.

    Returns:
        Inputs ``f0``, ``f1`` …, ``target``, and ``weight`` if there are factors, in float32, as XGBoost reads them.
    """
    customers = read_customers(prepared, declaration)
    values = np.asarray(transformer.transform(customers[declaration.feature_names]), dtype=np.float32)
    table = pd.DataFrame(values, columns=[f"f{place}" for place in range(values.shape[1])], copy=False)
    table["target"] = customers[declaration.target].to_numpy(dtype=np.float32)
    if factors is not None:
        declared = 1.0 if declaration.weight is None else customers[declaration.weight].to_numpy(dtype=np.float64)
        of_class = factors[customers[declaration.target].to_numpy()] if len(factors) > 1 else factors[0]
        table["weight"] = np.asarray(declared * of_class, dtype=np.float32)
    return table


def weight_factors(
    parts: LargeTables, whole: WholeTable, declaration: CustomerDeclaration, class_weight: ClassWeight
) -> np.ndarray | None:
    """Find the factors that give all training rows weights of mean 1, and balanced classes if they are wanted.

    Args:
        parts: Parts of the large table.
        whole: Counts of its rows.
        declaration: The table's declaration.
        class_weight: Class weights.

    Returns:
        A factor for each class, shape (n_classes,), or one for all rows, shape (1,); None: no weights.
    """
    balanced = class_weight == "balanced" and bool(declaration.classes)
    if declaration.weight is None:
        if not balanced:
            return None
        totals = np.array(list(whole.train.classes.values()), dtype=np.float64)
    else:
        sums = parts["train"].groupby(declaration.target)[declaration.weight].sum().compute()
        totals = (
            sums.reindex(range(len(declaration.classes)), fill_value=0.0).to_numpy()
            if balanced
            else np.array([sums.sum()])
        )
    return whole.train.rows / (len(totals) * totals)


def predict_validation(
    candidate_comparison: CandidateComparison,
    development: Development,
    inputs: TrainingInputs,
    fitted: Any,
    problem: Problem,
) -> CandidateComparison:
    """Replace the out-of-fold predictions by those of the final model for the validation customers.

    Args:
        candidate_comparison: The comparison on the sample.
        development: Training and validation customers of the sample.
        inputs: The treatment, fitted on the training customers.
        fitted: The model, fitted on all training rows.
        problem: Learning problem.

    Returns:
        The comparison, with validation customers only.
    """
    found = candidate_comparison.out_of_fold
    validated = found.rows >= development.n_train
    customers = development.customers.iloc[found.rows[validated]]
    return replace(
        candidate_comparison,
        out_of_fold=replace(
            found,
            rows=found.rows[validated],
            fold=divide_for_calibration(found.target[validated]),
            target=found.target[validated],
            prediction=answer(fitted, inputs.transformer.transform(customers), problem.learning),
            weight=None if found.weight is None else found.weight[validated],
        ),
    )
