"""A model's look-up as it is declared, and as serving is told it."""

from pathlib import Path

import pytest
from tests.unit.project.test_project import MODEL, project

from timonel.errors import ProjectFault
from timonel.project.project import load_project
from timonel.training.publish import declaration_manifest
from timonel.wire.lookup import LookupPlan

IMPORTS = "from timonel import Csv, Model, Number, Schema"
SOURCE = '    source=Csv("datos ñ.csv"),\n'


def declared(folder: Path, lookup: str, source: str = SOURCE) -> LookupPlan | None:
    wanted = f"{source}    lookup={lookup},\n"
    text = MODEL.replace(IMPORTS, IMPORTS + ", Sql").replace(SOURCE, wanted)
    model = load_project(project(folder, **{"model.py": text})).model("churn")
    made = declaration_manifest(model, project="demo", timezone="America/Santiago", rules=None)
    return made.lookup


def test_a_sqlite_file_begins_in_the_project_and_an_age_is_a_duration(tmp_path: Path) -> None:
    lookup = 'Sql("select x from c where id = :id", "sqlite:///crm.db", max_age="1d")'
    plan = declared(tmp_path, lookup)
    assert plan == LookupPlan(
        "select x from c where id = :id", f"sqlite:///{tmp_path / 'crm.db'}", 86_400.0, 100.0
    )


def test_the_address_is_that_of_the_source_where_none_is_given(tmp_path: Path) -> None:
    source = '    source=Sql("select * from c", "env:CRM_URL"),\n'
    plan = declared(tmp_path, 'Sql("select x from c where id = :id")', source)
    assert plan is not None
    assert (plan.url, plan.max_age_s) == ("env:CRM_URL", 0.0)


@pytest.mark.parametrize(
    ("lookup", "says"),
    [
        ('Sql("select x from c where id = 7", "env:CRM")', "with :id, and no other"),
        ('Sql("select x from c where id = :id and d = :day", "env:CRM")', "and no other"),
        ('Sql("select x from c where id = :id")', "a url"),
        ('Sql("select x from c where id = :id", "postgresql://u:pw@h/d")', "no password"),
        ('Sql("select x from c where id = :id", "env:CRM", max_age="soon")', "'30d'"),
    ],
)
def test_a_look_up_that_could_not_serve_is_refused(tmp_path: Path, lookup: str, says: str) -> None:
    with pytest.raises(ProjectFault, match=says) as caught:
        declared(tmp_path, lookup)
    assert "pw@" not in str(caught.value)


def test_what_is_missing_is_told_before_serving(tmp_path: Path) -> None:
    text = MODEL.replace(IMPORTS, IMPORTS + ", Sql").replace(
        SOURCE, SOURCE + '    lookup=Sql("select x from c where id = :id", "env:NO_SUCH_CRM"),\n'
    )
    loaded = load_project(project(tmp_path, **{"model.py": text}))
    assert [problem.code for problem in loaded.problems()] == ["missing_variable"]
