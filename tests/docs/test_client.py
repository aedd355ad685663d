"""The examples of docs/client.md run, in their order, against a real server."""

import re
from pathlib import Path

import pytest
from tests.http import protocols

from timonel.testing.builders import open_registry
from timonel.testing.listening import Listening, Worker

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        config = protocols.open_world(tmp_path, url, registry).config()
        with Listening(Worker(config)) as server:
            names: dict[str, object] = {"url": server.url}
            for example in EXAMPLES:
                exec(compile(example, str(PAGE), "exec"), names)
    said = [(frame.source, frame.version) for frame in protocols.predictions(config)]
    assert said == [("model", "1.0.1"), ("rules", ""), ("external", "ext:2026-03")]
