import pytest

from timonel.project.project import load_project
from timonel.simulate.errors import UnknownExample
from timonel.simulate.examples import example_folder


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("dispatch", ["dispatch"]),
        ("obesity", ["obesity", "obesity_habits"]),
        ("comments", ["comments"]),
    ],
)
def test_an_example_loads_as_any_project_does(name: str, models: list[str]) -> None:
    project = load_project(example_folder(name))
    project.check()
    assert project.name == name
    assert list(project.models) == models


def test_the_declared_inputs_are_those_of_the_reference_systems() -> None:
    dispatch = load_project(example_folder("dispatch")).models["dispatch"]
    obesity = load_project(example_folder("obesity")).models
    assert len(dispatch.schema) == 13
    assert len(obesity["obesity"].schema) == 16
    assert set(obesity["obesity"].schema.names) - set(obesity["obesity_habits"].schema.names) == {
        "Height",
        "Weight",
    }


def test_an_unknown_example_says_where_it_was_looked_for() -> None:
    with pytest.raises(UnknownExample, match="examples/nothing"):
        example_folder("nothing")
