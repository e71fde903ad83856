"""Claims about what XGBoost is given for each customer column."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OrdinalEncoder

from churn_kedro.customers import CustomerDeclaration
from churn_kedro.features import build_features, input_columns, input_types

Declare = Callable[..., CustomerDeclaration]

NAN = float("nan")
ORDER = ["Age", "Charges", "Card", "Tier", "Country", "Contract", "City"]


@pytest.fixture
def one_customer(customers: pd.DataFrame) -> pd.DataFrame:
    return customers.head(1).assign(
        City="Nice", Age=40.0, Country="Spain", Charges=12.5, Tier=3.0, Contract="month", Card=1.0
    )


def inputs_of(customer: pd.DataFrame, customers: pd.DataFrame, declaration: CustomerDeclaration) -> dict[str, float]:
    features = build_features(declaration).fit(customers)
    return dict(zip(ORDER, np.asarray(features.transform(customer))[0].tolist(), strict=True))


def test_numbers_come_first_then_declared_levels_then_learned_ones(declaration: CustomerDeclaration) -> None:
    assert [column.name for column in input_columns(declaration)] == ORDER


def test_only_categorical_columns_are_categories_to_xgboost(declaration: CustomerDeclaration) -> None:
    assert dict(zip(ORDER, input_types(declaration), strict=True)) == {
        "Age": "q",
        "Charges": "q",
        "Card": "q",
        "Tier": "c",
        "Country": "c",
        "Contract": "q",
        "City": "c",
    }


def test_the_fitted_features_name_their_outputs_in_the_announced_order(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    features = build_features(declaration).fit(customers)

    assert features.get_feature_names_out().tolist() == ORDER
    assert features.transform(customers).shape == (len(customers), len(ORDER))


def test_a_level_becomes_its_position(
    one_customer: pd.DataFrame, customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    # Country: France, Spain as declared. Contract: month, year as declared. Tier: 1, 2, 3. City: Lyon, Nice, Vigo.
    assert inputs_of(one_customer, customers, declaration) == {
        "Age": 40.0,
        "Charges": 12.5,
        "Card": 1.0,
        "Tier": 2.0,
        "Country": 1.0,
        "Contract": 0.0,
        "City": 1.0,
    }


def test_ordinal_levels_keep_the_declared_order_and_not_that_of_the_alphabet(declare: Declare) -> None:
    sizes = declare(
        {"name": "size", "kind": "ordinal", "domain": ["small", "medium", "large"]}, {"name": "y", "role": "target"}
    )
    table = pd.DataFrame({"size": ["large", "small", "medium"]})

    assert build_features(sizes).fit_transform(table).ravel().tolist() == [2.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("Age", None),
        ("Age", "forty"),
        ("Charges", "NA"),
        ("Card", ""),
        ("Tier", None),
        ("Tier", "none"),
        ("Tier", 4.0),
        ("Country", None),
        ("Country", "Italy"),
        ("Country", ""),
        ("Contract", "week"),
        ("City", None),
        ("City", "Paris"),
    ],
)
def test_a_missing_or_unknown_cell_becomes_nan_and_leaves_the_others_alone(
    column: str, cell: Any, one_customer: pd.DataFrame, customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    known = inputs_of(one_customer, customers, declaration)
    odd = one_customer.assign(**{column: pd.Series([cell], index=one_customer.index, dtype=object)})

    found = inputs_of(odd, customers, declaration)

    assert np.isnan(found.pop(column))
    del known[column]
    assert found == known


@pytest.mark.parametrize("column", ["Age", "Charges", "Card", "Tier"])
def test_a_number_written_as_text_is_the_same_number(
    column: str, one_customer: pd.DataFrame, customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    number = one_customer[column].iloc[0]
    as_text = one_customer.assign(**{column: pd.Series([f"{number:g}"], index=one_customer.index, dtype="str")})

    assert inputs_of(as_text, customers, declaration) == inputs_of(one_customer, customers, declaration)


def test_levels_agree_with_scikit_learns_own_encoder(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    inputs = np.asarray(build_features(declaration).fit_transform(customers))

    for name in ("Tier", "Country", "Contract", "City"):
        encoder = OrdinalEncoder(encoded_missing_value=np.nan)
        expected = encoder.fit_transform(customers[[name]].astype(object).where(customers[[name]].notna(), np.nan))
        np.testing.assert_array_equal(inputs[:, [ORDER.index(name)]], expected)


def test_learned_levels_are_those_of_the_training_customers(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    features = build_features(declaration).fit(customers[customers["City"] != "Nice"])

    cities = features.transform(customers)[:, ORDER.index("City")]

    assert set(cities[customers["City"] == "Lyon"]) == {0.0}
    assert set(cities[customers["City"] == "Vigo"]) == {1.0}
    assert np.isnan(cities[(customers["City"] == "Nice") | customers["City"].isna()]).all()


def test_a_declared_level_needs_no_training_customer(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    features = build_features(declaration).fit(customers[customers["Country"] == "France"])

    countries = features.transform(customers)[:, ORDER.index("Country")]

    assert set(countries[customers["Country"] == "Spain"]) == {1.0}


@pytest.mark.parametrize("domain", [[3, 1, 2], [0.1, 0.25, 10]])
def test_categories_that_are_numbers_may_be_declared_in_any_order(domain: list[float], declare: Declare) -> None:
    tiers = declare({"name": "tier", "kind": "categorical", "domain": domain}, {"name": "y", "role": "target"})
    ascending = sorted(domain)

    positions = build_features(tiers).fit_transform(pd.DataFrame({"tier": [*ascending, 7]})).ravel()

    np.testing.assert_array_equal(positions, [0, 1, 2, NAN])


def test_other_columns_and_their_order_do_not_matter(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    features = build_features(declaration).fit(customers)

    shuffled = customers[list(customers)[::-1]].assign(Surname="x").drop(columns=["Id", "Left"])

    np.testing.assert_array_equal(features.transform(shuffled), features.transform(customers))


def test_a_declaration_with_one_kind_of_column_needs_no_other(declare: Declare) -> None:
    ages = declare({"name": "age", "kind": "numeric"}, {"name": "y", "role": "target"})

    assert build_features(ages).fit_transform(pd.DataFrame({"age": ["1", "x"]})).tolist()[0] == [1.0]
    assert input_types(ages) == ["q"]
