"""Claims about cross-validation: folds are divided as the splits were, and validation rows are not training rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from churn_kedro.base.errors import ParameterError
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.splits import SplitParameters, describe_splits
from churn_kedro.customers.tasks import Task
from churn_kedro.features.parameters import FeatureParameters
from churn_kedro.training.folds import Development, Fold, Folds, build_development, divide_development, prepare_folds
from churn_kedro.training.parameters import FoldParameters
from tests.task_cases import declare, task_case

SHARES: dict[str, Any] = {"test_size": 0.25, "validation_size": 0.25, "random_state": 3}


def declared(task: Task = "binary", *columns: dict[str, Any]) -> CustomerDeclaration:
    """The declaration of the small table, with further columns."""
    fields = declare(task).model_dump()
    fields["columns"] += [{"description": "A column", **column} for column in columns]
    return CustomerDeclaration.model_validate(fields)


def development(
    task: Task = "binary", split: dict[str, Any] | None = None, table: pd.DataFrame | None = None, **columns: Any
) -> Development:
    """Training and validation customers of a task, with further columns and as another split would have made them."""
    case = task_case(task)
    customers = pd.concat([case.train, case.validation], ignore_index=True) if table is None else table
    manifest = case.manifest.model_copy(update={"split": SplitParameters.model_validate(SHARES | (split or {}))})
    return Development(
        customers=customers.assign(**columns),
        n_train=len(case.train),
        learnable=np.ones(len(customers), dtype=bool),
        manifest=manifest,
    )


def divide(
    made: Development, declaration: CustomerDeclaration | None = None, random_state: int = 1, **parameters: Any
) -> list[Fold]:
    folds, comparison = divide_development(
        made, declaration or declare("binary"), FoldParameters.model_validate(parameters), random_state
    )
    assert comparison is None
    return folds


def assert_partition(folds: list[Fold], n_rows: int) -> None:
    """Each row is in one validation fold, and not among its training rows."""
    assert sorted(np.concatenate([fold.validation for fold in folds])) == list(range(n_rows))
    for fold in folds:
        assert sorted([*fold.train, *fold.validation]) == list(range(n_rows))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_each_customer_is_judged_once(task: Task) -> None:
    folds = divide(development(task), declare(task), n_splits=4)

    assert len(folds) == 4
    assert_partition(folds, 450)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_each_fold_has_the_same_share_of_each_class(task: Task) -> None:
    made = development(task)
    target = made.customers["Outcome"].to_numpy()

    for fold in divide(made, declare(task), n_splits=5):
        for code in np.unique(target):
            assert (target[fold.validation] == code).mean() == pytest.approx((target == code).mean(), abs=0.011)


def test_the_same_seed_gives_the_same_folds() -> None:
    made = development()
    one, same, other = (divide(made, random_state=seed) for seed in (1, 1, 2))

    assert all((a.validation == b.validation).all() for a, b in zip(one, same, strict=True))
    assert not all((a.validation == b.validation).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_group_is_never_torn_apart(task: Task) -> None:
    groups = np.random.default_rng(0).integers(0, 60, 450)
    declaration = declared(task, {"name": "Household", "role": "group"})
    made = development(task, {"method": "group"}, Household=[f"h{group}" for group in groups])

    folds = divide(made, declaration, n_splits=4)

    assert_partition(folds, 450)
    for fold in folds:
        assert not set(groups[fold.train]) & set(groups[fold.validation])
    if task == "binary":
        shares = [made.customers["Outcome"].iloc[fold.validation].mean() for fold in folds]
        assert max(shares) - min(shares) < 0.1


@pytest.mark.parametrize("method", ["random", "hash"])
def test_rows_of_one_customer_stay_together(method: str) -> None:
    made = development("binary", {"method": method}, Id=np.repeat([f"c{number}" for number in range(150)], 3))

    for fold in divide(made, n_splits=3):
        assert not set(made.customers["Id"].iloc[fold.train]) & set(made.customers["Id"].iloc[fold.validation])


def test_copies_are_in_one_fold() -> None:
    case = task_case("binary")
    made = development("binary", {"method": "copies"}, table=pd.concat([case.train] * 2, ignore_index=True))

    folds = divide(made, declared(), n_splits=4)

    assert len(folds) == 4
    for fold in folds:
        assert not set(fold.train % len(case.train)) & set(fold.validation % len(case.train))


@pytest.mark.parametrize("gap_days", [0.0, 20.0])
def test_every_learned_row_is_before_every_judged_row_with_the_gap_between(gap_days: float) -> None:
    random = np.random.default_rng(0)
    moments = pd.Timestamp("2025-01-01") + pd.to_timedelta(random.integers(0, 400, 450), unit="D")
    declaration = declared("binary", {"name": "Seen", "role": "time"})
    made = development("binary", {"method": "time", "gap_days": gap_days}, Seen=moments)

    folds = divide(made, declaration, n_splits=4)

    assert len(folds) == 4
    for fold in folds:
        train, validation = (made.customers["Seen"].iloc[rows] for rows in (fold.train, fold.validation))
        assert train.max() <= validation.min() - pd.Timedelta(days=gap_days)
        # And nothing else is left out.
        waste = made.customers["Seen"].iloc[np.setdiff1d(np.arange(450), [*fold.train, *fold.validation])]
        assert ((waste > validation.max()) | (waste >= validation.min() - pd.Timedelta(days=gap_days))).all()
    judged_rows = np.concatenate([fold.validation for fold in folds])
    assert len(judged_rows) == len(set(judged_rows)) == pytest.approx(450 * 4 / 5, abs=8)
    latest = [made.customers["Seen"].iloc[fold.validation].max() for fold in folds]
    assert latest == sorted(latest)


def test_folds_by_time_need_the_column() -> None:
    with pytest.raises(ParameterError, match=r"split by time, but no column .* has role time"):
        divide(development("binary", {"method": "time"}))


def rare(count: int, task: Task = "binary") -> Development:
    """Development customers of whom only a few have class 1."""
    made = development(task)
    has = np.flatnonzero(made.customers["Outcome"] == 1)
    return development(task, table=made.customers.drop(index=list(has[count:])).reset_index(drop=True))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_rare_class_lowers_the_number_of_folds_with_a_warning(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    made = rare(3, task)

    folds = divide(made, declare(task), n_splits=5)

    assert len(folds) == 3
    assert "3 folds instead of 5 (training.folds.n_splits)" in caplog.text
    for fold in folds:
        assert (made.customers["Outcome"].iloc[fold.validation] == 1).sum() == 1


def test_a_class_of_a_single_customer_is_too_rare() -> None:
    with pytest.raises(CustomerTableError, match=r"Found 1 of \d+ training and validation customers in one of"):
        divide(rare(1))


def test_a_class_in_a_single_group_is_too_rare() -> None:
    declaration = declared("binary", {"name": "Household", "role": "group"})
    customers = development().customers
    alone = np.where(customers["Outcome"] == 1, "one", customers["Id"])
    made = development("binary", {"method": "group"}, Household=alone)

    with pytest.raises(CustomerTableError, match=r"Found 1 of 450 .* too few for cross-validation"):
        divide(made, declaration)


def test_a_time_before_which_a_class_is_unknown_is_named_with_the_class() -> None:
    declaration = declared("binary", {"name": "Seen", "role": "time"})
    left = development().customers["Outcome"].to_numpy() == 1
    # Nobody leaves before the last month.
    days = np.where(left, 390, np.arange(450) % 380)
    made = development("binary", {"method": "time"}, Seen=pd.Timestamp("2025-01-01") + pd.to_timedelta(days, unit="D"))

    with pytest.raises(
        CustomerTableError,
        match=r"none of them has customers with Outcome = 'stays' and = 'leaves' both before it",
    ):
        divide(made, declaration, n_splits=3)


def test_a_large_table_is_searched_on_a_sample_and_judged_once_on_all() -> None:
    made = development("multiclass")
    declaration = declare("multiclass")

    search, comparison = divide_development(made, declaration, FoldParameters(n_splits=3, max_rows=200), 1)

    looked_at = np.unique(np.concatenate([fold.validation for fold in search]))
    assert len(looked_at) == 200
    shares = made.customers["Outcome"].value_counts(normalize=True)
    assert made.customers["Outcome"].iloc[looked_at].value_counts(normalize=True).sub(shares).abs().max() < 0.01
    for fold in search:
        np.testing.assert_array_equal(np.sort([*fold.train, *fold.validation]), looked_at)
    assert comparison is not None
    (whole,) = comparison
    # Trained on the training split, evaluated on the validation split.
    assert whole.train.tolist() == list(range(300))
    assert whole.validation.tolist() == list(range(300, 450))


def test_a_table_of_as_many_rows_as_allowed_is_searched_whole() -> None:
    folds = prepare_folds(development(), declare("binary"), FeatureParameters(), FoldParameters(max_rows=450), 1)

    assert not folds.sampled
    assert folds.comparison is folds.search


@pytest.mark.parametrize(("task", "label"), [("binary", "'leaves'"), ("multiclass", "'plus'")])
def test_where_candidates_are_judged_once_each_class_needs_two_customers_to_judge(task: Task, label: str) -> None:
    case = task_case(task)
    has = np.flatnonzero(case.validation["Outcome"] == 1)
    few = [case.validation.drop(index=list(has[count:])) for count in (1, 2)]
    parameters = FoldParameters(n_splits=2, max_rows=200)
    made = [development(task, table=pd.concat([case.train, part], ignore_index=True)) for part in few]

    with pytest.raises(
        CustomerTableError, match=rf"1 of its \d+ customers have Outcome = {label}.* \(now 200\) to \d+"
    ):
        divide_development(made[0], case.declaration, parameters, 1)
    assert divide_development(made[1], case.declaration, parameters, 1)[1] is not None


def learned_features() -> tuple[CustomerDeclaration, Development]:
    """A table whose treatment learns from its rows: levels, fill values, scales, fences, target means."""
    random = np.random.default_rng(0)
    clip = {"method": "iqr", "threshold": 1.5, "action": "clip"}
    declaration = declared(
        "binary",
        {
            "name": "Income",
            "kind": "numeric",
            "nullable": True,
            "treatment": {"missing": "mean", "scaling": "standard", "outliers": clip},
        },
        {"name": "City", "kind": "categorical", "treatment": {"encoding": "target"}},
        {"name": "Shop", "kind": "categorical"},
    )
    return declaration, development(
        "binary",
        Income=np.where(random.random(450) < 0.2, np.nan, random.lognormal(8, 1, 450)),
        City=random.choice(["Lyon", "Nice", "Vigo"], 450),
        Shop=random.choice(["north", "south"], 450),
    )


def treated(made: Development, declaration: CustomerDeclaration, **options: Any) -> Folds:
    return prepare_folds(made, declaration, FeatureParameters(), FoldParameters(n_splits=3), 1, **options)


@pytest.mark.slow
def test_what_is_judged_teaches_the_treatment_nothing() -> None:
    declaration, made = learned_features()
    before = treated(made, declaration).search[0]
    validation = before.fold.validation
    changed = made.customers.copy()
    changed.loc[validation, "Income"] *= 1000
    changed.loc[validation, "City"] = "Atlantis"
    changed.loc[validation, "Shop"] = "east"

    after = treated(replace(made, customers=changed), declaration).search[0]

    np.testing.assert_array_equal(after.fold.validation, validation)
    np.testing.assert_array_equal(after.train.values, before.train.values)
    np.testing.assert_array_equal(
        after.inputs.transformer.transform(made.customers), before.inputs.transformer.transform(made.customers)
    )
    assert not np.array_equal(after.validation.values, before.validation.values, equal_nan=True)


@pytest.mark.slow
def test_the_treatment_is_another_one_in_each_fold() -> None:
    declaration, made = learned_features()

    folds = treated(made, declaration).search
    place = list(folds[0].inputs.sources).index("Income")
    middle = made.customers.assign(Income=5000.0)
    scaled = [float(fold.inputs.transformer.transform(middle)[0, place]) for fold in folds]
    incomes = [fold.train.values[:, place].mean() for fold in folds]

    assert len(set(scaled)) == 3
    # Standardised on the rows that are learned from.
    np.testing.assert_allclose(incomes, 0, atol=1e-9)


def test_weights_of_the_customers_come_along_in_units_of_their_mean() -> None:
    weights = np.arange(450) + 1.0
    declaration = declared("binary", {"name": "Copies", "role": "weight"})

    for fold in treated(development(Copies=weights), declaration).search:
        for sample, rows in ((fold.train, fold.fold.train), (fold.validation, fold.fold.validation)):
            assert sample.weight is not None
            np.testing.assert_allclose(sample.weight, weights[rows] / weights[rows].mean())
    assert all(fold.train.weight is None for fold in treated(development(), declare("binary")).search)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_balanced_classes_count_alike_in_learning_and_as_they_are_in_judging(task: Task) -> None:
    for fold in treated(development(task), declare(task), class_weight="balanced").search:
        assert fold.train.weight is not None
        np.testing.assert_allclose(fold.train.weight, compute_sample_weight("balanced", fold.train.target))
        assert fold.validation.weight is None


def test_balanced_classes_and_weights_of_customers_multiply() -> None:
    declaration = declared("binary", {"name": "Copies", "role": "weight"})
    made = development(Copies=np.random.default_rng(0).uniform(0.5, 3, 450))

    for fold in treated(made, declaration, class_weight="balanced").search:
        assert fold.train.weight is not None
        sums = [fold.train.weight[fold.train.target == code].sum() for code in (0, 1)]
        assert sums[0] == pytest.approx(sums[1])
        given = made.customers["Copies"].to_numpy()[fold.fold.train]
        assert sum(sums) == pytest.approx(len(given))
        ratio = fold.train.weight / given
        assert len(np.unique(ratio.round(9))) == 2


def test_a_number_has_no_classes_to_balance() -> None:
    folds = treated(development("regression"), declare("regression"), class_weight="balanced")

    assert all(fold.train.weight is None for fold in folds.search)


def test_outliers_that_are_dropped_are_judged_and_never_learned_from() -> None:
    case = task_case("regression")
    validation = case.validation.assign(Visits=np.where(np.arange(150) < 4, 9000.0, case.validation["Visits"]))
    fields = case.declaration.model_dump()
    visits = next(column for column in fields["columns"] if column["name"] == "Visits")
    visits["treatment"] = {"outliers": {"method": "iqr", "threshold": 3, "action": "drop"}}
    declaration = CustomerDeclaration.model_validate(fields)
    manifest = describe_splits(case.train, validation, case.test, declaration, case.manifest.split, {})

    made = build_development(case.train, validation, manifest, declaration, FeatureParameters())
    folds = treated(made, declaration).search

    dropped = np.flatnonzero(~made.learnable)
    assert {300, 301, 302, 303} <= set(dropped)
    assert (dropped >= 300).all()
    assert len(made.training_customers) == 450 - len(dropped)
    assert sorted(np.concatenate([fold.fold.validation for fold in folds])) == list(range(450))
    assert not any(set(dropped) & set(fold.fold.train) for fold in folds)
    assert all(len(fold.train.target) == len(fold.fold.train) for fold in folds)


def test_tables_of_another_split_are_refused() -> None:
    case = task_case("binary")

    with pytest.raises(CustomerTableError, match=r"The validation table .* is not the one the split"):
        build_development(case.train, case.validation.iloc[1:], case.manifest, case.declaration, FeatureParameters())


def test_a_table_of_few_moments_has_fewer_folds_by_time_and_no_block_is_torn(caplog: pytest.LogCaptureFixture) -> None:
    declaration = declared("binary", {"name": "Seen", "role": "time"})
    months = pd.Timestamp("2025-01-01") + pd.to_timedelta(30 * (np.arange(450) % 3), unit="D")

    folds = treated(development("binary", {"method": "time"}, Seen=months), declaration).search

    assert len(folds) == 2
    seen = pd.Series(months)
    for fold, (last, validation) in zip(
        folds, [("2025-01-01", "2025-01-31"), ("2025-01-31", "2025-03-02")], strict=True
    ):
        assert seen[fold.fold.train].max() == pd.Timestamp(last)
        assert set(seen[fold.fold.validation]) == {pd.Timestamp(validation)}
    assert "2 folds instead of 3" in caplog.text
