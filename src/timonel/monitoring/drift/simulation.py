"""What would happen if: drift made in real rows, what the rule says of it, and what it costs.

The rows are those that the declared source holds back at training, so that a version trained on
the same data never saw them; where the source has changed since, the report says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from timonel.charts.raster import Panel, panels_png
from timonel.errors import Phrase
from timonel.monitoring.drift.errors import CannotSimulate
from timonel.monitoring.drift.injection import InjectedKind, Rows, inject
from timonel.project.model import Model, Task, Watch
from timonel.registry.artifacts import ArtifactStore
from timonel.registry.catalogue import ModelVersion
from timonel.registry.manifest import ServingManifest
from timonel.runtime.native import NativePredictor
from timonel.runtime.predictors import Predictor, load_predictor
from timonel.stats import metrics
from timonel.stats.drift import FEWEST_ROWS, DriftReport, Profile, compare
from timonel.stats.profiles.cells import NumberCells, ValueCells, WordCells
from timonel.stats.profiles.count_tests import binned, value_bins
from timonel.stats.profiles.profile import ColumnProfile
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.training.digests import data_digest
from timonel.training.split import split_rows
from timonel.training.table import read_table
from timonel.wire.answer import Answer

MOST_ROWS = 20_000
MOST_PANELS = 9
MOST_BARS = 12
_TINY = 1e-300  # the limit just below a cell of zeros


@dataclass(frozen=True, slots=True)
class Simulated:
    """One kind of drift: what was done, found and lost.

    Parameters
    ----------
    n, n_refused : int
        Rows after the injection; those that a request would have been refused for, because a
        required value is missing (the figures hold as if the model had been asked all the same).
    before, after : dict of str to float
        Accuracy and macro F1; or the mean absolute and the root mean squared error.
    drift : DriftReport
    recommendation : Phrase
    """

    kind: InjectedKind
    n: int
    n_refused: int
    before: dict[str, float]
    after: dict[str, float]
    drift: DriftReport
    recommendation: Phrase

    @property
    def degradation(self) -> dict[str, float]:
        """How much worse each figure became; positive is worse."""
        sign = -1.0 if "mae" in self.before else 1.0
        return {name: sign * (self.before[name] - self.after[name]) for name in self.before}

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {
            "kind": str(self.kind),
            "n": self.n,
            "n_refused": self.n_refused,
            "before": self.before,
            "after": self.after,
            "degradation": self.degradation,
            "drift_detected": self.drift.drifted,
            "drifted_columns": list(self.drift.drifted_columns),
            "recommendation": {
                "en": str(self.recommendation),
                "es": self.recommendation.es,
            },
            "drift": self.drift.document(),
        }


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What a simulation came to.

    Parameters
    ----------
    unseen : bool
        Whether the version was trained on this source as it is now, so that its rows were held
        back then.
    quiet : DriftReport
        The same rows before anything was done to them: what the rule says with nothing wrong.
    """

    model: str
    version: str
    at: datetime
    intensity: float
    seed: int
    unseen: bool
    quiet: DriftReport
    found: tuple[Simulated, ...]
    panels: tuple[Panel, ...]

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {
            "model": self.model,
            "version": self.version,
            "created_at": self.at.isoformat().replace("+00:00", "Z"),
            "intensity": self.intensity,
            "seed": self.seed,
            "rows_unseen_by_the_version": self.unseen,
            "false_findings": list(self.quiet.drifted_columns),
            "simulations": [one.document() for one in self.found],
        }

    def write(self, folder: Path) -> list[Path]:
        """Write the report and two pictures; give their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        stamp = self.at.strftime("%Y%m%d_%H%M%S")
        files = {
            f"drift_report_{stamp}.json": msgspec.json.format(
                msgspec.json.encode(self.document()), indent=2
            ),
            "drift_distributions.png": self._distributions(),
            "metrics_comparison.png": self._metrics(),
        }
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return [folder / name for name in files]

    def _distributions(self) -> bytes:
        title = f"{self.model}@{self.version}: {', '.join(str(one.kind) for one in self.found)}"
        return panels_png(
            self.panels, title=f"{title}, intensity {self.intensity:g}", legend=["reference", "now"]
        )

    def _metrics(self) -> bytes:
        names = list(self.found[0].before)
        panels = [
            Panel(str(one.kind), names, [list(one.before.values()), list(one.after.values())])
            for one in self.found
        ]
        title = f"{self.model}@{self.version}: before and after, intensity {self.intensity:g}"
        return panels_png(panels, title=title, legend=["before", "after"])


class DriftSimulation:
    """Injects drift into a model's held-back rows and judges what comes of it.

    Parameters
    ----------
    model : Model
        Its source is read, and its policy says what counts.
    version : ModelVersion
    manifest : ServingManifest
    profile : Profile or None
        The version's reference.
    artifacts : ArtifactStore

    Raises
    ------
    CannotSimulate
        If the version has no reference, or fewer than 200 rows were held back.
    """

    def __init__(
        self,
        model: Model,
        version: ModelVersion,
        manifest: ServingManifest,
        profile: Profile | None,
        *,
        artifacts: ArtifactStore,
        timezone: str,
    ) -> None:
        if profile is None:
            raise CannotSimulate(
                version=str(version),
                found=Phrase("no reference profile", "ningún perfil de referencia"),
            )
        self._model = model
        self._version = version
        self._profile = profile
        self._classifier = model.task != Task.REGRESSION
        self._predictor = _predictor(manifest, artifacts)
        seed = int(version.lineage.get("seed", model.seed))
        table = read_table(model, timezone)
        split = split_rows(table, classes=self._classifier, rng=np.random.default_rng(seed))
        held = split.test.tolist()[:MOST_ROWS]
        self._rows = Rows(list(table.take(held)), [table.target[i] for i in held])
        if len(held) < FEWEST_ROWS:
            found = Phrase("{n} rows held back", "{n} filas reservadas", n=len(held))
            raise CannotSimulate(version=str(version), found=found)
        self._unseen = data_digest(table, model.schema.names) == version.data_digest

    def run(
        self, kinds: Sequence[InjectedKind], *, intensity: float, seed: int, at: datetime
    ) -> SimulationReport:
        """Make each kind of drift in turn.

        Parameters
        ----------
        intensity : float
            In (0, 1]; see ``timonel.monitoring.drift.injection``.
        at : datetime
            Now, for the report's name.
        """
        answers = self._predictor.predict_rows(self._rows.values)
        before = self._figures(self._rows.target, answers)
        quiet = self._judge(self._rows, answers)
        found, panels = [], []
        for kind in kinds:
            rng = np.random.default_rng(seed)  # the same rows change, whatever else is asked for
            rows = inject(
                self._rows, self._model.schema, kind, intensity, rng, classifier=self._classifier
            )
            changed = self._predictor.predict_rows(rows.values)
            drift = self._judge(rows, changed)
            after = self._figures(rows.target, changed)
            n, n_refused = len(rows.target), self._refused(rows)
            moved = [name for name in drift.drifted_columns if name not in quiet.drifted_columns]
            said = _recommended(
                before, after, moved or drift.drifted_columns, kind, self._model.policy.watch
            )
            if n_refused > n * self._model.policy.watch.refused_rate:
                said = _mend_first(n_refused, n)
            found.append(Simulated(kind, n, n_refused, before, after, drift, said))
            panels += self._panels(kind, rows, changed, drift)[: max(3, MOST_PANELS // len(kinds))]
        return SimulationReport(
            self._model.name,
            self._version.version,
            at.astimezone(UTC),
            intensity,
            seed,
            self._unseen,
            quiet,
            tuple(found),
            tuple(panels),
        )

    def _counted(self, rows: Rows, answers: Sequence[Answer]) -> Profile:
        columns: dict[str, Any] = dict(
            zip(self._model.schema.names, zip(*rows.values, strict=True), strict=True)
        )
        said = [answer.prediction for answer in answers]
        columns[PREDICTION] = [str(label) for label in said] if self._classifier else said
        columns[SCORE] = [answer.score for answer in answers]
        return self._profile.empty_like().update(columns)

    def _judge(self, rows: Rows, answers: Sequence[Answer]) -> DriftReport:
        watch = self._model.policy.watch
        current = self._counted(rows, answers)
        return compare(
            self._profile,
            current,
            floor=watch.floor,
            floors=watch.floors,
            rule=watch.rule,
            rules=watch.rules,
        )

    def _figures(self, target: Sequence[Any], answers: Sequence[Answer]) -> dict[str, float]:
        if not self._classifier:
            truth = np.array(target, np.float64)
            said = np.array([float(answer.prediction) for answer in answers])
            return {"mae": metrics.mae(truth, said), "rmse": metrics.rmse(truth, said)}
        return class_figures([str(t) for t in target], [str(a.prediction) for a in answers])

    def _refused(self, rows: Rows) -> int:
        needed = [at for at, feature in enumerate(self._model.schema) if feature.required]
        return sum(any(row[at] is None for at in needed) for row in rows.values)

    def _panels(
        self, kind: InjectedKind, rows: Rows, answers: Sequence[Answer], drift: DriftReport
    ) -> list[Panel]:
        current = self._counted(rows, answers)
        worst = sorted(
            drift.columns.values(), key=lambda c: (not c.drifted, -(c.effect or 0.0), c.name)
        )
        return [
            Panel(f"{kind}: {column.name}", *shares)
            for column in worst[:MOST_PANELS]
            if (shares := shares_of(self._profile.columns[column.name], current)) is not None
        ]


def class_figures(truth: Sequence[str], said: Sequence[str]) -> dict[str, float]:
    """Give accuracy and macro F1 of labels, by the classes that occur in either."""
    labels = {label: at for at, label in enumerate(sorted({*truth, *said}))}
    true = np.array([labels[label] for label in truth], np.int64)
    chosen = np.array([labels[label] for label in said], np.int64)
    return {
        "accuracy": metrics.accuracy(true, chosen),
        "f1": metrics.macro_f1(true, chosen, len(labels)),
    }


def shares_of(
    column: ColumnProfile, current: Profile
) -> tuple[list[str], list[list[float]]] | None:
    """Give a column's shares in the reference and now, in a few bins; missing values last."""
    column, now = column.by_length(), current.columns[column.name].by_length()
    r, c = column.counts[:-1], now.counts[:-1]
    names: list[str]
    if isinstance(column.cells, NumberCells):
        bins = value_bins(column.cells, r + c)
        order = np.unique(bins, return_index=True)
        r, c = (each[order[0]] for each in binned(bins, r, c))
        by_value = np.argsort(order[1])
        r, c = r[by_value], c[by_value]
        edges = [*column.cells.edges.tolist(), float("inf")]
        starts = np.sort(order[1]).tolist()
        ends = [*[edges[start - 1] for start in starts[1:]], float("inf")]
        names = ["more" if end == float("inf") else f"<= {_plain(end)}" for end in ends]
    elif isinstance(column.cells, ValueCells | WordCells):
        known = column.cells.labels if isinstance(column.cells, ValueCells) else column.cells.words
        top = np.argsort(-(r + c)[: len(known)], kind="stable")[:MOST_BARS]
        names = [*[known[at] for at in top], "other"]
        r, c = (np.append(each[top], each.sum() - each[top].sum()) for each in (r, c))
    else:
        return None
    series = [
        [*(each / max(1, side.n)).tolist(), side.n_missing / max(1, side.n)]
        for each, side in ((r, column), (c, now))
    ]
    return [*names, "missing"], series


def _plain(value: float) -> str:
    return "0" if abs(value) < _TINY else f"{value:.3g}"


def _mend_first(n_refused: int, n: int) -> Phrase:
    return Phrase(
        "Mend the source first: {n_refused} of {n} rows lack a value that has to be there, and "
        "would be refused. The figures say what the model would answer all the same.",
        "Repare primero el origen: a {n_refused} de {n} filas les falta un valor que debe estar, y "
        "se rechazarían. Las cifras dicen qué respondería el modelo de todos modos.",
        n_refused=n_refused,
        n=n,
    )


def _recommended(
    before: dict[str, float],
    after: dict[str, float],
    moved: Sequence[str],
    kind: InjectedKind,
    watch: Watch,
) -> Phrase:
    """Say what to do if this happened; ``moved`` are the columns that drifted by it."""
    name = next(iter(before))
    if name == "mae":
        lost = after[name] > (1 + watch.error_rise) * before[name]
    else:
        lost = before[name] - after[name] > watch.accuracy_loss
    columns = ", ".join(moved[:5])
    if lost and not moved:
        return Phrase(
            "The loss would not show in the inputs: only truths would tell. See that they come.",
            "La pérdida no se vería en las entradas: solo la verdad la diría. Asegure que llegue.",
        )
    if lost and kind in (InjectedKind.UNIT_CHANGE, InjectedKind.MISSING_VALUES):
        return Phrase(
            "Mend the source of {columns} first: the rows are wrong, not the model. Retraining "
            "would learn the fault.",
            "Repare primero el origen de {columns}: fallan las filas, no el modelo. Reentrenar "
            "aprendería la falla.",
            columns=columns,
        )
    if lost:
        return Phrase(
            "Look at {columns}; retrain once there are labelled answers of the new kind.",
            "Revise {columns}; reentrene cuando haya respuestas con verdad del nuevo tipo.",
            columns=columns,
        )
    if moved:
        return Phrase(
            "Nothing but a look at {columns}: the answers hold, and drift alone is no reason to "
            "retrain.",
            "Solo una mirada a {columns}: las respuestas se sostienen, y la deriva sola no es "
            "razón para reentrenar.",
            columns=columns,
        )
    return Phrase("Nothing: neither inputs nor answers show it.", "Nada: no se nota en nada.")


def _predictor(manifest: ServingManifest, artifacts: ArtifactStore) -> Predictor:
    if manifest.predictor == "native":
        return NativePredictor.load(manifest, artifacts.get)
    return load_predictor(manifest, artifacts.get)
