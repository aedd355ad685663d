"""How a schema differs from another: what is declared now, and what a version was trained on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SchemaChanges:
    """Names of fields, in the order of their schema.

    Parameters
    ----------
    added, removed : tuple of str
        Declared and unknown to the version; known to it and declared no longer.
    different : tuple of str
        In both, of another kind, unit or limits.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    different: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All fields that differ; none: the schemas are one."""
        return (*self.added, *self.removed, *self.different)


def changes_between(
    trained: Iterable[Mapping[str, Any]], declared: Iterable[Mapping[str, Any]]
) -> SchemaChanges:
    """Compare two schemas in ``Schema.to_json``'s form; the order of fields means nothing."""
    before = {field["name"]: field for field in trained}
    now = {field["name"]: field for field in declared}
    return SchemaChanges(
        tuple(name for name in now if name not in before),
        tuple(name for name in before if name not in now),
        tuple(name for name in now if name in before and now[name] != before[name]),
    )
