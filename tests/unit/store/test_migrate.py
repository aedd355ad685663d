from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from timonel.store import migrate
from timonel.store.control import ensure_project, read_control
from timonel.store.engine import make_engine, reading
from timonel.store.errors import SchemaNewer, SchemaOlder
from timonel.store.migrate import VERSION_TABLE, head, require_current, upgrade
from timonel.store.tables import metadata
from timonel.store.tables_access import access_keys
from timonel.store.tables_experiments import experiments
from timonel.store.tables_loop import profiles


def test_the_migrations_make_exactly_the_metadata(
    empty_database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    # all modules' tables are looked at
    for table in (access_keys, experiments, profiles):
        assert table.metadata is metadata
    engine = make_engine(empty_database)
    assert upgrade(engine) is True
    require_current(engine)
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))
    assert head() == scripts.get_current_head()
    with reading(engine) as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
        found = inspect(connection)
        for table in metadata.sorted_tables:
            assert found.get_pk_constraint(table.name)["name"] == f"pk_{table.name}"
    assert upgrade(engine) is False
    engine.dispose()
    assert capfd.readouterr() == ("", "")


def test_an_older_schema_names_the_command(empty_database: str) -> None:
    engine = make_engine(empty_database)
    with pytest.raises(SchemaOlder, match="timonel db upgrade"):
        require_current(engine)
    engine.dispose()


def test_the_oldest_schema_is_upgraded_with_its_rows(empty_database: str) -> None:
    engine = make_engine(empty_database)
    assert upgrade(engine, to="0001") is True
    with pytest.raises(SchemaOlder, match="its schema is 0001"):
        require_current(engine)
    ensure_project(engine, "harbour", "America/Santiago")
    assert upgrade(engine) is True
    require_current(engine)
    assert read_control(engine, "harbour").timezone == "America/Santiago"
    engine.dispose()


def test_asking_does_not_create_the_file(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/timonel.db")
    with pytest.raises(SchemaOlder):
        require_current(engine)
    assert list(tmp_path.iterdir()) == []


def test_a_newer_schema_is_left_alone(empty_database: str) -> None:
    engine = make_engine(empty_database)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaNewer, match="upgrade timonel"):
        require_current(engine)
    with pytest.raises(SchemaNewer, match="9999"):
        upgrade(engine)
    engine.dispose()


def test_an_upgrade_that_fails_leaves_nothing(empty_database: str) -> None:
    engine = make_engine(empty_database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE predictions (n INTEGER)"))  # in the way
    with pytest.raises(Exception, match="predictions"):
        upgrade(engine)
    with reading(engine) as connection:
        assert set(inspect(connection).get_table_names()) <= {"predictions"}
    engine.dispose()
