import pytest

from timonel.wire.lookup import pieces_of, with_placeholders


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("select * from t where c = :id", ["id"]),
        ("select * from t where c = :id or d=:id", ["id", "id"]),
        ("select a::text, b :: int from t where c=:id::int", ["id"]),
        ("select ':id', 'it''s :x', \":y\" from t where c=:id", ["id"]),
        ("select $$:no$$, $a$ :no $a$ from t where c=:id", ["id"]),
        ("select 1 -- :no\n from t /* :no \n :no */ where c=:id", ["id"]),
        ("select '10:30', ts[1:2] from t", []),
        ("select * from t where c = :id and d = :other", ["id", "other"]),
    ],
)
def test_parameters_are_told_from_other_colons(query: str, names: list[str]) -> None:
    texts, found = pieces_of(query)
    assert found == names
    rebuilt = texts[0] + "".join(f":{n}{t}" for n, t in zip(found, texts[1:], strict=True))
    assert rebuilt == query


def test_a_driver_gets_its_own_placeholder_and_its_own_percent() -> None:
    texts, _ = pieces_of("select 1 % 2, '%' from t where c = :id")
    written = with_placeholders(texts, "%(id)s", percent="%%")
    assert written == "select 1 %% 2, '%%' from t where c = %(id)s"
    assert with_placeholders(texts, ":id") == "select 1 % 2, '%' from t where c = :id"
