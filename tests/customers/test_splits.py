"""Claims about splits and their manifest."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, strategies as st
from pydantic import ValidationError

from churn_kedro.base.errors import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.digests import table_digest
from churn_kedro.customers.splits import SplitManifest, SplitParameters, describe_splits, split_customers

Splits = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
Declare = Callable[..., CustomerDeclaration]
PARTS_OF_TWELVE = [["c3", "c4", "c5", "c6", "c7", "c9"], ["c2", "c8", "c11"], ["c0", "c1", "c10"]]


def shares(test: float, validation: float, random_state: int = 0) -> SplitParameters:
    return SplitParameters(test_size=test, validation_size=validation, random_state=random_state)


def labelled(positives: int, negatives: int) -> pd.DataFrame:
    return pd.DataFrame({"Id": np.arange(positives + negatives), "Left": [1] * positives + [0] * negatives})


def test_every_customer_is_in_exactly_one_part(splits: Splits, customers: pd.DataFrame) -> None:
    together = pd.concat(splits).sort_values("Id", key=lambda ids: ids.astype(int), ignore_index=True)

    pd.testing.assert_frame_equal(together, customers)


def test_the_parts_have_the_declared_sizes_and_a_new_index(splits: Splits) -> None:
    assert [len(part) for part in splits] == [200, 100, 100]
    assert all(part.index.equals(pd.RangeIndex(len(part))) for part in splits)


def test_the_order_of_the_file_is_kept_within_a_part(splits: Splits) -> None:
    assert all(part["Id"].astype(int).is_monotonic_increasing for part in splits)


def test_each_part_has_the_same_share_of_churners(declaration: CustomerDeclaration) -> None:
    train, validation, test = split_customers(labelled(40, 160), declaration, shares(0.25, 0.15))

    assert (len(train), len(validation), len(test)) == (120, 30, 50)
    assert (train["Left"].sum(), validation["Left"].sum(), test["Left"].sum()) == (24, 6, 10)


def test_the_seed_alone_decides_the_split(declaration: CustomerDeclaration, customers: pd.DataFrame) -> None:
    first, again, other = (split_customers(customers, declaration, shares(0.25, 0.25, seed)) for seed in (3, 3, 4))

    for part, repeated, different in zip(first, again, other, strict=True):
        pd.testing.assert_frame_equal(part, repeated)
        assert part["Id"].tolist() != different["Id"].tolist()


@pytest.mark.parametrize(("positives", "negatives", "label"), [(0, 50, "1"), (50, 0, "0"), (0, 0, "0")])
def test_one_class_is_refused(positives: int, negatives: int, label: str, declaration: CustomerDeclaration) -> None:
    with pytest.raises(CustomerTableError, match=f"has Left = {label}: a model cannot be trained on one class"):
        split_customers(labelled(positives, negatives), declaration, shares(0.2, 0.2))


def test_a_class_too_rare_for_the_smallest_part_is_refused(declaration: CustomerDeclaration) -> None:
    with pytest.raises(CustomerTableError, match=r"Only 4 customers have Left = 1.* a part of 20%"):
        split_customers(labelled(4, 100), declaration, shares(0.3, 0.2))


def test_a_class_too_rare_for_the_training_part_is_refused(declaration: CustomerDeclaration) -> None:
    with pytest.raises(CustomerTableError, match=r"Only 10 customers have Left = 1.* a part of 5%"):
        split_customers(labelled(10, 200), declaration, shares(0.5, 0.45))


@pytest.mark.slow
@example(positives=5, negatives=5, test=0.33, validation=0.45)
@given(
    positives=st.integers(1, 40),
    negatives=st.integers(1, 40),
    test=st.sampled_from([0.1, 0.15, 0.2, 0.33, 0.5]),
    validation=st.sampled_from([0.1, 0.15, 0.25, 0.45]),
)
def test_a_split_that_is_not_refused_has_both_classes_in_each_part(
    positives: int, negatives: int, test: float, validation: float, declaration: CustomerDeclaration
) -> None:
    table = labelled(positives, negatives)
    try:
        parts = split_customers(table, declaration, shares(test, validation))
    except CustomerTableError:
        smallest = min(test, validation, 1 - test - validation)
        # The sizes of test and validation are rounded up, so a part may be smaller than its share by two rows.
        assert min(positives, negatives) * smallest < 1 or len(table) * smallest < 2 + 2
    else:
        assert all(part["Left"].nunique() == 2 for part in parts)
        assert sorted(pd.concat(parts)["Id"]) == table["Id"].tolist()


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"test_size 0\.6 and validation_size 0\.4 leave nothing to train on"):
        shares(0.6, 0.4)


def test_the_manifest_counts_each_part(splits: Splits, manifest: SplitManifest) -> None:
    records = (manifest.train, manifest.validation, manifest.test)

    for part, record in zip(splits, records, strict=True):
        assert record.rows == len(part)
        assert record.classes == {"0": (part["Left"] == 0).sum(), "1": (part["Left"] == 1).sum()}
    assert manifest.split.random_state == 3
    assert manifest.columns == {name: str(dtype) for name, dtype in splits[0].dtypes.items()}


def test_the_manifest_accepts_its_own_tables(splits: Splits, manifest: SplitManifest) -> None:
    train, validation, test = splits

    manifest.verify(train=train, validation=validation, test=test)
    SplitManifest.model_validate_json(manifest.model_dump_json()).verify(test=test)


def test_the_manifest_accepts_its_tables_back_from_a_parquet_file(splits: Splits, manifest: SplitManifest) -> None:
    file = io.BytesIO()
    splits[2].to_parquet(file, index=False)

    manifest.verify(test=pd.read_parquet(file))


def test_the_manifest_refuses_an_edited_table(splits: Splits, manifest: SplitManifest) -> None:
    edited = splits[2].assign(Age=splits[2]["Age"].where(splits[2].index != 4, 19.5))

    with pytest.raises(CustomerTableError, match=r"The test table \(100 rows, digest \w{32}\) is not the one"):
        manifest.verify(test=edited)


def test_the_manifest_refuses_swapped_reordered_and_shortened_tables(splits: Splits, manifest: SplitManifest) -> None:
    train, validation, test = splits
    for wrong in (validation, test.iloc[::-1], test.head(99), test[[*test.columns[1:], test.columns[0]]], train):
        with pytest.raises(CustomerTableError, match="The test table"):
            manifest.verify(test=wrong)


def test_the_manifest_refuses_a_part_of_another_split(
    customers: pd.DataFrame, manifest: SplitManifest, splits: Splits, declaration: CustomerDeclaration
) -> None:
    other = split_customers(customers, declaration, shares(0.25, 0.25, random_state=4))

    with pytest.raises(CustomerTableError, match="The train table"):
        manifest.verify(train=other[0], test=splits[2])
    describe_splits(*other, declaration, shares(0.25, 0.25, random_state=4), {}).verify(train=other[0])


def by(method: str, **arguments: Any) -> SplitParameters:
    return SplitParameters.model_validate(
        {"method": method, "test_size": 0.2, "validation_size": 0.2, "random_state": 1} | arguments
    )


@pytest.fixture(scope="module")
def panel(declare: Declare) -> tuple[CustomerDeclaration, pd.DataFrame]:
    """500 rows of 250 customers in 40 households over 500 days."""
    declaration = declare(
        {"name": "Id", "role": "id"},
        {"name": "Household", "role": "group"},
        {"name": "Day", "role": "time"},
        {"name": "Age", "kind": "numeric"},
        {"name": "Left", "role": "target"},
    )
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "Id": pd.Series(np.arange(500) // 2).astype("str"),
            "Household": pd.Series(random.integers(0, 40, 500)).astype("str"),
            "Day": pd.Timestamp("2025-01-01") + pd.to_timedelta(random.permutation(500), unit="D"),
            "Age": np.arange(500.0),
            "Left": random.integers(0, 2, 500),
        }
    )
    return declaration, table


def test_a_customer_with_several_rows_stays_in_one_part(panel: tuple[CustomerDeclaration, pd.DataFrame]) -> None:
    declaration, table = panel

    parts = split_customers(table, declaration, by("random"))

    assert sum(len(part) for part in parts) == 500
    assert sum(part["Id"].nunique() for part in parts) == 250
    assert [len(part) for part in parts] == [300, 100, 100]


def test_a_group_stays_in_one_part(panel: tuple[CustomerDeclaration, pd.DataFrame]) -> None:
    declaration, table = panel

    parts = split_customers(table, declaration, by("group"))

    assert sum(len(part) for part in parts) == 500
    assert sum(part["Household"].nunique() for part in parts) == table["Household"].nunique()


def test_a_split_by_time_trains_on_the_past_and_tests_on_the_latest_rows(
    panel: tuple[CustomerDeclaration, pd.DataFrame],
) -> None:
    declaration, table = panel

    train, validation, test = split_customers(table, declaration, by("time"))

    assert train["Day"].max() < validation["Day"].min()
    assert validation["Day"].max() < test["Day"].min()
    assert [len(train), len(validation), len(test)] == [300, 100, 100]


def test_rows_in_the_gap_are_in_no_part(panel: tuple[CustomerDeclaration, pd.DataFrame]) -> None:
    declaration, table = panel

    train, validation, test = split_customers(table, declaration, by("time", gap_days=30))

    assert validation["Day"].min() - train["Day"].max() >= pd.Timedelta(days=30)
    assert test["Day"].min() - validation["Day"].max() >= pd.Timedelta(days=30)
    assert [len(train), len(validation), len(test)] == [242, 100, 100]


def test_a_row_a_whole_gap_earlier_is_kept(panel: tuple[CustomerDeclaration, pd.DataFrame]) -> None:
    declaration, table = panel
    cutoffs = table.assign(Day=pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(500) % 4 * 90, unit="D"))

    train, validation, test = split_customers(cutoffs, declaration, by("time", gap_days=90))

    assert [sorted(part["Day"].dt.dayofyear.unique()) for part in (train, validation, test)] == [[1, 91], [181], [271]]


@pytest.mark.parametrize(
    ("times", "gap_days", "message"),
    [
        (2, 0, "needs at least 3 different times in Day, one for each part; the table has 2025-01-01, 2025-01-31."),
        (5, 90, "gap_days 90 needs rows of at least twice as many days; those by Day cover 120 days"),
    ],
)
def test_too_few_times_for_a_split_by_time_are_refused(
    panel: tuple[CustomerDeclaration, pd.DataFrame], times: int, gap_days: float, message: str
) -> None:
    declaration, table = panel
    few = table.assign(Day=pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(500) % times * 30, unit="D"))

    with pytest.raises(CustomerTableError, match=message):
        split_customers(few, declaration, by("time", gap_days=gap_days))


def test_rows_of_the_same_time_are_in_the_same_part(panel: tuple[CustomerDeclaration, pd.DataFrame]) -> None:
    declaration, table = panel
    monthly = table.assign(Day=table["Day"].dt.to_period("M").dt.to_timestamp())

    parts = split_customers(monthly, declaration, by("time"))

    moments = [set(part["Day"]) for part in parts]
    assert len(set().union(*moments)) == sum(map(len, moments))


@pytest.mark.parametrize("repeated", [False, True])
def test_copies_are_kept_in_one_part(panel: tuple[CustomerDeclaration, pd.DataFrame], *, repeated: bool) -> None:
    declaration, table = panel
    features = declaration.feature_names
    once = table.drop_duplicates("Id") if not repeated else table
    copied = pd.concat([once, once.sample(frac=0.3, random_state=1)], ignore_index=True)
    if not repeated:
        copied["Id"] = [f"c{row}" for row in range(len(copied))]

    parts = split_customers(copied, declaration, by("copies"))

    assert sum(map(len, parts)) == len(copied)
    for keys in (features, ["Id"]):
        seen = pd.concat([part[keys].drop_duplicates() for part in parts], ignore_index=True)
        assert not seen.duplicated().any()


def test_a_customer_keeps_its_part_as_the_table_grows(panel: tuple[CustomerDeclaration, pd.DataFrame]) -> None:
    declaration, table = panel
    shuffled = table.sample(frac=1, random_state=2, ignore_index=True)

    before = split_customers(table.head(300), declaration, by("hash"))
    after = split_customers(shuffled, declaration, by("hash"))
    salted = split_customers(table, declaration, by("hash", random_state=2))

    for small, large in zip(before, after, strict=True):
        assert set(small["Id"]) <= set(large["Id"])
    assert set(after[2]["Id"]) != set(salted[2]["Id"])
    assert len(after[2]) == pytest.approx(100, abs=40)


def test_the_hash_is_the_same_in_every_version() -> None:
    """Recorded ids and parts: a change would move customers between the parts of existing splits."""
    declaration = CustomerDeclaration.model_validate(
        {
            "description": "d",
            "task": "regression",
            "columns": [
                {"name": "Id", "role": "id", "description": "d"},
                {"name": "Age", "kind": "numeric", "description": "d"},
                {"name": "Value", "role": "target", "description": "d"},
            ],
        }
    )
    table = pd.DataFrame({"Id": [f"c{n}" for n in range(12)], "Age": 1.0, "Value": 1.0})

    parts = split_customers(table, declaration, by("hash", test_size=0.3, validation_size=0.3, random_state=42))

    assert [part["Id"].tolist() for part in parts] == PARTS_OF_TWELVE


@pytest.mark.parametrize(("method", "role"), [("time", "time"), ("group", "group")])
def test_a_method_needs_its_column(method: str, role: str, declare: Declare) -> None:
    declaration = declare({"name": "Age", "kind": "numeric"}, {"name": "Left", "role": "target"})
    table = pd.DataFrame({"Age": np.arange(50.0), "Left": [0, 1] * 25})

    with pytest.raises(ParameterError, match=f"has role {role}"):
        split_customers(table, declaration, by(method))


def test_a_gap_needs_method_time() -> None:
    with pytest.raises(ValidationError, match="gap_days 3 needs method time, found random"):
        by("random", gap_days=3)


def test_a_part_without_a_class_is_refused(panel: tuple[CustomerDeclaration, pd.DataFrame]) -> None:
    declaration, table = panel
    late = table.assign(Left=(table["Day"] > table["Day"].quantile(0.7)).astype("int64"))

    with pytest.raises(CustomerTableError, match="No customer of the train part has Left = 1 with split method time"):
        split_customers(late, declaration, by("time"))


def test_a_numeric_target_needs_no_classes(panel: tuple[CustomerDeclaration, pd.DataFrame]) -> None:
    declaration, table = panel
    number = CustomerDeclaration.model_validate(declaration.model_dump() | {"task": "regression", "labels": None})

    parts = split_customers(table.assign(Left=np.linspace(0, 1, 500)), number, by("random"))

    assert [len(part) for part in parts] == [300, 100, 100]
    assert describe_splits(*parts, number, by("random"), {"outliers": 0}).train.classes == {}


TABLES = st.lists(
    st.tuples(st.integers(-5, 5), st.floats(allow_nan=True, width=32), st.text(max_size=3)), min_size=1, max_size=6
)


@pytest.mark.slow
@given(rows=TABLES, data=st.data())
def test_a_digest_depends_on_the_cells_and_not_on_the_index(
    rows: list[tuple[int, float, str]], data: st.DataObject
) -> None:
    table = pd.DataFrame(rows, columns=["a", "b", "c"])
    labels = data.draw(st.lists(st.integers(), min_size=len(rows), max_size=len(rows)))

    assert table_digest(table.set_axis(labels)) == table_digest(table)
    row = data.draw(st.integers(0, len(rows) - 1))
    assert table_digest(table.assign(a=table["a"].where(table.index != row, 99))) != table_digest(table)


def test_a_digest_notices_names_types_and_missing_cells() -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    others = [
        table.rename(columns={"b": "c"}),
        table.astype({"a": "float64"}),
        table.assign(b=pd.Series(["x", None], dtype="str")),
        table[["b", "a"]],
        table.head(1),
    ]

    digests = {table_digest(frame) for frame in [table, *others]}

    assert len(digests) == 6
    assert all(len(digest) == 32 for digest in digests)
