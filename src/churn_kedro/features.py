"""The feature pipeline that a declaration asks for: one model input per customer column.

XGBoost splits on categories by itself, so no column is spread over several inputs. Explanations therefore speak of the
columns that people know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from churn_kedro.customers import Column, CustomerDeclaration, Level

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

_Group = Literal["numbers", "number_levels", "text_levels", "learned_levels"]
_GROUPS: tuple[_Group, ...] = ("numbers", "number_levels", "text_levels", "learned_levels")


def _group_of(column: Column) -> _Group:
    if column.holds_numbers:
        return "number_levels" if column.kind == "categorical" else "numbers"
    return "text_levels" if column.levels else "learned_levels"


def _columns_by_group(declaration: CustomerDeclaration) -> dict[_Group, list[Column]]:
    return {group: [column for column in declaration.features if _group_of(column) == group] for group in _GROUPS}


def input_columns(declaration: CustomerDeclaration) -> list[Column]:
    """Feature columns in the order in which the feature pipeline gives them to XGBoost.

    Args:
        declaration: The table's declaration.

    Returns:
        Numbers first, then columns with declared levels, then columns whose levels are learned.
    """
    return [column for columns in _columns_by_group(declaration).values() for column in columns]


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
        of :func:`input_columns`. Levels become their position in the declared order (numbers that are categories: in
        ascending order); a missing or unknown level becomes NaN.
    """
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    from churn_kedro.transformers import NumberReader

    groups = _columns_by_group(declaration)

    def levels(column: Column) -> list[Level]:
        # scikit-learn wants numbers in ascending order; the positions of a categorical column's levels mean nothing.
        return sorted(column.levels) if column.holds_numbers else list(column.levels)

    def encoder(group: _Group) -> OrdinalEncoder:
        return OrdinalEncoder(
            categories="auto" if group == "learned_levels" else [levels(column) for column in groups[group]],
            handle_unknown="use_encoded_value",
            unknown_value=np.nan,
            encoded_missing_value=np.nan,
        )

    transformers = {
        "numbers": NumberReader(),
        "number_levels": make_pipeline(NumberReader(), encoder("number_levels")),
        "text_levels": encoder("text_levels"),
        "learned_levels": encoder("learned_levels"),
    }
    return ColumnTransformer(
        [
            (group, transformers[group], [column.name for column in columns])
            for group, columns in groups.items()
            if columns
        ],
        verbose_feature_names_out=False,
    )
