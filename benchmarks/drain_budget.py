"""What the drain costs a prediction in processor time: columns, all of monitoring's sums, the rest.

Run: ``python benchmarks/drain_budget.py`` (``--text``: with one column of texts; ``--outliers``:
rows are looked at, too; ``--profile``: where the time goes). SQLite, 50 columns, batches of 1,000.
"""

import argparse
import cProfile
import pstats
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import msgspec
import numpy as np

from timonel.events.accumulators import Accumulator, default_accumulators
from timonel.events.column_windows import ProfiledRows
from timonel.events.drain import Drainer
from timonel.events.frames import Frame, PredictionFrame
from timonel.events.spool import SpoolWriter
from timonel.registry.registry import Registry
from timonel.schema.features import Category, Feature, Flag, Number, Text
from timonel.schema.schema import Schema
from timonel.stats.multivariate.row_outliers import RowOutliers
from timonel.stats.profiles.reference import profile_of
from timonel.store.control import ensure_project
from timonel.store.engine import make_engine
from timonel.store.tables import metadata
from timonel.testing.builders import digest, make_manifest
from timonel.testing.events import PROJECT, Bench, Events
from timonel.wire.answer import Answer

N_COLUMNS, N_ROWS, N_REFERENCE, ROUNDS = 50, 20_000, 5_000, 3
WORDS = [f"w{k}" for k in range(4_000)]


def schema_of(*, text: bool) -> Schema:
    features: list[Feature] = []
    for at in range(N_COLUMNS - text):
        name = f"x{at}"
        if at % 3 == 2:
            features.append(Flag(name))
        elif at % 3 == 1:
            features.append(Category(name, list("abcdefgh")))
        else:
            features.append(Number(name, required=False))
    return Schema(*features, *([Text("note")] if text else []))


def drawn(schema: Schema, rng: np.random.Generator, n: int) -> list[tuple[Any, ...]]:
    columns: list[list[Any]] = []
    for feature in schema:
        if isinstance(feature, Flag):
            columns.append((rng.random(n) < 0.3).tolist())
        elif isinstance(feature, Category):
            columns.append(rng.choice(list("abcdefgh"), n).tolist())
        elif isinstance(feature, Text):
            places = (len(WORDS) * rng.random((n, 12)) ** 3).astype(int).tolist()
            columns.append([" ".join(WORDS[k] for k in row) for row in places])
        else:
            values = rng.normal(size=n).round(6).tolist()
            columns.append(
                [None if k < 0.02 else v for k, v in zip(rng.random(n), values, strict=True)]
            )
    return list(zip(*columns, strict=True))


def frames_of(
    events: Events, schema: Schema, rows: list[tuple[Any, ...]], rng: np.random.Generator
) -> list[Frame]:
    start = events.prediction().at
    scores = rng.beta(2, 2, len(rows)).tolist()
    return [
        events.prediction(
            at=start + 50_000 * i,
            version="1.0.0",
            prediction="yes" if score > 0.5 else "no",
            score=score,
            probabilities={"no": 1 - score, "yes": score},
            features=msgspec.json.encode(dict(zip(schema.names, row, strict=True))),
        )
        for i, (row, score) in enumerate(zip(rows, scores, strict=True))
    ]


class Timed:
    """An accumulator, and the processor time that it took."""

    def __init__(self, inner: Accumulator) -> None:
        self.inner = inner
        self.spent = 0.0

    def __getattr__(self, name: str) -> Callable[..., None]:
        def timed(*given: Any) -> None:
            start = process_time()
            getattr(self.inner, name)(*given)
            self.spent += process_time() - start

        return timed


class Drained:
    """One project, whose spool is drained round by round."""

    def __init__(self, folder: Path, *, text: bool, outliers: bool) -> None:
        rng = self.rng = np.random.default_rng(1)
        self.events = Events(1, "churn")
        self.schema = schema_of(text=text)
        self.engine = make_engine(f"sqlite:///{folder / 'timonel.db'}")
        metadata.create_all(self.engine)
        ensure_project(self.engine, PROJECT, "America/Santiago")
        self.bench = Bench(self.engine, folder / "spool")
        registry = Registry(self.engine, PROJECT, self.bench.clock)
        learned = drawn(self.schema, rng, N_REFERENCE)
        answers = [Answer("yes" if s > 0.5 else "no", s, None) for s in rng.beta(2, 2, 1_000)]
        profile = profile_of(self.schema, learned, answers, classifier=True)
        told = (
            RowOutliers.fit(profile, learned, drawn(self.schema, rng, 1_000)) if outliers else None
        )
        registry.keep_profile("churn", profile)
        registry.register(
            make_manifest(
                schema=self.schema.to_json(),
                profile=profile.digest(),
                outliers=None if told is None else told.to_json(),
            ),
            schema_digest=digest("s"),
            recipe_digest=digest("r"),
            data_digest=digest("d"),
            version_hash=digest("h"),
            metrics={},
            lineage={},
            who="ana",
        )
        self.rows = ProfiledRows("p", profile, told)
        self.accumulators = [Timed(each) for each in default_accumulators(self.engine, PROJECT)]
        self.drainer = Drainer(
            self.engine,
            project=PROJECT,
            folders=[self.bench.slot()],
            drainer_id="drainer-0",
            accumulators=self.accumulators,
            clock=self.bench.clock,
        )

    def monitoring_s(self) -> float:
        """Give the processor time of monitoring's sums since the last call."""
        spent = sum(each.spent for each in self.accumulators)
        for each in self.accumulators:
            each.spent = 0.0
        return spent

    def fill(self) -> list[PredictionFrame]:
        """Put the rows of a round into the spool; give their frames."""
        frames = frames_of(self.events, self.schema, drawn(self.schema, self.rng, N_ROWS), self.rng)
        writer = SpoolWriter.open(self.bench.slot())
        for frame in frames:
            writer.append(frame)
        writer.close()
        return [frame for frame in frames if isinstance(frame, PredictionFrame)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    for name in ("text", "outliers", "profile"):
        options.add_argument(f"--{name}", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        one = Drained(Path(folder), text=chosen.text, outliers=chosen.outliers)
        drainer = one.drainer
        whole, counted, sums = [], [], []
        profiler = cProfile.Profile()
        for _ in range(ROUNDS):
            frames = one.fill()
            start = process_time()
            for at in range(0, len(frames), 1_000):
                one.rows.count(frames[at : at + 1_000])
            counted.append(process_time() - start)
            start = process_time()
            report = (
                profiler.runcall(drainer.drain_once) if chosen.profile else drainer.drain_once()
            )
            whole.append(process_time() - start)
            sums.append(one.monitoring_s())
            assert report.n_inserted == N_ROWS, report
        one.engine.dispose()
    print(
        f"{N_COLUMNS} columns, {ROUNDS} x {N_ROWS:,} predictions, microseconds of CPU a prediction:"
    )
    print(f"counting columns        {min(counted) / N_ROWS * 1e6:6.1f}")
    print(f"all of monitoring's sums{min(sums) / N_ROWS * 1e6:6.1f}")
    print(f"the whole drain         {min(whole) / N_ROWS * 1e6:6.1f}")
    if chosen.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(28)


if __name__ == "__main__":
    main()
