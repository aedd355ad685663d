"""Rows that one writer owns, read and written by their primary key, many at a time."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Insert,
    Select,
    Table,
    bindparam,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

_KEYS_A_QUERY = 200
_VALUES_A_QUERY = 900  # SQLite before 3.32 takes no more than 999

Row = tuple[Any, ...]


def read_keyed(connection: Connection, table: Table, n_key: int, keys: Iterable[Row]) -> list[Row]:
    """Read the rows of some keys, by the primary key's index.

    Parameters
    ----------
    n_key : int
        The first so many columns of the table are its key.
    """
    wanted = list(keys)
    found: list[Row] = []
    if connection.dialect.name == "sqlite":
        most = _VALUES_A_QUERY // n_key
        for start in range(0, len(wanted), most):
            page = wanted[start : start + most]
            query = _one_by_one(table, n_key, len(page))
            values = tuple(part for key in page for part in key)
            found += [tuple(row) for row in connection.exec_driver_sql(query, values)]
        return found
    for start in range(0, len(wanted), _KEYS_A_QUERY):
        page = wanted[start : start + _KEYS_A_QUERY]
        rows = connection.execute(_of_keys(table, n_key), {"keys": page}).all()
        found += [tuple(row) for row in rows]
    return found


@lru_cache(64)
def _of_keys(table: Table, n_key: int) -> Select[Any]:
    """Write the query for any keys: built anew, it costs more than running it."""
    columns = list(table.c)
    keys: BindParameter[Row] = bindparam("keys", expanding=True)
    return select(*columns).where(tuple_(*columns[:n_key]).in_(keys))


@lru_cache(64)
def _one_by_one(table: Table, n_key: int, n: int) -> str:
    """Write SQLite's query for ``n`` keys: for a list of row values it would scan the table."""
    columns = [f't."{column.name}"' for column in table.c]
    keys = [f"k{place}" for place in range(n_key)]
    values = ", ".join([f"({', '.join('?' * n_key)})"] * n)
    same = " AND ".join(f"{column} = w.{key}" for column, key in zip(columns, keys, strict=False))
    return (
        f"WITH w({', '.join(keys)}) AS (VALUES {values}) "  # noqa: S608 - names of our own table
        f"SELECT {', '.join(columns)} FROM w CROSS JOIN {table.name} AS t ON {same}"
    )


def write_keyed(connection: Connection, table: Table, n_key: int, rows: Sequence[Row]) -> None:
    """Insert rows, or replace what those of the same key hold beside it."""
    if not rows:
        return
    names = [column.name for column in table.c]
    statement = _upsert(table, n_key, connection.dialect.name)
    connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])


@lru_cache(64)
def _upsert(table: Table, n_key: int, dialect: str) -> Insert:
    """Write the statement: built anew, it costs a drain's transaction more than running it."""
    columns = list(table.c)
    insert: sqlite.Insert | postgresql.Insert = (
        sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    )
    return insert.on_conflict_do_update(
        index_elements=columns[:n_key],
        set_={column.name: insert.excluded[column.name] for column in columns[n_key:]},
    )
