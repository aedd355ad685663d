"""The PostgreSQL databases that tests use one after another are as good as new."""

import psycopg
import pytest
from tests.databases import Databases

FILL = "INSERT INTO control VALUES ('harbour', 1, 0, 0, 1.0, 'UTC')"


def test_rows_are_gone_and_who_holds_on_is_cut_off(databases: Databases) -> None:
    name = databases.lend()
    holder = psycopg.connect(databases.url(name), autocommit=True)
    holder.execute(FILL)
    databases.take_back(name)
    assert databases.free[-1] == name
    with pytest.raises(psycopg.OperationalError):
        holder.execute(FILL)
    holder.close()
    with psycopg.connect(databases.url(databases.lend())) as connection:
        assert connection.execute("SELECT count(*) FROM control").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match=name):
        psycopg.connect(databases.url(name))


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE control",
        "ALTER TABLE control ADD other int",
        "ALTER TABLE control ADD CHECK (generation > 0)",
        "UPDATE timonel_version SET version_num = '9999'",
    ],
)
def test_where_more_than_rows_was_changed_it_is_dropped(databases: Databases, change: str) -> None:
    name = databases.lend()
    with psycopg.connect(databases.url(name)) as connection:
        connection.execute(change)
    databases.take_back(name)
    assert name not in databases.free
    with pytest.raises(psycopg.OperationalError, match=name):
        psycopg.connect(databases.url(name))
