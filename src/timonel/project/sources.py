"""Where training data come from: files, SQL, or a callable."""

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Source(Protocol):
    """A place that can be read again and gives the same rows as long as it is unchanged."""

    def read(self) -> Any:
        """Give all rows as a polars DataFrame, typed."""
        ...

    def describe(self) -> dict[str, Any]:
        """Give a JSON-safe description (kind, path or query, dialect) for lineage."""
        ...
