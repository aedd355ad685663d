from zoneinfo import ZoneInfo

import msgspec
import pytest

from timonel.schema.errors import InvalidDeclaration
from timonel.schema.features import Category
from timonel.schema.schema import Schema
from timonel.schema.validation_fields import reader_of

TRANSPORT = Category(
    "MTRANS",
    ["Public_Transportation", "Walking"],
    aliases={"Public Transportation": "Public_Transportation", "A: on foot": "Walking"},
)


@pytest.mark.parametrize(
    ("sent", "served"),
    [
        ("Public Transportation", "Public_Transportation"),
        ("public transportation ", "Public_Transportation"),
        ("PUBLIC_TRANSPORTATION", "Public_Transportation"),
        ("a: on foot", "Walking"),
    ],
)
def test_an_alias_is_served_as_the_word_it_means(sent: str, served: str) -> None:
    reader = reader_of(TRANSPORT, ZoneInfo("UTC"))
    assert reader.read(sent) == served
    assert isinstance(reader.quick, dict)
    assert reader.quick[sent] == served


def test_case_counts_for_aliases_where_it_counts_for_words() -> None:
    strict = Category("t", ["Bus"], case_insensitive=False, aliases={"Micro": "Bus"})
    quick = reader_of(strict, ZoneInfo("UTC")).quick
    assert isinstance(quick, dict)
    assert quick["Micro"] == "Bus"
    with pytest.raises(KeyError):
        quick["micro"]


def test_a_schema_with_aliases_is_read_back_from_json() -> None:
    schema = Schema(TRANSPORT)
    document = msgspec.json.decode(msgspec.json.encode(schema.to_json()))
    assert Schema.from_json(document) == schema
    assert Schema.from_json(document).digest() == schema.digest()


@pytest.mark.parametrize("aliases", [{"walking": "Walking"}, {"on foot": "walk"}])
def test_an_alias_that_is_a_word_or_means_none_is_refused(aliases: dict[str, str]) -> None:
    with pytest.raises(InvalidDeclaration, match="alias"):
        Category("MTRANS", ["Walking"], aliases=aliases)
