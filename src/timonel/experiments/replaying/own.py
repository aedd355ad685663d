"""An empty database of one's own, in which the drain's code may count and looks may look."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from timonel.store.tables import control
from timonel.store.tables_experiments import (
    experiment_cells,
    experiment_phases,
    experiment_totals,
    experiment_units,
    experiments,
)

COPIED = (control, experiments, experiment_phases)
_WRITTEN = (experiment_cells, experiment_units, experiment_totals)


@contextmanager
def own_database() -> Iterator[Connection]:
    """Give a connection to empty tables of experiments; all is gone at the end."""
    # a private file that SQLite deletes: units of a large log need not fit into memory
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(""), poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            for table in (*COPIED, *_WRITTEN):
                table.create(connection)
            yield connection
    finally:
        engine.dispose()
