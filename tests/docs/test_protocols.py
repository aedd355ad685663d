"""Every request that docs/protocols.md shows is sent, and answered."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.http import protocols

from timonel.testing.builders import open_registry
from timonel.testing.serving import ServingWorld

PAGE = Path(__file__).parents[2] / "docs" / "protocols.md"
EXAMPLES = re.findall(
    r"```http\nPOST (\S+)\nContent-Type: (\S+)\n\n(.*?)```", PAGE.read_text(), re.S
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingWorld]:
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        yield protocols.open_world(folder, url, registry)


def answers(path: str, document: Any) -> list[Any]:
    """The predictions of an answer, whatever its form."""
    if path.startswith("/v2/"):
        return list(document["outputs"][0]["data"])
    if path.startswith("/invocations"):
        return list(document["predictions"])
    return [document["prediction"]]


@pytest.mark.parametrize(("path", "kind", "body"), EXAMPLES)
async def test_the_example_is_answered(
    world: ServingWorld, tmp_path: Path, path: str, kind: str, body: str
) -> None:
    config = world.config(spool=tmp_path / "spool", slot=tmp_path / "metrics")
    async with protocols.serving(config) as (_, client):
        response = await client.post(path, content=body, headers={"Content-Type": kind})
    if path.endswith("/predictions"):
        assert response.status_code == 202, response.text
        assert len(protocols.predictions(config)) == len(response.json()["prediction_ids"]) == 1
        return
    assert response.status_code == 200, response.text
    lines = response.text.splitlines() if "ndjson" in kind else [response.text]
    found = [one for line in lines for one in answers(path, json.loads(line))]
    assert found in ([0], [0, 1])
    assert len(protocols.predictions(config)) == len(found)


def test_the_page_shows_every_protocol() -> None:
    assert len(EXAMPLES) == 9
    assert {path.split("/")[1].split("?")[0] for path, _, _ in EXAMPLES} == {
        "v1",
        "v2",
        "invocations",
    }
