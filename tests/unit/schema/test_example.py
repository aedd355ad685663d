"""A row made from a schema alone is one that the schema accepts."""

import pytest

from timonel.schema.example import example_row
from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.schema import Schema


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (Number("x", ge=18, le=80), 49),
        (Number("x", ge=0.1, le=0.2), 0.2),
        (Number("x", ge=0.123, le=0.124), 0.123),
        (Number("x", ge=0.5), 2),
        (Number("x", le=-3), -3),
        (Number("x", ge=1, le=2, integer=True), 2),
        (Number("x"), 1),
        (Category("x", ["Arica", "Talca"]), "Arica"),
        (Flag("x"), True),
        (Text("x", max_length=2), "te"),
        (Timestamp("x"), "2026-03-14T15:30:00"),
    ],
)
def test_value(feature: Number, value: object) -> None:
    assert example_row(Schema(feature)) == {"x": value}
