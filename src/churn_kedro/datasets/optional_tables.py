"""Raw tables that may be absent."""

from __future__ import annotations

from typing import Any

from churn_kedro.datasets.large_tables import SampledTableDataset


class OptionalTableDataset(SampledTableDataset):
    """A raw table of another program that may be absent. It is read-only.

    Args:
        filepath: Local path or fsspec URL.
        required: Whether the file must exist, for example a path of the command line; an empty text is false.
        arguments: Further arguments of :class:`churn_kedro.datasets.SampledTableDataset`.
    """

    def __init__(self, *, filepath: str, required: bool | str = False, **arguments: Any) -> None:
        super().__init__(filepath=filepath, **arguments)
        self._required = bool(required)

    def load(self) -> Any:
        """Read the table.

        Returns:
            As :meth:`churn_kedro.datasets.SampledTableDataset.load`; None if the file is absent and not required.
        """
        return super().load() if self._required or self._exists() else None

    def require_file(self) -> None:
        """Raise an error if the file is absent and required, or empty."""
        if self._required or self._exists():
            super().require_file()
