"""The comments example on a real server: the 28-row log to the digit, both versions in service."""

import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from timonel.client import Client
from timonel.serving.processes.ports import next_free
from timonel.simulate.examples import example_folder

START_S = 240.0


class Comments:
    """A copy of the example, served; without the tweets, so that training is short."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(example_folder("comments"), folder)
        (folder / "no data").mkdir()
        self.folder = folder
        port = next_free("127.0.0.1", random.randrange(15_000, 30_000))
        self.url = f"http://127.0.0.1:{port}"
        self.environment = os.environ | {
            "TIMONEL_PORT": str(port),
            "TIMONEL_TEST_DATA": str(folder / "no data"),
        }
        self.server = self._start("up", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _start(self, *words: str, **pipes: Any) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "timonel.cli.main", *words]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, encoding="utf-8", **pipes
        )

    def run(self, *words: str) -> str:
        process = self._start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said, error = process.communicate(timeout=START_S)
        assert process.returncode == 0, error
        return said

    def wait(self) -> None:
        """Until the control routes answer: the declaration is there then."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/v1/experiments").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        pytest.fail("the server did not start")

    def stop(self) -> None:
        self.server.send_signal(signal.SIGINT)
        try:
            self.server.wait(60)
        finally:
            self.server.kill()


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comments]:
    served = Comments(tmp_path_factory.mktemp("comments") / "project")
    try:
        served.wait()
        yield served
    finally:
        served.stop()


@pytest.fixture(scope="module")
def simulate(comments: Comments) -> Iterator[ModuleType]:
    sys.path.insert(0, str(comments.folder))
    names = ("simulate", "ab_testing", "data", "words")
    try:
        yield importlib.import_module("simulate")
    finally:
        sys.path.remove(str(comments.folder))
        for name in names:
            sys.modules.pop(name, None)


def test_the_28_rows_give_the_known_table_and_decide_nothing(
    comments: Comments,
    simulate: ModuleType,
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIMONEL_TEST_DATA", str(data_folder))
    results = simulate.feed_log(comments.url)
    shown = {
        arm["model"]: (
            arm["predictions"],
            f"{arm['accuracy']:.1%}",
            f"{arm['mean_confidence']:.1%}",
            f"{arm['mean_response_s']:.3f}",
        )
        for arm in results["variants"].values()
    }
    # the table that the reference system showed for this log
    assert shown == {
        "UltimateHybrid": (17, "70.6%", "72.7%", "0.065"),
        "FinalSmartSelector": (11, "100.0%", "72.5%", "0.001"),
    }
    assert f"{results['fisher_p']:.3f}" == "0.125"
    assert results["verdict"] == "CONTINUE"
    # the same from the log alone, counted here
    rows = [line.rsplit(",", 1)[1] for line in simulate.find_log().read_text().splitlines()[1:]]
    assert rows.count("True") == sum(
        round(arm["accuracy"] * arm["predictions"]) for arm in results["variants"].values()
    )
    replayed = httpx.post(f"{comments.url}/v1/experiments/log28/replay").json()
    assert replayed["all_same"], replayed
    assert (replayed["log"]["same"], replayed["log"]["n_answers"]) == (True, 28)


def test_an_arm_is_kept_and_a_wrong_one_is_found(comments: Comments, simulate: ModuleType) -> None:
    system = simulate.ABTestingSystem(comments.url)
    test = system.start_ab_test("kept", "one", "two", duration_days=7, traffic_split=0.3)
    given = {f"u{i}": system.assign_traffic(test, f"u{i}") for i in range(40)}
    other = simulate.ABTestingSystem(comments.url)
    assert {user: other.assign_traffic(test, user) for user in given} == given
    assert set(given.values()) == {"A", "B"}
    for user, letter in given.items():
        system.log_prediction(test, letter, "hola", "Neither", 0.9, "Neither", 0.01, user)
    found = simulate._until(
        lambda: system.get_test_results(test),
        lambda one: sum(arm["labelled"] for arm in one["variants"].values()) == 40,
    )
    assert found["look"]["leaks"] == 0
    assert [arm["units"] for arm in found["look"]["arms"]] == [
        list(given.values()).count(letter) for letter in "AB"
    ]
    # one user's answer in the other arm: nothing may be decided by it
    wrong = "B" if given["u0"] == "A" else "A"
    system.log_prediction(test, wrong, "hola", "Neither", 0.9, None, 0.01, "u0")
    found = simulate._until(
        lambda: system.get_test_results(test), lambda one: one["look"]["leaks"] == 1
    )
    assert found["verdict"] == "INVALID"
    with pytest.raises(ValueError, match="experiment_exists"):
        system.start_ab_test("kept", "one", "two")
    for one in (system, other):
        one.close()


def test_both_versions_answer_and_truths_come_later(
    comments: Comments, simulate: ModuleType
) -> None:
    until = time.monotonic() + START_S
    while "1.0.0" not in comments.run("versions") and time.monotonic() < until:
        time.sleep(0.5)
    subprocess.run(
        [sys.executable, "combined.py"], cwd=comments.folder, env=comments.environment, check=True
    )
    said = json.loads(
        comments.run("register", "comments", "--artifact", "combined.skops", "--json")
    )
    assert said["version"] == "1.1.0"
    comments.run("experiment", "create", "words", "--control", "1.0.0", "--treatment", "1.1.0")
    comments.run("experiment", "start", "words")
    with Client(comments.url) as client:
        limit = time.monotonic() + 30.0
        seen: set[str] = set()
        while len(seen) < 2 and time.monotonic() < limit:
            answer = client.predict("comments", {"text": "hola"}, unit_id=f"w{time.monotonic_ns()}")
            if answer["variant"]:
                seen.add(answer["version"])
    assert seen == {"1.0.0", "1.1.0"}
    look = simulate.send_traffic(comments.url, "words", n=120, users=30, seed=1)
    assert sum(arm["labelled"] for arm in look["arms"]) == 120
    assert all(arm["fallback_rate"] == 0 for arm in look["arms"])
    assert {"Hate Speech", "Neither", "Offensive Language"} <= {
        name for arm in look["arms"] for name in arm["classes"]
    }
