"""Splitting customers into train, validation and test, and proving later that the parts belong together."""

from __future__ import annotations

import pandas as pd
from pydantic import Field, model_validator

from churn_kedro.customers import CustomerDeclaration, CustomerTableError, Parameters
from churn_kedro.digests import table_digest


class SplitParameters(Parameters):
    """How the customers are divided."""

    test_size: float = Field(gt=0, lt=1, description="Share of all customers kept for the final evaluation.")
    validation_size: float = Field(
        gt=0, lt=1, description="Share of all customers used for early stopping, calibration and the threshold."
    )
    random_state: int = Field(ge=0, description="Seed of the shuffle.")

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> SplitParameters:
        if self.test_size + self.validation_size >= 1:
            raise ValueError(
                f"test_size {self.test_size} and validation_size {self.validation_size} leave nothing to train on"
            )
        return self


class SplitRecord(Parameters):
    """One part of a split."""

    rows: int = Field(description="Customers in the part.")
    positives: int = Field(description="Customers of the positive class.")
    digest: str = Field(description="Content digest of the table.")


class SplitManifest(Parameters):
    """What one split produced; it identifies the data a model was trained and judged on."""

    random_state: int = Field(description="Seed of the shuffle.")
    columns: list[str] = Field(description="Columns of every part.")
    train: SplitRecord
    validation: SplitRecord
    test: SplitRecord

    def verify(self, **parts: pd.DataFrame) -> None:
        """Check that tables are the parts this manifest describes.

        Args:
            parts: Tables by name: ``train``, ``validation`` or ``test``.

        Raises:
            CustomerTableError: A table was changed, or comes from another split: a mixture could put one customer into
                both training and test.
        """
        for name, table in parts.items():
            expected: SplitRecord = getattr(self, name)
            found = table_digest(table)
            if found != expected.digest:
                raise CustomerTableError(
                    f"The {name} table ({len(table)} rows, digest {found}) is not the one the split manifest describes "
                    f"({expected.rows} rows, digest {expected.digest}). It was edited, or data_processing was "
                    "interrupted between two files. Run `kedro run --pipelines data_processing` again."
                )


def split_customers(
    customers: pd.DataFrame, declaration: CustomerDeclaration, parameters: SplitParameters
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Divide customers at random, with the same share of churners in each part.

    Args:
        customers: Valid customers with the target as 1 and 0.
        declaration: The table's declaration.
        parameters: Shares and seed.

    Returns:
        Train, validation and test; every customer is in exactly one of them.

    Raises:
        CustomerTableError: One class is absent, or too rare to be in each part.
    """
    from sklearn.model_selection import train_test_split

    counts = customers[declaration.target].value_counts()
    labels = {1: declaration.labels.positive, 0: declaration.labels.negative}
    for value, label in labels.items():
        if counts.get(value, 0) == 0:
            raise CustomerTableError(
                f"None of the {len(customers)} customers has {declaration.target} = {label!r}: there is nothing to "
                "learn from one class. Check the target's labels in parameters/customers.yml and the file."
            )
    train_size = 1 - parameters.test_size - parameters.validation_size
    smallest = min(train_size, parameters.test_size, parameters.validation_size)
    rarest = 0 if counts[0] < counts[1] else 1
    if counts[rarest] * smallest < 1:
        raise CustomerTableError(
            f"Only {counts[rarest]} customers have {declaration.target} = {labels[rarest]!r}: too few to "
            f"put at least one into a part of {smallest:.0%}. Bring more customers or larger parts."
        )
    rest, test = train_test_split(
        customers,
        test_size=parameters.test_size,
        stratify=customers[declaration.target],
        random_state=parameters.random_state,
    )
    train, validation = train_test_split(
        rest,
        test_size=parameters.validation_size / (1 - parameters.test_size),
        stratify=rest[declaration.target],
        random_state=parameters.random_state,
    )
    train, validation, test = (part.sort_index().reset_index(drop=True) for part in (train, validation, test))
    return train, validation, test


def describe_splits(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    test: pd.DataFrame,
    declaration: CustomerDeclaration,
    random_state: int,
) -> SplitManifest:
    """Write down what a split produced.

    Args:
        train: Training customers.
        validation: Validation customers.
        test: Test customers.
        declaration: The table's declaration.
        random_state: Seed the split was made with.

    Returns:
        Rows, churners and content digest of each part.
    """

    def record(part: pd.DataFrame) -> SplitRecord:
        return SplitRecord(rows=len(part), positives=int(part[declaration.target].sum()), digest=table_digest(part))

    return SplitManifest(
        random_state=random_state,
        columns=list(train.columns),
        train=record(train),
        validation=record(validation),
        test=record(test),
    )
