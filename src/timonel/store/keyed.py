"""Rows that one writer owns, read and written by their primary key, many at a time."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

_KEYS_A_QUERY = 200

Row = tuple[Any, ...]


def read_keyed(connection: Connection, table: Table, n_key: int, keys: Iterable[Row]) -> list[Row]:
    """Read the rows of some keys, by the primary key's index.

    Parameters
    ----------
    n_key : int
        The first so many columns of the table are its key.
    """
    columns = list(table.c)
    wanted = list(keys)
    found: list[Row] = []
    if connection.dialect.name == "sqlite":
        # it would scan the table for a list of row values
        one = " AND ".join(f'"{column.name}" = ?' for column in columns[:n_key])
        names = ", ".join(f'"{column.name}"' for column in columns)
        query = f"SELECT {names} FROM {table.name} WHERE {one}"  # noqa: S608 - names of our own table
        for key in wanted:
            found += [tuple(row) for row in connection.exec_driver_sql(query, key)]
        return found
    for start in range(0, len(wanted), _KEYS_A_QUERY):
        page = wanted[start : start + _KEYS_A_QUERY]
        rows = select(*columns).where(tuple_(*columns[:n_key]).in_(page))
        found += [tuple(row) for row in connection.execute(rows)]
    return found


def write_keyed(connection: Connection, table: Table, n_key: int, rows: Sequence[Row]) -> None:
    """Insert rows, or replace what those of the same key hold beside it."""
    if not rows:
        return
    columns = list(table.c)
    names = [column.name for column in columns]
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(table)
    statement = insert.on_conflict_do_update(
        index_elements=columns[:n_key],
        set_={column.name: insert.excluded[column.name] for column in columns[n_key:]},
    )
    connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
