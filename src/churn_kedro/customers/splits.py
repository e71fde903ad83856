"""Splits of customers into training, validation and test set, and their verification by digests."""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.base import ParameterError, Parameters, Record
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.digests import row_digests, table_digest
from churn_kedro.customers.near_duplicates import group_near_duplicates

SplitMethod = Literal["random", "time", "group", "hash", "copies"]
PARTS = ("train", "validation", "test")


class SplitParameters(Parameters):
    """Parameters of the split."""

    method: SplitMethod = Field(
        "random",
        description="random: stratified by class; time: test on the latest rows; group: no group in two parts; hash: "
        "by a hash of the identifier (without one: of all cells), so that a customer stays in its part as the table "
        "grows; copies: no rows with equal or nearly equal features in two parts.",
    )
    test_size: float = Field(gt=0, lt=1, description="Share of all customers kept for the final evaluation.")
    validation_size: float = Field(
        gt=0,
        lt=1,
        description="Share of all customers in the validation set. Models are trained on training and validation set "
        "by cross-validation; on a table of many rows, the validation set alone measures them.",
    )
    random_state: int = Field(ge=0, description="Seed of the shuffle; salt of the hash.")
    gap_days: float = Field(
        0,
        ge=0,
        description="Method time: least days from a training row to a validation row, and from a validation row to a "
        "test row; rows between are left out.",
    )

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> Self:
        if self.test_size + self.validation_size >= 1:
            raise ValueError(
                f"test_size {self.test_size} and validation_size {self.validation_size} leave nothing to train on"
            )
        if self.gap_days and self.method != "time":
            raise ValueError(f"gap_days {self.gap_days:g} needs method time, found {self.method}")
        return self


class CustomerParts(NamedTuple):
    """The three parts of a split.

    Attributes:
        train: Training customers.
        validation: Validation customers.
        test: Test customers.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame


class SplitRecord(Record):
    """One part of a split."""

    rows: int = Field(description="Customers in the part.")
    classes: dict[str, int] = Field(description="Customers by label of the target; empty for a regression.")
    digest: str = Field(description="Content digest of the table.")


class WholeTable(Record):
    """All rows of a table larger than memory. Digests do not depend on the order of rows."""

    rows_read: int
    rows_rejected: int
    duplicates_dropped: int = Field(description="Rows equal to another one of the same partition.")
    rejection_examples: list[str] = Field(description="Reasons of some rejected rows.")
    train: SplitRecord
    validation: SplitRecord
    test: SplitRecord


class SplitManifest(Record):
    """A record of one split; it identifies the data that a model was trained and evaluated on."""

    split: SplitParameters = Field(description="Parameters of the split.")
    columns: dict[str, str] = Field(description="Type of each column, the same in every part.")
    rows_left_out: dict[str, int] = Field(description="Accepted rows that are in no part, by reason.")
    train: SplitRecord
    validation: SplitRecord
    test: SplitRecord
    whole: WholeTable | None = Field(
        None, description="The table of which the parts are samples; null: the parts contain all rows."
    )

    @property
    def digests(self) -> dict[str, str]:
        """Content digest of each part."""
        return {"train": self.train.digest, "validation": self.validation.digest, "test": self.test.digest}

    def verify(self, **parts: pd.DataFrame) -> None:
        """Check that tables are the parts that this manifest describes.

        Args:
            parts: Tables by name: ``train``, ``validation`` or ``test``.

        Raises:
            CustomerTableError: A table was changed or comes from another split, so that training and test set could
                overlap.
        """
        for name, table in parts.items():
            expected: SplitRecord = getattr(self, name)
            digest = table_digest(table)
            if digest != expected.digest:
                raise CustomerTableError(
                    f"The {name} table ({len(table)} rows, digest {digest}) is not the one the split manifest "
                    f"describes ({expected.rows} rows, digest {expected.digest}). It was edited, or data_processing "
                    "was interrupted between two files. Run `kedro run --pipelines data_processing` again."
                )


def split_customers(
    customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: SplitParameters
) -> CustomerParts:
    """Split customers into training, validation and test set.

    Args:
        customers: Valid customers with the target as class codes or as a number.
        declaration: The table's declaration.
        parameters: Method, shares and seed.

    Returns:
        Training, validation and test set, each in the order of the table under a new index. They share no customer,
        except for customers with several rows under method time.

    Raises:
        CustomerTableError: A class is absent, or too rare to be in each part, or a part would be empty.
        ParameterError: The method needs a column that is not declared.

    Examples:
        >>> declaration = CustomerDeclaration.model_validate(
        ...     {
        ...         "description": "Houses",
        ...         "task": "regression",
        ...         "columns": [
        ...             {"name": "Id", "role": "id", "description": "Identifier"},
        ...             {"name": "Rooms", "kind": "numeric", "description": "Rooms"},
        ...             {"name": "Price", "role": "target", "description": "Price"},
        ...         ],
        ...     }
        ... )
        >>> houses = pd.DataFrame({"Id": [f"h{k}" for k in range(100)], "Rooms": 3.0, "Price": 1.0})
        >>> by_hash = SplitParameters(method="hash", test_size=0.2, validation_size=0.2, random_state=1)
        >>> before = split_customers(houses.head(80), declaration, by_hash)
        >>> after = split_customers(houses, declaration, by_hash)
        >>> [set(before[part]["Id"]) <= set(after[part]["Id"]) for part in range(3)]
        [True, True, True]
    """
    if declaration.classes:
        _require_every_class(customers[declaration.target], declaration, parameters)
    divide = {"random": _by_chance, "time": _by_time, "group": _by_group, "hash": _by_hash, "copies": _by_copies}[
        parameters.method
    ]
    parts = divide(customers, declaration, parameters)
    for name, rows in zip(PARTS, parts, strict=True):
        _require_usable(name, customers[declaration.target].to_numpy()[rows], declaration, parameters)
    return CustomerParts(*(customers.iloc[np.sort(rows)].reset_index(drop=True) for rows in parts))


_Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def _by_chance(customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: SplitParameters) -> _Parts:
    ids = declaration.id_names
    if ids and customers.duplicated(ids).any():
        # A customer with rows in both training and test set would be a leak.
        return _by_units(customers.groupby(ids, sort=False).ngroup().to_numpy(), customers, declaration, parameters)
    return _divide_at_random(customers[declaration.target].to_numpy(), declaration, parameters)


def _by_group(customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: SplitParameters) -> _Parts:
    if declaration.group is None:
        raise ParameterError(
            "data_processing.split.method is group, but no column of parameters/customers.yml has role group."
        )
    groups, _ = pd.factorize(customers[declaration.group], use_na_sentinel=False)
    return _by_units(groups, customers, declaration, parameters)


def _by_copies(customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: SplitParameters) -> _Parts:
    return _by_units(group_near_duplicates(customers, declaration), customers, declaration, parameters)


def _by_units(
    units: np.ndarray, customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: SplitParameters
) -> _Parts:
    """Split units of several rows, stratified by the target of each unit's first row."""
    _, first = np.unique(units, return_index=True)
    if len(first) < len(PARTS):
        raise CustomerTableError(
            f"The table has only {len(first)} groups, too few for training, validation and test set. Use another "
            "data_processing.split.method."
        )
    parts = _divide_at_random(customers[declaration.target].to_numpy()[first], declaration, parameters)
    train, validation, test = (np.flatnonzero(np.isin(units, part)) for part in parts)
    return train, validation, test


def _divide_at_random(target: np.ndarray, declaration: CustomerDeclaration, parameters: SplitParameters) -> _Parts:
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(target))
    stratified = bool(declaration.classes) and np.unique(target, return_counts=True)[1].min() >= len(PARTS)
    try:
        rest, test = train_test_split(
            rows,
            test_size=parameters.test_size,
            stratify=target if stratified else None,
            random_state=parameters.random_state,
        )
        train, validation = train_test_split(
            rest,
            test_size=parameters.validation_size / (1 - parameters.test_size),
            stratify=target[rest] if stratified else None,
            random_state=parameters.random_state,
        )
    except ValueError as error:
        raise CustomerTableError(
            f"{len(target)} rows are too few for train, validation and test with each class in each part "
            f"(test_size {parameters.test_size:g}, validation_size {parameters.validation_size:g}): {error} Use a "
            "table with more rows, or smaller shares in data_processing.split."
        ) from error
    return train, validation, test


def _by_time(customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: SplitParameters) -> _Parts:
    if declaration.time is None:
        raise ParameterError(
            "data_processing.split.method is time, but no column of parameters/customers.yml has role time."
        )
    times = customers[declaration.time]
    if times.isna().any():
        raise CustomerTableError(
            f"{int(times.isna().sum()):,} customers have no {declaration.time}, which a split by time needs. Remove "
            "nullable from the column in parameters/customers.yml, so that they are rejected."
        )
    moments = times.to_numpy()
    ordered, distinct = np.sort(moments), np.unique(moments)
    if len(distinct) < len(PARTS):
        listed = ", ".join(f"{moment:%Y-%m-%d}" for moment in pd.DatetimeIndex(distinct))
        raise CustomerTableError(
            f"A split by time needs at least {len(PARTS)} different times in {declaration.time}, one for each part; "
            f"the table has {listed}. Provide more (of events: a smaller snapshots.every_days), or set "
            "data_processing.split.method to random, which keeps the rows of a customer in one part."
        )
    test_from = ordered[int(len(ordered) * (1 - parameters.test_size))]
    before_test = rows_before(moments, test_from, parameters.gap_days)
    validation_from = ordered[max(0, int(before_test.sum()) - round(len(ordered) * parameters.validation_size))]
    train = rows_before(moments, validation_from, parameters.gap_days)
    validation = (moments >= validation_from) & before_test
    if parameters.gap_days and not (train.any() and validation.any()):
        days = (distinct[-1] - distinct[0]) / np.timedelta64(1, "D")
        raise CustomerTableError(
            f"A split by time with gap_days {parameters.gap_days:g} needs rows of at least twice as many days; those "
            f"by {declaration.time} cover {days:g} days and leave nothing for "
            f"{'training' if validation.any() else 'validation'}. Provide rows of a longer time, or smaller shares in "
            "data_processing.split."
        )
    return np.flatnonzero(train), np.flatnonzero(validation), np.flatnonzero(moments >= test_from)


def rows_before(moments: np.ndarray, start: np.datetime64, gap_days: float) -> np.ndarray:
    """Find the rows before a time, with a gap between.

    Args:
        moments: Time of each row.
        start: Time of the first later row.
        gap_days: Least days between.

    Returns:
        Mask of the rows.
    """
    earlier: np.ndarray = (moments < start) & (moments <= start - np.timedelta64(round(gap_days * 86_400), "s"))
    return earlier


def _by_hash(customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: SplitParameters) -> _Parts:
    part = hash_parts(customers, declaration, parameters)
    train, validation, test = (np.flatnonzero(part == name) for name in PARTS)
    return train, validation, test


def hash_parts(customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: SplitParameters) -> np.ndarray:
    """Assign customers to parts by a hash, so that the part of a row depends on no other row.

    Args:
        customers: Valid customers.
        declaration: The table's declaration.
        parameters: Shares and salt.

    Returns:
        ``train``, ``validation`` or ``test``, shape (n,): by the identifier, or by all cells where none is declared.
    """
    # SHA-256 does not depend on the version of Python or pandas.
    salt = f"{parameters.random_state}\0"
    if declaration.id_names:
        keys, *others = (customers[name].fillna("").astype("str") for name in declaration.id_names)
        for other in others:
            keys = keys.str.cat(other, sep="\0")
    else:
        columns = [column.name for column in declaration.required_columns(with_target=True)]
        keys = pd.Series(row_digests(customers[columns]))
    # Lists and joined bytes, since loops over cells and numbers of pandas take three times as long.
    digests = b"".join([hashlib.sha256(f"{salt}{key}".encode()).digest()[:8] for key in keys.tolist()])
    position = np.frombuffer(digests, dtype=">u8") / 2**64
    in_test = position < parameters.test_size
    in_validation = ~in_test & (position < parameters.test_size + parameters.validation_size)
    return np.select([in_test, in_validation], ["test", "validation"], "train")


def _require_every_class(target: pd.Series, declaration: CustomerDeclaration, parameters: SplitParameters) -> None:
    counts = [int((target == code).sum()) for code in range(len(declaration.classes))]
    for label, count in zip(declaration.classes, counts, strict=True):
        if count == 0:
            raise CustomerTableError(
                f"None of the {len(target)} customers has {declaration.target} = {label!r}: a model cannot be trained "
                "on one class. Check the target's labels in parameters/customers.yml and the file."
                if len(counts) == 2
                else f"None of the {len(target)} customers has {declaration.target} = {label!r}. Check labels.classes "
                "in parameters/customers.yml and the file."
            )
    smallest = min(
        1 - parameters.test_size - parameters.validation_size, parameters.test_size, parameters.validation_size
    )
    rarest = int(np.argmin(counts))
    if counts[rarest] * smallest < 1:
        raise CustomerTableError(
            f"Only {counts[rarest]} customers have {declaration.target} = {declaration.classes[rarest]!r}: too few to "
            f"put at least one into a part of {smallest:.0%}. Provide more customers, or raise the smallest share in "
            "data_processing.split."
        )


def _require_usable(
    name: str, target: np.ndarray, declaration: CustomerDeclaration, parameters: SplitParameters
) -> None:
    """Check that a part is not empty and has every class, which only random splits guarantee."""
    if not len(target):
        raise CustomerTableError(
            f"The {name} part would be empty with split method {parameters.method}. Choose other shares"
            f"{' or a smaller gap_days' if parameters.gap_days else ''}, or another method."
        )
    absent = [label for code, label in enumerate(declaration.classes) if not (target == code).any()]
    if absent:
        raise CustomerTableError(
            f"No customer of the {name} part has {declaration.target} = {absent[0]!r} with split method "
            f"{parameters.method}. Choose other shares or another method."
        )


def describe_splits(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    test: pd.DataFrame,
    declaration: CustomerDeclaration,
    parameters: SplitParameters,
    rows_left_out: dict[str, int],
    whole: WholeTable | None = None,
) -> SplitManifest:
    """Create the manifest of a split.

    Args:
        train: Training customers.
        validation: Validation customers.
        test: Test customers.
        declaration: The table's declaration.
        parameters: Parameters of the split.
        rows_left_out: Accepted rows that are in no part, by reason.
        whole: The table of which the parts are samples; None: the parts contain all rows.

    Returns:
        Rows, classes and content digest of each part.
    """

    def record(part: pd.DataFrame) -> SplitRecord:
        return SplitRecord(
            rows=len(part), classes=count_classes(part[declaration.target], declaration), digest=table_digest(part)
        )

    return SplitManifest(
        split=parameters,
        columns={str(name): str(dtype) for name, dtype in train.dtypes.items()},
        rows_left_out={reason: count for reason, count in rows_left_out.items() if count},
        train=record(train),
        validation=record(validation),
        test=record(test),
        whole=whole,
    )


def count_classes(target: pd.Series, declaration: CustomerDeclaration) -> dict[str, int]:
    """Count customers by label.

    Args:
        target: Class codes.
        declaration: The table's declaration.

    Returns:
        Count of each declared label, as text; empty for a regression.
    """
    return {str(label): int((target == code).sum()) for code, label in enumerate(declaration.classes)}
