"""Claims about the model inputs made of each customer column, fitted on training customers only."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.impute import KNNImputer
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

from churn_estimators.cells import read_table
from churn_kedro.base.errors import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.customers.normalisation import normalise
from churn_kedro.customers.tasks import Task
from churn_kedro.features.fitted import FittedFeatures, describe_features
from churn_kedro.features.outliers import find_training_outliers
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.features.sources import source_columns
from churn_kedro.features.treatment import TrainingInputs, build_features, encode_training_customers, fit_features
from tests.treatment_cases import SELECTIONS, treatment_case

Declare = Callable[..., CustomerDeclaration]

NAN = float("nan")
ORDER = ["Age", "Charges", "Card", "Tier", "Country", "Contract", "City"]
DEFAULT = FeatureParameters()
TARGET = {"name": "y", "role": "target"}
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


def parameters(**fields: Any) -> FeatureParameters:
    return FeatureParameters.model_validate(fields)


def read(table: pd.DataFrame, declaration: CustomerDeclaration) -> pd.DataFrame:
    """The columns of a table, typed as declared."""
    readers = [declaration.cell_reader(column) for column in declaration.features]
    return read_table(table, [reader for reader in readers if reader.column in table]).table


def fit(
    declaration: CustomerDeclaration, train: dict[str, Any], features: FeatureParameters = DEFAULT
) -> TrainingInputs:
    """Treatment fitted on a few customers, every other one of which left."""
    table = read(pd.DataFrame(train), declaration)
    return fit_features(table.assign(**{declaration.target: np.arange(len(table)) % 2}), declaration, features)


def numeric(declare: Declare, **treatment: Any) -> CustomerDeclaration:
    """A declaration of one numeric column with a treatment."""
    return declare({"name": "a", "kind": "numeric", "nullable": True, "treatment": treatment}, TARGET)


def treated(inputs: TrainingInputs, **columns: Any) -> list[list[float]]:
    """Model inputs of other customers, one list per input."""
    values: list[list[float]] = np.asarray(inputs.transformer.transform(pd.DataFrame(columns))).T.tolist()
    return values


@pytest.fixture
def one_customer(customers: pd.DataFrame) -> pd.DataFrame:
    return customers.head(1).assign(
        City="Nice", Age=40.0, Country="Spain", Charges=12.5, Tier=3.0, Contract="month", Card=1.0
    )


def inputs_of(customer: pd.DataFrame, customers: pd.DataFrame, declaration: CustomerDeclaration) -> dict[str, float]:
    features = build_features(declaration, DEFAULT).fit(customers)
    typed = read(customer, declaration)
    return dict(zip(ORDER, np.asarray(features.transform(typed))[0].tolist(), strict=True))


# The default treatment.


def test_numbers_come_first_then_declared_levels_then_learned_ones(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    inputs = fit_features(customers, declaration, DEFAULT)

    assert list(inputs.sources) == list(inputs.sources.values()) == ORDER
    assert inputs.transformer.get_feature_names_out().tolist() == ORDER
    assert inputs.values.shape == (len(customers), len(ORDER))


def test_only_categorical_columns_are_categories_to_xgboost(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    assert dict(zip(ORDER, fit_features(customers, declaration, DEFAULT).types, strict=True)) == {
        "Age": "q",
        "Charges": "q",
        "Card": "q",
        "Tier": "c",
        "Country": "c",
        "Contract": "q",
        "City": "c",
    }


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

    assert build_features(sizes, DEFAULT).fit_transform(table).ravel().tolist() == [2.0, 0.0, 1.0]


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
def test_a_missing_or_unknown_cell_becomes_nan(
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
    inputs = np.asarray(build_features(declaration, DEFAULT).fit_transform(customers))

    for name in ("Tier", "Country", "Contract", "City"):
        encoder = OrdinalEncoder(encoded_missing_value=np.nan)
        expected = encoder.fit_transform(customers[[name]].astype(object).where(customers[[name]].notna(), np.nan))
        np.testing.assert_array_equal(inputs[:, [ORDER.index(name)]], expected)


def test_learned_levels_are_those_of_the_training_customers(
    customers: pd.DataFrame, declaration: CustomerDeclaration
) -> None:
    features = build_features(declaration, DEFAULT).fit(customers[customers["City"] != "Nice"])

    cities = features.transform(customers)[:, ORDER.index("City")]

    assert set(cities[customers["City"] == "Lyon"]) == {0.0}
    assert set(cities[customers["City"] == "Vigo"]) == {1.0}
    assert np.isnan(cities[(customers["City"] == "Nice") | customers["City"].isna()]).all()


def test_a_declared_level_needs_no_training_customer(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    features = build_features(declaration, DEFAULT).fit(customers[customers["Country"] == "France"])

    countries = features.transform(customers)[:, ORDER.index("Country")]

    assert set(countries[customers["Country"] == "Spain"]) == {1.0}


@pytest.mark.parametrize("domain", [[3, 1, 2], [0.1, 0.25, 10]])
def test_categories_that_are_numbers_may_be_declared_in_any_order(domain: list[float], declare: Declare) -> None:
    tiers = declare({"name": "tier", "kind": "categorical", "domain": domain}, {"name": "y", "role": "target"})
    ascending = sorted(domain)

    positions = build_features(tiers, DEFAULT).fit_transform(pd.DataFrame({"tier": [*ascending, 7]})).ravel()

    np.testing.assert_array_equal(positions, [0, 1, 2, NAN])


def test_other_columns_and_their_order_do_not_matter(customers: pd.DataFrame, declaration: CustomerDeclaration) -> None:
    features = build_features(declaration, DEFAULT).fit(customers)

    shuffled = customers[list(customers)[::-1]].assign(Surname="x").drop(columns=["Id", "Left"])

    np.testing.assert_array_equal(features.transform(shuffled), features.transform(customers))


def test_a_declaration_with_one_kind_of_column_needs_no_other(declare: Declare) -> None:
    ages = declare({"name": "age", "kind": "numeric"}, TARGET)

    inputs = fit(ages, {"age": ["1", "x"]})

    assert inputs.values[0].tolist() == [1.0]
    assert inputs.types == ["q"]


# Each treatment, against numbers worked out by hand or by other means.


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("median", 3.0), ("mean", 4.0), ("most_frequent", 1.0)],
)
def test_a_missing_number_gets_the_fitted_value(missing: str, expected: float, declare: Declare) -> None:
    inputs = fit(numeric(declare, missing=missing), {"a": [1.0, 1.0, 3.0, 5.0, 10.0, NAN]})

    assert treated(inputs, a=[NAN, 7.0, NAN]) == [[expected, 7.0, expected]]


def test_a_missing_number_gets_the_given_one(declare: Declare) -> None:
    inputs = fit(numeric(declare, missing="constant", fill_value=-9), {"a": [1.0, 2.0]})

    assert treated(inputs, a=[NAN, 7.0]) == [[-9.0, 7.0]]


def test_an_indicator_is_1_where_the_number_is_missing_whether_it_is_filled_or_not(declare: Declare) -> None:
    for missing, filled in (("keep", NAN), ("median", 2.0)):
        inputs = fit(numeric(declare, missing=missing, indicator=True), {"a": [1.0, 2.0, 3.0]})

        np.testing.assert_array_equal(treated(inputs, a=[NAN, 7.0]), [[filled, 7.0], [1.0, 0.0]])
        assert inputs.sources == {"a": "a", "a_missing": "a"}


def test_knn_imputes_the_mean_of_the_nearest_customers_in_standard_units(declare: Declare) -> None:
    both = declare(
        {"name": "a", "kind": "numeric", "nullable": True, "treatment": {"missing": "knn"}},
        {"name": "b", "kind": "numeric"},
        TARGET,
    )
    random = np.random.default_rng(3)
    table = pd.DataFrame({"a": random.normal(0, 1, 40), "b": random.normal(0, 1000, 40)})
    table.loc[:4, "a"] = NAN
    inputs = fit(both, {name: table[name] for name in ("a", "b")}, parameters(imputation={"n_neighbors": 2}))

    scaler = StandardScaler().fit(table)
    expected = scaler.inverse_transform(KNNImputer(n_neighbors=2).fit_transform(scaler.transform(table)))
    np.testing.assert_allclose(inputs.values, expected)
    assert treated(inputs, a=[0.25], b=[1.0]) == [[0.25], [1.0]]


def test_iterative_filling_finds_a_column_that_is_the_double_of_another(declare: Declare) -> None:
    both = declare(
        {"name": "a", "kind": "numeric", "nullable": True, "treatment": {"missing": "iterative"}},
        {"name": "b", "kind": "numeric"},
        TARGET,
    )
    random = np.random.default_rng(3)
    b = random.normal(0, 100, 50)
    inputs = fit(both, {"a": 2 * b, "b": b})

    assert treated(inputs, a=[NAN], b=[21.0])[0][0] == pytest.approx(42.0, rel=1e-3)


def test_outliers_are_clipped_to_the_fences_that_numpy_computes(declare: Declare) -> None:
    numbers = [*np.arange(1.0, 20.0), 500.0, NAN]
    low, high = np.nanquantile(numbers, [0.25, 0.75])
    mean, deviation = np.nanmean(numbers), np.nanstd(numbers)
    expected = {
        "iqr": [low - 1.5 * (high - low), high + 1.5 * (high - low)],
        "zscore": [mean - 1.5 * deviation, mean + 1.5 * deviation],
    }
    for method, fences in expected.items():
        outliers = {"method": method, "threshold": 1.5, "action": "clip"}
        inputs = fit(numeric(declare, outliers=outliers), {"a": numbers})

        np.testing.assert_allclose(treated(inputs, a=[-1e6, 1e6, 7.0, NAN]), [[*fences, 7.0, NAN]])


def test_flagged_outliers_keep_their_value(declare: Declare) -> None:
    outliers = {"method": "iqr", "threshold": 1.5, "action": "flag"}
    inputs = fit(numeric(declare, outliers=outliers), {"a": list(range(20))})

    np.testing.assert_array_equal(treated(inputs, a=[7.0, 100.0, NAN]), [[7.0, 100.0, NAN], [0.0, 1.0, 0.0]])
    assert inputs.sources == {"a": "a", "a_outlier": "a"}


def test_fences_are_computed_before_imputation(declare: Declare) -> None:
    outliers = {"method": "iqr", "threshold": 1.0, "action": "clip"}
    numbers = [0.0, 1.0, 2.0, 3.0, 4.0, *[NAN] * 20]
    inputs = fit(numeric(declare, outliers=outliers, missing="median"), {"a": numbers})

    # Quartiles 1 and 3 of the five; of the filled column both would be 2.
    assert treated(inputs, a=[-50.0, 50.0, NAN]) == [[-1.0, 5.0, 2.0]]


@pytest.mark.parametrize(
    ("binning", "expected"),
    [
        ({"method": "quantile", "bins": 4}, [0.0, 1.0, 3.0]),
        ({"method": "width", "bins": 4}, [0.0, 0.0, 3.0]),
        ({"method": "edges", "edges": [1.5, 3.0]}, [0.0, 2.0, 2.0]),
    ],
)
def test_numbers_become_positions_of_intervals(
    binning: dict[str, Any], expected: list[float], declare: Declare
) -> None:
    inputs = fit(numeric(declare, binning=binning), {"a": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 40.0]})

    # Quartiles 1.75, 3.5, 5.25; a quarter of the width is 10.
    assert treated(inputs, a=[-5.0, 3.0, 99.0]) == [expected]
    np.testing.assert_array_equal(treated(inputs, a=[NAN]), [[NAN]])


@pytest.mark.parametrize(
    ("scaling", "centre", "scale"),
    [("standard", 3.0, np.std([1, 2, 3, 4, 5])), ("min_max", 1.0, 4.0), ("robust", 3.0, 2.0)],
)
def test_scaling_subtracts_a_centre_and_divides_by_a_scale(
    scaling: str, centre: float, scale: float, declare: Declare
) -> None:
    inputs = fit(numeric(declare, scaling=scaling), {"a": [1.0, 2.0, 3.0, 4.0, 5.0, NAN]})

    np.testing.assert_allclose(treated(inputs, a=[9.0, NAN]), [[(9.0 - centre) / scale, NAN]])


def city(declare: Declare, **treatment: Any) -> CustomerDeclaration:
    return declare({"name": "c", "kind": "categorical", "nullable": True, "treatment": treatment}, TARGET)


def test_one_hot_gives_each_training_level_an_input_and_an_unknown_one_none(declare: Declare) -> None:
    inputs = fit(city(declare, encoding="one_hot"), {"c": ["Nice", "Lyon", None, "Nice"]})

    assert inputs.sources == {"c_Lyon": "c", "c_Nice": "c", "c_nan": "c"}
    assert treated(inputs, c=["Lyon", "Nice", "Vigo"]) == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_ordinal_gives_the_position_and_no_category(declare: Declare) -> None:
    inputs = fit(city(declare, encoding="ordinal"), {"c": ["Nice", "Lyon"]})

    assert treated(inputs, c=["Nice", "Lyon", "Vigo"])[0][:2] == [1.0, 0.0]
    assert inputs.types == ["q"]


def test_native_makes_a_category_of_any_levels(declare: Declare) -> None:
    flags = declare({"name": "f", "kind": "binary", "domain": [0, 1], "treatment": {"encoding": "native"}}, TARGET)

    assert fit(flags, {"f": [0.0, 1.0]}).types == ["c"]


def test_a_missing_level_gets_the_most_frequent_or_the_given_one(declare: Declare) -> None:
    cities = {"c": ["Nice", "Nice", "Lyon", None]}
    frequent = fit(city(declare, missing="most_frequent"), cities)
    given = fit(city(declare, missing="constant", fill_value="none"), cities)

    # Lyon is 0, Nice is 1; the given level comes last.
    assert treated(frequent, c=[None, "Vigo", "Lyon"]) == [[1.0, 1.0, 0.0]]
    assert treated(given, c=[None, "Vigo", "Lyon"]) == [[2.0, 2.0, 0.0]]


def test_a_target_encoding_of_others_is_the_shrunk_mean_of_all_training_customers(declare: Declare) -> None:
    left, cities = [1, 0, 1, 1, 0, 0, 0, 0, 0, 0], ["Nice"] * 4 + ["Lyon"] * 6
    table = pd.DataFrame({"c": cities, "y": left})
    inputs = fit_features(table, city(declare, encoding="target"), DEFAULT)

    # Empirical Bayes as scikit-learn documents it: weight n s2 / (n s2 + v), s2 of all targets, v within the level.
    overall, spread = np.mean(left), np.var(left)
    expected = []
    for level in ("Nice", "Lyon"):
        own = table.loc[table["c"] == level, "y"]
        weight = len(own) * spread / (len(own) * spread + own.var(ddof=0))
        expected.append(weight * own.mean() + (1 - weight) * overall)
    np.testing.assert_allclose(treated(inputs, c=["Nice", "Lyon", "Vigo"]), [[*expected, overall]])


def test_target_encoding_of_a_training_customer_excludes_its_own_target(declare: Declare) -> None:
    # Every customer is a level of its own: nothing but its own target could tell them apart.
    table = pd.DataFrame({"c": [f"c{number}" for number in range(100)], "y": [0, 1] * 50})
    inputs = fit_features(table, city(declare, encoding="target"), DEFAULT)

    np.testing.assert_allclose(inputs.values, 0.5)
    np.testing.assert_allclose(inputs.transformer.transform(table)[:, 0], table["y"])
    np.testing.assert_array_equal(fit_features(table, city(declare, encoding="target"), DEFAULT).values, inputs.values)


def since(declare: Declare, **treatment: Any) -> CustomerDeclaration:
    return declare(
        {"name": "d", "kind": "date", "date_format": "%d.%m.%Y", "nullable": True, "missing": ["01.01.1900"]}
        | {"treatment": treatment},
        TARGET,
    )


def test_a_date_is_its_age_and_its_month_however_it_is_written(declare: Declare) -> None:
    dates = pd.to_datetime(["2023-12-31", "2024-01-31"]).astype("datetime64[us]")
    inputs = fit(since(declare), {"d": dates})
    expected = [[31.0, NAN, -1.0], [12.0, NAN, 2.0]]

    assert inputs.sources == {"d_age_days": "d", "d_month": "d"}
    for cells in (
        ["31.12.2023", "soon", "01.02.2024"],
        ["31.12.2023", "01.01.1900", "01.02.2024"],
        ["2023-12-31", None, "2024-02-01"],
        pd.to_datetime(pd.Series(["2023-12-31", None, "2024-02-01"])),
    ):
        typed = read(pd.DataFrame({"d": list(cells)}), since(declare))
        np.testing.assert_array_equal(treated(inputs, d=typed["d"]), expected)


def test_a_date_can_be_its_season_and_its_weekday(declare: Declare) -> None:
    inputs = fit(since(declare, parts=["season", "weekday"]), {"d": ["01.01.2024", "02.01.2024"]})

    sine, cosine, weekday = treated(inputs, d=pd.to_datetime(["2024-01-01", "2024-04-01", "2023-12-31"]))

    angles = 2 * np.pi * np.array([0, 91, 364]) / 365.25
    np.testing.assert_allclose(sine, np.sin(angles), atol=1e-12)
    np.testing.assert_allclose(cosine, np.cos(angles), atol=1e-12)
    assert weekday == [0.0, 0.0, 6.0]


def test_derived_columns_are_computed_and_treated_like_numbers(declare: Declare) -> None:
    columns = ({"name": "a", "kind": "numeric"}, {"name": "b", "kind": "numeric"}, TARGET)
    made = [
        {"name": operation, "operation": operation, "of": ["a", "b"]}
        for operation in ("ratio", "product", "difference", "sum")
    ]
    declaration = CustomerDeclaration.model_validate({**declare(*columns).model_dump(), "derived": made})
    inputs = fit(declaration, {"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 2.0]})

    values = treated(inputs, a=[6.0, 6.0, NAN], b=[3.0, 0.0, 2.0])
    np.testing.assert_array_equal(values[2:], [[2.0, NAN, NAN], [18.0, 0.0, NAN], [3.0, 6.0, NAN], [9.0, 6.0, NAN]])
    assert list(inputs.sources.values())[2:] == ["ratio", "product", "difference", "sum"]

    filled = fit(declaration, {"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 2.0]}, parameters(numeric={"missing": "median"}))
    assert treated(filled, a=[6.0], b=[0.0])[2] == [0.5]


def test_a_decimal_comma_and_marked_numbers_are_read_at_scoring_as_in_the_file(declare: Declare) -> None:
    column = {"name": "a", "kind": "numeric", "nullable": True, "missing": ["-1", "none"]}
    declaration = CustomerDeclaration.model_validate({**declare(column, TARGET).model_dump(), "decimal": ","})
    inputs = fit(declaration, {"a": [1.0, 2.0]})

    for cells, expected in (
        (["1,5", "2", "-1", "none", "1,5,5", ""], [1.5, 2.0, NAN, NAN, NAN, NAN]),
        ([1.5, -1.0], [1.5, NAN]),
    ):
        typed = read(pd.DataFrame({"a": cells}), declaration)
        np.testing.assert_array_equal(treated(inputs, a=typed["a"]), [expected])


# Outliers that training leaves out.


def test_customers_beyond_a_fence_are_left_out_of_training(declare: Declare) -> None:
    outliers = {"method": "iqr", "threshold": 1.5, "action": "drop"}
    train = pd.DataFrame({"a": [*range(20), 500.0, NAN], "y": 0}, index=range(100, 122))

    outlying = find_training_outliers(train, numeric(declare, outliers=outliers), DEFAULT)

    assert outlying[outlying].index.tolist() == [120]
    assert not find_training_outliers(train, numeric(declare), DEFAULT).any()
    assert treated(fit(numeric(declare, outliers=outliers), {"a": [*range(20)]}), a=[500.0]) == [[500.0]]


def strange(declare: Declare) -> tuple[CustomerDeclaration, pd.DataFrame]:
    both = declare({"name": "a", "kind": "numeric"}, {"name": "b", "kind": "numeric"}, TARGET)
    random = np.random.default_rng(0)
    return both, pd.DataFrame({"a": random.normal(0, 1, 200), "b": random.normal(0, 1, 200), "y": 0})


@pytest.mark.slow
@pytest.mark.parametrize("action", ["flag", "drop"])
def test_row_outliers_are_those_of_scikit_learns_isolation_forest(action: str, declare: Declare) -> None:
    declaration, train = strange(declare)
    features = parameters(row_outliers={"action": action, "contamination": 0.05, "random_state": 7})
    forest = IsolationForest(contamination=0.05, random_state=7).fit(train[["a", "b"]].to_numpy())
    expected = forest.predict(train[["a", "b"]].to_numpy()) == -1

    outlying = find_training_outliers(train, declaration, features)
    inputs = fit_features(train, declaration, features)

    assert expected.sum() == 10
    if action == "drop":
        np.testing.assert_array_equal(outlying, expected)
        assert list(inputs.sources) == ["a", "b"]
    else:
        assert not outlying.any()
        np.testing.assert_array_equal(inputs.values[:, 2], expected)
        assert inputs.sources["row_outlier"] == "row_outlier"


# Selection.


def informative(declare: Declare) -> tuple[CustomerDeclaration, pd.DataFrame]:
    """The target depends on the number ``a`` and the levels ``c`` only."""
    declaration = declare(
        {"name": "a", "kind": "numeric", "nullable": True},
        {"name": "noise", "kind": "numeric"},
        {"name": "same", "kind": "numeric"},
        {"name": "c", "kind": "categorical"},
        {"name": "town", "kind": "categorical"},
        TARGET,
    )
    random = np.random.default_rng(1)
    a, c = random.normal(0, 1, 1000), random.integers(0, 4, 1000)
    table = pd.DataFrame(
        {
            "a": np.where(random.random(1000) < 0.1, NAN, a),
            "noise": random.normal(0, 1, 1000),
            "same": 1.0,
            "c": np.array(["p", "q", "r", "s"])[c],
            # Four customers a town: by chance alone, towns seem to tell more of the target than c does.
            "town": pd.Series(random.integers(0, 250, 1000)).astype("str"),
            "y": (a + 1.5 * (c == 3) + random.normal(0, 0.5, 1000) > 0.5).astype(int),
        }
    )
    return declaration, table


def test_an_input_that_does_not_vary_is_left_out_by_variance(declare: Declare) -> None:
    declaration, table = informative(declare)

    inputs = fit_features(table, declaration, parameters(selection={"method": "variance", "threshold": 0}))

    assert list(inputs.sources) == ["a", "noise", "c", "town"]
    assert inputs.types == ["q", "q", "c", "c"]


@pytest.mark.parametrize("method", ["mutual_information", "model"])
def test_selection_keeps_inputs_that_predict_the_target(method: str, declare: Declare) -> None:
    declaration, table = informative(declare)

    inputs = fit_features(table, declaration, parameters(selection={"method": method, "number": 2}))

    assert list(inputs.sources) == ["a", "c"]
    assert inputs.types == ["q", "c"]
    np.testing.assert_array_equal(inputs.values, inputs.transformer.transform(table))


# Learned from training customers only; readable; complete.


@pytest.mark.slow
@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_encoding_of_a_customer_does_not_depend_on_the_others(selection: str) -> None:
    case = treatment_case("binary", selection)
    together = case.inputs.transformer.transform(case.test)

    alone = np.vstack([case.inputs.transformer.transform(case.test.iloc[[row]]) for row in range(10)])

    np.testing.assert_allclose(alone, together[:10], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("task", TASKS)
def test_raw_rows_are_encoded_like_normalised_ones(task: Task, selection: str) -> None:
    case = treatment_case(task, selection)
    transform, raw = case.inputs.transformer.transform, case.raw.drop(columns="Outcome")

    typed = normalise(raw, case.declaration, with_target=False).table
    np.testing.assert_array_equal(transform(read(raw, case.declaration)), transform(typed))


@pytest.mark.parametrize("task", TASKS)
def test_training_values_equal_those_of_transform_except_for_cross_fitting(task: Task) -> None:
    case = treatment_case(task)
    names = list(case.inputs.sources)
    crossed = [name for name in names if case.inputs.sources[name] == "City"]

    again = pd.DataFrame(case.inputs.transformer.transform(case.train), columns=names)
    before = pd.DataFrame(case.inputs.values, columns=names)

    pd.testing.assert_frame_equal(again.drop(columns=crossed), before.drop(columns=crossed))
    assert (again[crossed] != before[crossed]).any(axis=None)
    assert len(crossed) == (3 if task == "multiclass" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("selection", SELECTIONS)
def test_every_input_is_traced_to_its_column_and_typed(selection: str) -> None:
    case = treatment_case("binary", selection)
    inputs = case.inputs

    assert list(inputs.sources) == inputs.transformer.get_feature_names_out().tolist()
    assert source_columns(inputs.transformer) == inputs.sources
    for name, source in inputs.sources.items():
        assert name == source or name.startswith(f"{source}_")
    categories = [name for name, kind in zip(inputs.sources, inputs.types, strict=True) if kind == "c"]
    assert set(categories) <= {"Tier", "Shop", "Size"}
    assert selection != "none" or len(categories) == 3
    encoded = encode_training_customers(case.train, case.declaration, case.parameters)
    assert encoded.sources == inputs.sources
    np.testing.assert_array_equal(encoded.table, inputs.values)


def test_fitted_values_are_recorded(declare: Declare) -> None:
    declaration = declare(
        {
            "name": "a",
            "kind": "numeric",
            "nullable": True,
            "treatment": {
                "missing": "median",
                "outliers": {"method": "iqr", "threshold": 1, "action": "clip"},
                "scaling": "robust",
            },
        },
        {"name": "b", "kind": "numeric", "treatment": {"binning": {"method": "width", "bins": 2}}},
        {"name": "c", "kind": "categorical", "domain": ["x", "y"], "treatment": {"encoding": "one_hot"}},
        {"name": "d", "kind": "date"},
        {"name": "e", "kind": "categorical", "domain": [3, 1], "treatment": {"missing": "most_frequent"}},
        TARGET,
    )
    train = {
        "a": [0.0, 1.0, 2.0, 3.0, 4.0, NAN],
        "b": [0.0, 1, 2, 3, 4, 10],
        "c": ["x", "y", "x", "x", "y", "y"],
        "d": pd.to_datetime(["2024-01-31"] * 6),
        "e": [3.0, 3.0, 1.0, NAN, 3.0, 1.0],
    }
    fitted = describe_features(fit(declaration, train), declaration, DEFAULT)
    columns = {column.name: column for column in fitted.columns}

    assert columns["a"].fills == {"a": 2.0}
    assert columns["a"].fences is not None
    assert (columns["a"].fences.lower, columns["a"].fences.upper) == (-1.0, 5.0)
    assert columns["a"].scaling["a"].model_dump() == {"centre": 2.0, "scale": 1.5}
    assert columns["a"].treatment["missing"] == "median"
    assert columns["b"].bin_edges == [5.0]
    assert columns["c"].levels == {"x": "c_x", "y": "c_y"}
    assert columns["c"].inputs == ["c_x", "c_y"]
    assert columns["d"].latest_date == "2024-01-31T00:00:00"
    assert columns["e"].levels == {"1": 0.0, "3": 1.0}
    assert columns["e"].fills == {"e": "3"}
    assert {given.name: given.type for given in fitted.inputs}["e"] == "category"
    assert FittedFeatures.model_validate_json(fitted.model_dump_json()) == fitted


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("task", TASKS)
def test_any_treatment_can_be_described(task: Task, selection: str) -> None:
    case = treatment_case(task, selection)
    fitted = describe_features(case.inputs, case.declaration, case.parameters)
    columns = {column.name: column for column in fitted.columns}

    assert list(columns) == [*case.declaration.feature_names, "Pace"]
    assert columns["Pace"].made_of == "ratio of Minutes and Calls"
    assert columns["Age"].fills == {"Age": "from the other numbers of the row"}
    assert set(columns["City"].levels) == {"Lyon", "Nice", "Vigo", "(missing)"}
    assert columns["Income"].fences is not None
    assert [given.name for given in fitted.inputs] == list(case.inputs.sources)
    kept = [scored.name for scored in fitted.selection if scored.kept]
    assert kept == ([] if selection == "none" else list(case.inputs.sources))
    assert FittedFeatures.model_validate_json(fitted.model_dump_json()) == fitted


# Invalid treatments raise with the place and the correction.


IQR = {"method": "iqr", "threshold": 1.5, "action": "clip"}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            {"kind": "categorical", "treatment": {"outliers": IQR}},
            "treatment of column 'a' in parameters/customers.yml: outliers is for kind numeric, not for categorical",
        ),
        (
            {"kind": "numeric", "treatment": {"encoding": "one_hot"}},
            "treatment of column 'a' in parameters/customers.yml: encoding is for kind",
        ),
        (
            {"kind": "numeric", "treatment": {"missing": "knn"}},
            "imputes from other numeric columns, and there is none",
        ),
        (
            {"kind": "categorical", "domain": ["x", "y"], "treatment": {"missing": "constant", "fill_value": "z"}},
            "fill_value 'z' is not a level of the column, which has x, y",
        ),
        (
            {"kind": "categorical", "treatment": {"missing": "constant", "fill_value": 3}},
            "fill_value 3.0 is a number, and the column holds text: quote it",
        ),
    ],
)
def test_a_treatment_that_does_not_fit_its_column_is_refused(
    column: dict[str, Any], message: str, declare: Declare
) -> None:
    with pytest.raises(ParameterError, match=message):
        build_features(declare({"name": "a", **column}, TARGET), DEFAULT)


def test_a_treatment_that_does_not_fit_its_kind_is_refused_with_the_place(declare: Declare) -> None:
    ages = declare({"name": "age", "kind": "numeric"}, {"name": "b", "kind": "binary", "domain": [0, 1]}, TARGET)

    with pytest.raises(ParameterError, match=r"features\.binary, which column 'b' follows .*: missing: median is not"):
        build_features(ages, parameters(binary={"missing": "median"}))


@pytest.mark.parametrize(
    ("treatment", "numbers", "message"),
    [
        ({"binning": {"method": "quantile", "bins": 5}}, [1.0, 2.0, 2.0], "2 different numbers, too few for 5 bins"),
        ({"binning": {"method": "edges", "edges": [90]}}, [1.0, 2.0], "all its numbers in one bin"),
        ({"outliers": IQR}, [1.0, 1.0, 1.0, 1.0, 9.0], "its interquartile range is 0"),
        ({"outliers": {**IQR, "method": "zscore"}}, [1.0, 1.0], "its standard deviation is 0"),
        ({"outliers": IQR}, [NAN, NAN], "has no number"),
        ({"missing": "median"}, [NAN, NAN], "has no number"),
        ({"scaling": "standard"}, [NAN, NAN], "has no number"),
    ],
)
def test_a_treatment_that_cannot_be_fitted_raises_with_the_column(
    treatment: dict[str, Any], numbers: list[float], message: str, declare: Declare
) -> None:
    with pytest.raises(ParameterError, match=f"training customers: column 'a' .*{message}"):
        fit(numeric(declare, **treatment), {"a": numbers})


def test_fences_that_cannot_be_fitted_raise_before_rows_are_dropped(declare: Declare) -> None:
    train = pd.DataFrame({"a": [1.0, 1.0, 1.0, 1.0, 9.0], "y": 0})

    with pytest.raises(ParameterError, match=r"Outliers cannot be dropped .*: column 'a' has no outlier fences"):
        find_training_outliers(train, numeric(declare, outliers={**IQR, "action": "drop"}), DEFAULT)


def test_a_date_without_a_date_is_refused(declare: Declare) -> None:
    with pytest.raises(ParameterError, match="column 'd' has no date"):
        fit(since(declare), {"d": ["soon", None]})


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"method": "variance", "threshold": 9}, "would keep no input: the largest variance is 0.25, .* is 9"),
        ({"method": "model", "number": 4}, "is 4, but there are only 1 inputs"),
        ({"method": "mutual_information", "number": 4}, "is 4, but there are only 1 inputs"),
    ],
)
def test_a_selection_that_selects_nothing_is_refused(selection: dict[str, Any], message: str, declare: Declare) -> None:
    with pytest.raises(ParameterError, match=message):
        fit(numeric(declare), {"a": [0.0, 1.0]}, parameters(selection=selection))


def test_row_outliers_need_numeric_columns(declare: Declare) -> None:
    features = parameters(row_outliers={"action": "flag", "contamination": 0.1, "random_state": 1})

    with pytest.raises(ParameterError, match="row_outliers needs numeric columns, and the declaration has none"):
        fit(city(declare), {"c": ["x", "y"]}, features)


def test_two_inputs_of_one_name_are_refused(declare: Declare) -> None:
    clash = declare(
        {"name": "a", "kind": "numeric", "treatment": {"indicator": True}},
        {"name": "a_missing", "kind": "numeric"},
        TARGET,
    )

    with pytest.raises(ParameterError, match="Two model inputs would have the same name; rename a column"):
        fit(clash, {"a": [1.0], "a_missing": [1.0]})
