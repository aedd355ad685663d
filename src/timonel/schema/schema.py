"""The ordered features of a model: what requests must look like and what is logged."""

from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import msgspec

from timonel.errors import Phrase
from timonel.schema.errors import InvalidDeclaration
from timonel.schema.features import Category, Feature, Flag, Number, Text, Timestamp

_A_SCHEMA = Phrase("a schema", "un esquema")

_KINDS: dict[str, type[Feature]] = {
    "number": Number,
    "category": Category,
    "flag": Flag,
    "text": Text,
    "timestamp": Timestamp,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Schema:
    """An ordered, immutable list of features with unique names.

    Raises
    ------
    InvalidDeclaration
        If it is empty, a name appears twice, or a feature is known only at outcome time.
    """

    __slots__ = ("_by_name", "features")

    features: tuple[Feature, ...]

    def __init__(self, *features: Feature) -> None:
        by_name = {feature.name: feature for feature in features}
        if not features or len(by_name) != len(features):
            names = [feature.name for feature in features]
            raise InvalidDeclaration(
                object=_A_SCHEMA,
                found=Phrase("features {names}", "entradas {names}", names=names),
                expected=Phrase("at least one, each once", "al menos una, cada una una vez"),
            )
        late = [f.name for f in features if f.available_at == "outcome"]
        if late:
            raise InvalidDeclaration(
                object=_A_SCHEMA,
                found=Phrase(
                    "inputs known only after the prediction: {late}",
                    "entradas que solo se conocen después de la predicción: {late}",
                    late=late,
                ),
                expected=Phrase(
                    "features with available_at='prediction' (the others are outcomes)",
                    "entradas con available_at='prediction' (las otras son resultados)",
                ),
            )
        self.features = features
        self._by_name = by_name

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.features == other.features

    def __hash__(self) -> int:
        return hash(self.features)

    def __repr__(self) -> str:
        return f"Schema({', '.join(map(repr, self.features))})"

    @property
    def names(self) -> tuple[str, ...]:
        """The feature names, in order."""
        return tuple(feature.name for feature in self.features)

    def __getitem__(self, name: str) -> Feature:
        return self._by_name[name]

    def to_json(self) -> list[dict[str, Any]]:
        """Give a JSON-safe description, one entry a feature, that ``from_json`` reads back."""
        described = [
            {"kind": _NAMES[type(feature)], **asdict(feature)} for feature in self.features
        ]
        # through JSON, so that it equals what is read back: lists, no tuples
        plain: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(described))
        return plain

    @classmethod
    def from_json(cls, document: list[dict[str, Any]]) -> "Schema":
        """Rebuild a schema from ``to_json``'s form."""
        features = []
        for entry in document:
            fields = dict(entry)
            features.append(_KINDS[fields.pop("kind")](**fields))
        return cls(*features)

    def digest(self) -> str:
        """Give the sha256 (hex) of the canonical description; equal schemas, equal digests."""
        return sha256(msgspec.json.encode(self.to_json(), order="deterministic")).hexdigest()
