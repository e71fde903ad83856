"""Database of the trials of hyperparameter searches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from churn_kedro.base import split_credentials
from churn_kedro.datasets.mlflow.failures import database_reason
from churn_kedro.training import TrialArchive

if TYPE_CHECKING:
    import optuna


class StudyArchive:
    """Optuna studies in a database: one study per search key, with its finished trials.

    Args:
        url: SQLAlchemy address of the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._storage: optuna.storages.RDBStorage | None = None
        self._studies: dict[str, optuna.Study] = {}

    def _study(self, search: str) -> optuna.Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self._storage is None:
            if self._url.startswith("sqlite:///"):
                Path(self._url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            self._storage = optuna.storages.RDBStorage(self._url)
        if search not in self._studies:
            self._studies[search] = optuna.create_study(
                storage=self._storage, study_name=search, load_if_exists=True, direction="minimize"
            )
        return self._studies[search]

    @contextmanager
    def _explaining_failures(self) -> Iterator[None]:
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, StorageInternalError, OSError, ImportError, RuntimeError) as error:
            # A RuntimeError: the database has tables of another version of Optuna, or those of MLflow.
            address = split_credentials(self._url).without_credentials
            raise DatasetError(
                f"The trials of hyperparameter searches cannot be stored in {address}: {database_reason(error)}. If it "
                "is the project's own file, delete it; if it is from CHURN_STUDY_URL, name an existing database of "
                "its own, or unset the variable. With training.search.resume=false, no trials are stored."
            ) from error

    def known_trials(self, search: str) -> list[optuna.trial.FrozenTrial]:
        """Return the finished trials of a search.

        Args:
            search: Its key.

        Returns:
            The trials with their original numbers.
        """
        with self._explaining_failures():
            trials = self._study(search).get_trials(deepcopy=True)
        for trial in trials:
            trial.number = int(trial.user_attrs["number"])
        return trials

    def keep(self, search: str, trial: optuna.trial.FrozenTrial) -> None:
        """Add a finished trial.

        Args:
            search: Key of the search.
            trial: The trial.
        """
        import optuna

        # A study numbers its trials in the order of insertion.
        kept = optuna.trial.create_trial(
            state=trial.state,
            values=trial.values[:1] if trial.values else None,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={**trial.user_attrs, "number": trial.number},
            intermediate_values=trial.intermediate_values,
        )
        with self._explaining_failures():
            self._study(search).add_trial(kept)


class TrialArchiveDataset(AbstractDataset[TrialArchive, TrialArchive]):
    """Archive of trials as a dataset.

    A search may take hours and be interrupted, so it writes while it runs; this is the only dataset that a node
    receives to write to.

    Args:
        url: SQLAlchemy address of the database.
        metadata: For plugins; Kedro ignores it.
    """

    def __init__(self, *, url: str, metadata: dict[str, Any] | None = None) -> None:
        self._url = url
        self.metadata = metadata

    def load(self) -> TrialArchive:
        """Open the archive.

        Returns:
            The archive; the database is created on first use.
        """
        return StudyArchive(self._url)

    def save(self, data: TrialArchive) -> None:
        """Refuse."""
        raise DatasetError("The search stores trials itself while it runs.")

    def _describe(self) -> dict[str, Any]:
        return {"url": split_credentials(self._url).without_credentials}
