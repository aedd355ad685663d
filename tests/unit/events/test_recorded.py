"""A project's own metrics: from real processes that record, over their spools, into minutes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from timonel.events.frames import FORMAT, MetricFrame, OutcomeFrame, PredictionFrame, RefusalFrame
from timonel.events.recorded import place
from timonel.events.recorded.counting import read_totals
from timonel.events.recorded.naming import (
    DROPPED,
    MOST_NAMES,
    MOST_SERIES,
    OTHERS,
    InvalidMetric,
    Series,
)
from timonel.events.recorded.recorder import Recorder
from timonel.monitoring.series.recorded import read_series, read_sketches
from timonel.stats.series.sketch import Sketch
from timonel.store.engine import make_engine
from timonel.testing.events import PROJECT, START_US, Bench

MINUTE = START_US // 60_000_000
PREAMBLE = "from timonel import metrics\n"


class Home:
    """A project folder, programs in it, and the drain of what they record."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "timonel.toml").write_text('[project]\nname = "harbour"\n')
        self.engine = make_engine(url)
        self.bench = Bench(self.engine, folder / ".timonel" / "spool")

    def start(self, code: str, **environment: str) -> subprocess.Popen[str]:
        script = self.folder / "nightly.py"
        script.write_text(PREAMBLE + textwrap.dedent(code))
        # somewhere else: the project is that of the program's own file
        return subprocess.Popen(
            [sys.executable, str(script)],
            cwd="/",
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, **environment: str) -> tuple[str, str]:
        process = self.start(code, **environment)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out, err

    def drain(self) -> None:
        report = self.bench.drainer("recorded").drain_once()
        assert (report.lag_bytes, report.n_dead) == (0, 0)
        assert not list(self.bench.slot("recorded").glob("*.spool"))

    def stored(self) -> dict[str, Sketch]:
        with self.engine.connect() as connection:
            found = read_sketches(connection, PROJECT, 0, 2**40)
            totals = read_totals(connection, PROJECT, "drainer")
            assert read_series(connection, PROJECT) == sorted(totals)
        assert {s: (one.n, one.sums.q) for s, one in found.items()} == {
            s: (one.n, one.q) for s, one in totals.items()
        }
        return {str(series): sketch for series, sketch in found.items()}


@pytest.fixture
def home(database: str, tmp_path: Path) -> Iterator[Home]:
    one = Home(database, tmp_path / "harbour")
    yield one
    one.engine.dispose()


@pytest.fixture
def sqlite_home(sqlite_database: str, tmp_path: Path) -> Iterator[Home]:
    one = Home(sqlite_database, tmp_path / "harbour")
    yield one
    one.engine.dispose()


def test_a_program_s_values_are_stored_with_their_exact_sums(home: Home) -> None:
    code = """
        import os
        for i in range(1000):
            metrics.record("translation_latency_ms", i / 8, lang="es", tier=1)
        pid = os.fork()
        metrics.record("translation_latency_ms", 0.1, lang="fr")  # in both, once each
        if not pid:
            metrics.flush()
            os._exit(0)
        os.waitpid(pid, 0)
    """
    home.run(code)
    home.drain()
    values = [i / 8 for i in range(1000)]
    assert home.stored() == {
        'translation_latency_ms{lang="es",tier="1"}': Sketch.of(values),
        'translation_latency_ms{lang="fr"}': Sketch.of([0.1, 0.1]),
    }
    home.run(code)  # a later run adds
    home.drain()
    again = home.stored()['translation_latency_ms{lang="es",tier="1"}']
    assert again == Sketch.of(values) + Sketch.of(values)


def test_kill_9_keeps_what_was_flushed_and_counts_it_once(sqlite_home: Home) -> None:
    code = """
        n = 0
        while True:
            for _ in range(500):
                metrics.record("steps", 1.0)
            n += 500
            assert metrics.flush()
            print(n, flush=True)
    """
    process = sqlite_home.start(code)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(20)]
    sqlite_home.bench.drainer("recorded").drain_once()  # while it is being written
    process.send_signal(signal.SIGKILL)
    out, _ = process.communicate(timeout=60)
    told += [int(line) for line in out.splitlines() if line.strip()]
    sqlite_home.drain()
    sketch = sqlite_home.stored()["steps"]
    assert max(told) <= sketch.n <= max(told) + 500
    assert sketch.sums.q == sketch.n * 1_000_000


def test_wrong_calls_break_nothing_and_are_counted(sqlite_home: Home) -> None:
    code = """
        metrics.record("good", 1)
        for name, value, labels in [
            ("good", float("nan"), {}), ("good", float("inf"), {}), ("good", "x", {}),
            ("good", None, {}), ("good", 1e13, {}), ("good", 1, {"le": "1"}),
            ("good", 1, {"a": "b" * 65}), ("good", 1, {"a": 1.5}), ("good", 1, {"a": ["x"]}),
            ("good", 1, dict.fromkeys("abcde", "x")), ("Bad", 1, {}), ("dropped_values", 1, {}),
            (7, 1, {}), ([], 1, {}), ("", 1, {}),
        ]:
            metrics.record(name, value, **labels)
    """
    _, said = sqlite_home.run(code)
    assert said.count("Cannot record good: found nan, expected a finite number") == 1
    assert "Cannot record Bad: found 'Bad', expected a name" in said
    sqlite_home.drain()
    stored = sqlite_home.stored()
    assert stored.pop("good") == Sketch.of([1.0])
    assert {name: sketch.n for name, sketch in stored.items()} == {
        f'{DROPPED}{{metric="good",reason="value"}}': 5,
        f'{DROPPED}{{metric="good",reason="labels"}}': 5,
        f'{DROPPED}{{metric="(other)",reason="name"}}': 5,
    }


def test_few_series_are_told_apart_and_no_value_is_lost(sqlite_home: Home) -> None:
    code = """
        for request in range(150):
            metrics.record("size", 2.0, request=request)
    """
    sqlite_home.run(code)
    sqlite_home.run(code.replace("request in range(150)", "request in range(1000, 1150)"))
    sqlite_home.drain()
    stored = sqlite_home.stored()
    # the second process could not know of the first's hundred: the drain does
    assert len(stored) == MOST_SERIES + 1
    assert stored[str(Series("size", OTHERS))].n == 300 - MOST_SERIES
    frames = [frame(f"name_{i}") for i in range(MOST_NAMES + 5)]
    sqlite_home.bench.write(*frames, slot="recorded")
    sqlite_home.drain()
    names = {name.partition("{")[0] for name in sqlite_home.stored()}
    assert len(names - {DROPPED}) == MOST_NAMES
    lost = sqlite_home.stored()[f'{DROPPED}{{metric="(other)",reason="names"}}']
    assert lost.n == 6 * 3


def test_without_a_project_nothing_breaks_and_it_is_said_once(tmp_path: Path) -> None:
    code = PREAMBLE + "[metrics.record('x', i) for i in range(5)]; print(metrics.flush())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert done.stderr.count("metrics.use") == 1


def test_the_state_folder_is_the_project_s(sqlite_home: Home) -> None:
    sqlite_home.run("metrics.record('x', 1)", TIMONEL_STATE="elsewhere")
    assert list((sqlite_home.folder / "elsewhere/spool/recorded").glob("*.spool"))
    (sqlite_home.folder / "timonel.toml").write_text('[settings]\nstate = "third"\n')
    sqlite_home.run(f"metrics.use({str(sqlite_home.folder)!r}); metrics.record('x', 1)")
    assert list((sqlite_home.folder / "third/spool/recorded").glob("*.spool"))


def test_a_rehearsal_records_nothing_and_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place._process, "rehearsing", True)
    recorder = Recorder()
    recorder.record("wait_s", 1.0, {"lane": "a"})
    with pytest.raises(InvalidMetric) as caught:
        recorder.record("wait s", 1.0, {})
    assert "timonel.metrics.record" in caught.value.remedy("es")
    assert not recorder._queue


def test_a_spool_that_takes_nothing_keeps_values_in_memory(sqlite_home: Home) -> None:
    blocked = sqlite_home.folder / ".timonel"
    blocked.write_text("a file where a folder belongs")
    out, said = sqlite_home.run(
        f"""
        from pathlib import Path
        metrics.record("x", 1)
        print(metrics.flush())
        Path({str(blocked)!r}).unlink()
        metrics.record("x", 2)
        print(metrics.flush())
        """
    )
    assert out == "False\nTrue\n"
    assert said.count("metrics wait in memory") == 1
    sqlite_home.drain()
    assert sqlite_home.stored() == {"x": Sketch.of([1.0, 2.0])}


def test_frames_that_do_not_add_up_are_set_aside(sqlite_home: Home) -> None:
    bad: list[Any] = [
        frame(n=4),
        frame(counts={}),
        frame(sum_q="1e9"),
        frame(sum_q=str(10**12)),
        frame(name="No"),
        frame(labels={"le": "1"}),
        frame(v=FORMAT + 1),
    ]
    sqlite_home.bench.write(frame(), *bad, slot="recorded")
    report = sqlite_home.bench.drainer("recorded").drain_once()
    assert (report.n_dead, report.lag_bytes) == (len(bad), 0)
    assert list(sqlite_home.stored()) == ["wait"]


class Spell(msgspec.Struct, array_like=True, tag="spell"):
    """A kind of event that some later release writes."""

    v: int
    id: bytes


def test_a_kind_of_a_later_release_is_kept_and_named(sqlite_home: Home) -> None:
    later: Any = Spell(2, bytes(16))
    sqlite_home.bench.write(later, frame(), slot="recorded")
    report = sqlite_home.bench.drainer("recorded").drain_once()
    assert report.n_dead == 1
    letters = sqlite_home.bench.slot("recorded") / "rejected" / "dead-letters.ndjson"
    reason = json.loads(letters.read_text())["reason"]
    assert reason == "a frame of the kind 'spell': drain it with the release that wrote it"
    # and what a release from before metrics says of one
    earlier = msgspec.msgpack.Decoder(PredictionFrame | OutcomeFrame | RefusalFrame)
    with pytest.raises(msgspec.ValidationError, match="Invalid value 'metric'"):
        earlier.decode(msgspec.msgpack.encode(frame()))


def frame(name: str = "wait", **changes: Any) -> MetricFrame:
    values: dict[str, Any] = {
        "id": bytes(16),
        "at": MINUTE * 60_000_000,
        "name": name,
        "labels": {},
        "n": 3,
        "sum_q": "3000000",
        "sum_q2": "3000000000000",
        "low": 1_000_000,
        "high": 1_000_000,
        "counts": {1_000_000: 3},
    }
    return MetricFrame(**values | changes)
