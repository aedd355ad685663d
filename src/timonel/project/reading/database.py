"""Read the rows of a SQL query into raw columns."""

from typing import Any

import polars as pl

from timonel.project.reading.errors import EmptyTable, UnreadableQuery
from timonel.project.reading.raw import RawTable, check_names, column_of


def read_query(query: str, url: str, shown_url: str) -> RawTable:
    """Run a query and give its rows.

    Parameters
    ----------
    query : str
    url : str
        SQLAlchemy URL; ``postgresql://`` means psycopg 3.
    shown_url : str
        For messages: without password.

    Raises
    ------
    UnreadableQuery
        If the database cannot be reached, or refuses the query.
    EmptyTable
        If it gives no row.
    """
    import sqlalchemy as sa  # heavy, and only databases need it

    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+psycopg://" + url.split("://", 1)[1]
    try:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            result = connection.execute(sa.text(_escaped(query)))
            names = list(result.keys())
            columns: list[list[Any]] = [[] for _ in names]
            for rows in result.partitions(10_000):
                for row in rows:
                    for column, value in zip(columns, row, strict=True):
                        column.append(value)
    except (sa.exc.SQLAlchemyError, ImportError, ValueError) as error:
        cause = getattr(error, "orig", None) or error
        found = str(cause).strip().split("\n", 1)[0][:200]
        raise UnreadableQuery(url=shown_url, query=query[:200], found=found) from None
    if not columns or not columns[0]:
        raise EmptyTable(path=shown_url, n_lines=0)
    frame = pl.DataFrame([column_of(str(i), column) for i, column in enumerate(columns)])
    return RawTable(check_names(frame, names, shown_url, 1), None, shown_url)


def _escaped(query: str) -> str:
    # A colon in a literal ('10:30') is not a parameter.
    return query.replace(":", r"\:")
