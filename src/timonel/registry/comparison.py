"""What lies between two versions: figures, lineage, schema. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """One figure of both; ``difference`` is b - a, None where either has none."""

    name: str
    a: float | None
    b: float | None
    difference: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the two documents differ; None where it is absent."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """The inputs that only one has, and those that both have but declare otherwise."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions of a model, side by side."""

    model: str
    a: str
    b: str
    metrics: tuple[MetricDifference, ...]
    lineage: tuple[Difference, ...]
    schema: SchemaDifference

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        return asdict(self)


def compare_metrics(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[MetricDifference, ...]:
    """Set all figures side by side; nested ones are named with points."""
    left, right = _figures(a), _figures(b)
    names = dict.fromkeys((*left, *right))
    return tuple(_metric(name, left.get(name), right.get(name)) for name in names)


def compare_documents(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    """List where two documents differ, in the order of their names."""
    left, right = dict(_leaves(a)), dict(_leaves(b))
    return tuple(
        Difference(name, left.get(name), right.get(name))
        for name in sorted(left.keys() | right.keys())
        if left.get(name) != right.get(name)
    )


def compare_schemas(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> SchemaDifference:
    """Compare declared inputs by their names."""
    left = {feature["name"]: feature for feature in a}
    right = {feature["name"]: feature for feature in b}
    return SchemaDifference(
        added=tuple(name for name in right if name not in left),
        removed=tuple(name for name in left if name not in right),
        changed=tuple(
            Difference(name, left[name], right[name])
            for name in left
            if name in right and left[name] != right[name]
        ),
    )


def _metric(name: str, a: float | None, b: float | None) -> MetricDifference:
    return MetricDifference(name, a, b, None if a is None or b is None else b - a)


def _figures(document: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in _leaves(document)
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
