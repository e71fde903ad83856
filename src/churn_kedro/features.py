"""The feature pipeline that a declaration asks for: one model input per customer column.

XGBoost splits on categories by itself, so no column is spread over several inputs. Explanations therefore speak of the
columns that people know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_kedro.customers import Column, CustomerDeclaration

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer


def _is_read_as_number(column: Column) -> bool:
    return column.holds_numbers and column.kind != "categorical"


def _input_groups(declaration: CustomerDeclaration) -> tuple[list[Column], list[Column], list[Column]]:
    numbers = [column for column in declaration.features if _is_read_as_number(column)]
    others = [column for column in declaration.features if not _is_read_as_number(column)]
    return numbers, [column for column in others if column.levels], [column for column in others if not column.levels]


def input_columns(declaration: CustomerDeclaration) -> list[Column]:
    """Feature columns in the order in which the feature pipeline gives them to XGBoost.

    Args:
        declaration: The table's declaration.

    Returns:
        Numbers first, then columns with declared levels, then columns whose levels are learned.
    """
    return [column for group in _input_groups(declaration) for column in group]


def input_types(declaration: CustomerDeclaration) -> list[str]:
    """XGBoost feature types, in the order of :func:`input_columns`.

    Args:
        declaration: The table's declaration.

    Returns:
        ``"c"`` for a categorical column, ``"q"`` (quantitative) for any other.
    """
    return ["c" if column.kind == "categorical" else "q" for column in input_columns(declaration)]


def build_features(declaration: CustomerDeclaration) -> ColumnTransformer:
    """Build the unfitted feature pipeline.

    Args:
        declaration: The table's declaration.

    Returns:
        A transformer from raw customer columns to a float array of shape (n_samples, n_features), columns in the order
        of :func:`input_columns`. Levels become their position in the declared order; a missing or unknown level
        becomes NaN.
    """
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OrdinalEncoder

    from churn_kedro.transformers import NumberReader

    def encoder(categories: list[list[str | int | float]] | str) -> OrdinalEncoder:
        return OrdinalEncoder(
            categories=categories,
            dtype=np.float32,
            handle_unknown="use_encoded_value",
            unknown_value=np.nan,
            encoded_missing_value=np.nan,
        )

    numbers, declared, learned = _input_groups(declaration)
    groups = [
        ("numbers", NumberReader(), numbers),
        ("declared_levels", encoder([list(column.levels) for column in declared]), declared),
        ("learned_levels", encoder("auto"), learned),
    ]
    return ColumnTransformer(
        [(name, transformer, [column.name for column in group]) for name, transformer, group in groups if group],
        remainder="drop",
        verbose_feature_names_out=False,
    )
