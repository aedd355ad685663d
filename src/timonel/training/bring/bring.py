"""A model that was fitted elsewhere becomes a version: read, converted, compared, described.

Nothing of the file is run in this process: a child reads it and hands back a plan and artifacts
(``timonel.training.bring.child``). What is not known of such a model is said, not invented: no
holdout was measured, and without a sample there is no reference to see drift against.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import timonel
from timonel.errors import Phrase
from timonel.project.model import Model, Task
from timonel.registry.manifest import Baseline, SelfTest, ServingManifest
from timonel.runtime.compile import Compiled
from timonel.runtime.errors import InvalidOutput
from timonel.runtime.outputs import AnswerMaker
from timonel.runtime.parity import Rows
from timonel.runtime.predictors import load_predictor, self_test
from timonel.stats.measure import cannot_say
from timonel.stats.profiles.profile import Profile
from timonel.stats.profiles.reference import profile_of
from timonel.training import digests
from timonel.training.advice import Advice
from timonel.training.assemble import manifest_of
from timonel.training.bring.errors import ClassesDiffer, NotDeclaredYet, ReadingFailed
from timonel.training.bring.formats import ModelFile, look_at
from timonel.training.bring.orders import Description, Orders, Reply, raised
from timonel.training.bring.sample import Sample, drawn_rows, read_sample
from timonel.training.evaluate import baseline_of, evaluate_classes, evaluate_numbers
from timonel.training.publish import first_baseline
from timonel.training.train import TrainedVersion, TrainingReport
from timonel.wire.answer import Answer, Label
from timonel.wire.rules import RulesSource

TIME_LIMIT_S = 300.0
NOT_MEASURED = "brought fitted: no holdout was measured"
_MOST_ANSWERED = 20_000
_SELF_TEST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bring:
    """What a user brings.

    Parameters
    ----------
    artifact : Path
        A file, or an MLflow folder.
    sample : Path or None
        A table of rows as they will be asked for; with the target, figures are measured on it.
    classes : sequence of label, or None
        Names of the model's classes, in its order, where it does not know them.
    allow_pickle : bool
        The user trusts who made the file.
    """

    artifact: Path
    sample: Path | None = None
    classes: Sequence[Label] | None = None
    allow_pickle: bool = False
    time_limit_s: float = TIME_LIMIT_S


def bring(
    model: Model,
    given: Bring,
    *,
    project: str,
    folder: Path,
    timezone: str,
    rules: RulesSource | None,
    champion: Profile | None = None,
) -> TrainedVersion:
    """Turn a fitted model into a version of a declared one.

    Parameters
    ----------
    model : Model
    given : Bring
    project : str
    folder : Path
        Of the project: where a pickle finds the user's own classes.
    timezone : str
    rules : RulesSource or None
    champion : Profile or None
        Of a version with the same schema: its cells are kept.

    Raises
    ------
    ProjectFault
        One of `timonel.training.bring.errors`, in words.
    """
    file = look_at(given.artifact, allow_pickle=given.allow_pickle)
    sample = None if given.sample is None else read_sample(given.sample, model, timezone)
    rng = np.random.default_rng(model.seed)
    table = drawn_rows(model.schema, rng) if sample is None else sample.table.values
    rows = Rows.sample(model.schema, table, rng)
    asked = [] if sample is None else sample.table.values[:: _step(len(sample.table))]
    orders = Orders(
        given=file.given,
        path=str(file.path),
        form=file.form,
        model=model.name,
        task=str(model.task),
        target=model.target,
        positive=model.positive,
        timezone=timezone,
        schema=model.schema.to_json(),
        classes=None if given.classes is None else list(given.classes),
        clean=rows.clean,
        dirty=rows.dirty,
        sample=[list(row) for row in asked],
        drawn=sample is None,
        allow_pickle=given.allow_pickle,
        native_pickle=given.allow_pickle and model.allow_pickle,
        project=str(folder),
    )
    reply, artifacts = _read(orders, given.time_limit_s)
    return _version(
        model,
        file,
        _Brought(reply, artifacts, sample),
        project=project,
        timezone=timezone,
        rules=rules,
        champion=champion,
    )


def declaration_for(name: str, given: Bring, *, known: str, folder: Path) -> NotDeclaredYet:
    """Read a model that no declaration waits for, and write the declaration that it needs."""
    file = look_at(given.artifact, allow_pickle=given.allow_pickle)
    orders = Orders(
        given=file.given,
        path=str(file.path),
        form=file.form,
        model=name,
        allow_pickle=given.allow_pickle,
        project=str(folder),
    )
    reply, _ = _read(orders, given.time_limit_s)
    text = _declaration(name, reply.description or Description("", "binary", []))
    return NotDeclaredYet(path=file.given, model=name, known=known, declaration=text)


def _declaration(name: str, described: Description) -> str:
    features = []
    for feature, kind, values in described.features:
        if kind == "category":
            shown = ", ".join(repr(value) for value in values)
            features.append(f"        Category({feature!r}, [{shown}], required=False),")
        else:
            features.append(f"        Number({feature!r}, required=False),")
    kinds = "Category, Model, Number" if any("Cat" in f for f in features) else "Model, Number"
    lines = [
        f"from timonel import Csv, {kinds}, Schema",
        "",
        f"{name.replace('-', '_')} = Model(",
        f'    name="{name}", task="{described.task}", target="TARGET",',
        '    source=Csv("labelled_rows.csv"),',
        "    schema=Schema(",
        *features,
        "    ),",
        ")",
    ]
    return "\n".join(lines)


# --- the reading process


def _read(orders: Orders, limit_s: float) -> tuple[Reply, dict[str, bytes]]:
    """Let the child read the file; give its reply and the artifacts that it wrote."""
    with tempfile.TemporaryDirectory(prefix="timonel-bring-") as name:
        folder = Path(name)
        inside = folder / "artifacts"
        inside.mkdir()
        ordered, replied = folder / "orders", folder / "reply"
        ordered.write_bytes(
            msgspec.msgpack.encode(msgspec.structs.replace(orders, folder=str(inside)))
        )
        _run(orders, [str(ordered), str(replied)], limit_s)
        try:
            reply = msgspec.msgpack.decode(replied.read_bytes(), type=Reply)
        except (OSError, msgspec.MsgspecError) as error:
            raise _failed(orders, Phrase("ended", "terminó"), str(error)) from error
        if reply.fault is not None:
            raise raised(reply.fault)
        artifacts = {one: (inside / Path(one).name).read_bytes() for one in reply.artifacts}
    return reply, artifacts


def _run(orders: Orders, arguments: list[str], limit_s: float) -> None:
    try:
        subprocess.run(  # noqa: S603 - our own child
            [sys.executable, "-P", "-m", "timonel.training.bring.child", *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=limit_s,
            check=True,
            env={  # addresses and keys of the project are nothing to the maker of a pickle
                **{name: v for name, v in os.environ.items() if not name.startswith("TIMONEL_")},
                "PYTHONPATH": str(Path(timonel.__file__).parents[1]),
                "OMP_NUM_THREADS": "1",
            },
        )
    except subprocess.TimeoutExpired:
        found = Phrase("had no end after {s:g} s", "no terminó tras {s:g} s", s=limit_s)
        raise _failed(orders, found, "") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or [""]
        found = Phrase("ended with code {code}", "terminó con código {code}", code=error.returncode)
        raise _failed(orders, found, said[0][:300]) from None


def _failed(orders: Orders, found: Phrase, said: str) -> ReadingFailed:
    if said:
        found = Phrase("{found} ({said})", "{found} ({said})", found=found, said=said)
    return ReadingFailed(
        path=orders.given, found=found, expected=Phrase("its reply", "su respuesta")
    )


# --- the version


@dataclass(frozen=True, slots=True)
class _Brought:
    reply: Reply
    artifacts: dict[str, bytes]
    sample: Sample | None

    def answered(self) -> list[int]:
        """Give the row numbers of the sample that the model answered."""
        if self.sample is None:
            return []
        asked = range(0, len(self.sample.table), _step(len(self.sample.table)))
        return [at for at, ok in zip(asked, self.reply.answerable, strict=True) if ok]


def _version(
    model: Model,
    file: ModelFile,
    brought: _Brought,
    *,
    project: str,
    timezone: str,
    rules: RulesSource | None,
    champion: Profile | None,
) -> TrainedVersion:
    reply, sample = brought.reply, brought.sample
    positive = None
    if model.task == Task.BINARY and reply.classes is not None:
        positive = reply.classes[-1] if model.positive is None else model.positive
    manifest, artifacts = manifest_of(
        model,
        Compiled(reply.kind, reply.plan, brought.artifacts, reply.verdict, batch=reply.batch),
        classes=reply.classes,
        positive=positive,
        baseline=_baseline(model, reply, sample, positive, timezone),
        project=project,
        timezone=timezone,
        rules=rules,
    )
    maker = AnswerMaker.of(manifest)
    manifest = msgspec.structs.replace(manifest, self_test=_self_test(reply, maker))
    _require_served(manifest, artifacts)
    profile, metrics, on_sample = None, _unmeasured(model), None
    if sample is not None:
        rows = brought.answered()
        answers = [maker(outputs) for outputs in reply.sample_outputs]
        if rows:
            profile = profile_of(
                model.schema,
                sample.table.values,
                answers,
                classifier=reply.classes is not None,
                champion=champion,
            )
            manifest = msgspec.structs.replace(manifest, profile=profile.digest())
        if sample.has_target and rows:
            on_sample = _on_sample(model, manifest, sample, rows, answers, file)
            metrics = {**metrics, "on_sample": on_sample}
    return TrainedVersion(
        manifest,
        artifacts,
        metrics,
        _lineage(file, reply, sample),
        **_identity(model, file, reply, sample, timezone),
        report=_report(model, reply, sample, on_sample, profile),
        checks=[],
        profile=profile,
    )


def _self_test(reply: Reply, maker: AnswerMaker) -> SelfTest:
    n = len(reply.clean)
    chosen = [*range(min(_SELF_TEST, n)), *range(n, n + min(_SELF_TEST, n))]
    table = reply.clean + reply.dirty
    kept, answers = [], []
    for at in chosen:
        try:
            answers.append(maker(reply.outputs[at]))
        except InvalidOutput:
            if at < n:  # an ordinary row: its answers are none
                raise
            continue
        kept.append(table[at])
    return SelfTest(kept, [a.prediction for a in answers], [a.score for a in answers])


def _require_served(manifest: ServingManifest, artifacts: dict[str, bytes]) -> None:
    """Load a compiled model as a server will, and let it answer its stored rows."""
    if manifest.predictor == "native":
        return
    by_hash = {manifest.artifacts[name].sha256: data for name, data in artifacts.items()}
    self_test(manifest, load_predictor(manifest, by_hash.__getitem__))


def _baseline(
    model: Model, reply: Reply, sample: Sample | None, positive: Label | None, timezone: str
) -> Baseline | None:
    if sample is not None and sample.has_target:
        target = sample.table.target
        if reply.classes is None:
            return baseline_of(target, None, None)
        known = [one for one in target if one in reply.classes]
        return baseline_of(known, reply.classes, positive) if known else None
    found = first_baseline(model, timezone=timezone)
    if found is None or (reply.classes is not None and found.prediction not in reply.classes):
        return None
    return found


def _on_sample(
    model: Model,
    manifest: ServingManifest,
    sample: Sample,
    rows: Sequence[int],
    answers: Sequence[Answer],
    file: ModelFile,
) -> dict[str, Any]:
    """Measure on the sample, and say that the model may have been fitted on it."""
    target = [sample.table.target[at] for at in rows]
    rng = np.random.default_rng(model.seed)
    baseline = manifest.baseline
    if manifest.classes is None:
        found = evaluate_numbers(
            answers, target, baseline or baseline_of(target, None, None), None, rng
        )
    else:
        strange = sorted({str(one) for one in target if one not in manifest.classes})
        if baseline is None:
            raise ClassesDiffer(
                path=file.given,
                model=model.name,
                found=Phrase(
                    "the classes {known}",
                    "las clases {known}",
                    known=", ".join(repr(one) for one in manifest.classes[:8]),
                ),
                expected=Phrase(
                    "those of {target} in the sample: {found}",
                    "las de {target} en la muestra: {found}",
                    target=model.target,
                    found=", ".join(strange[:8]),
                ),
            )
        found = evaluate_classes(
            answers, target, manifest.classes, manifest.positive, baseline, None, rng
        )
    return {
        **found.metrics_document(),
        "measured_on": "the sample: the model may have been fitted on these rows",
    }


def _unmeasured(model: Model) -> dict[str, Any]:
    name = "mae" if model.task == Task.REGRESSION else "accuracy"
    main = cannot_say(name, 0, NOT_MEASURED)
    return {"main": {"name": name, **main.document()}, "baseline": None, "rules": None}


def _lineage(file: ModelFile, reply: Reply, sample: Sample | None) -> dict[str, Any]:
    return {
        "kind": "registered",
        "artifact": file.document(),
        "estimator": reply.estimator,
        "libraries": reply.libraries,
        "n_train": None,
        "n_test": 0,
        "sample": None
        if sample is None
        else {
            "rows_read": sample.table.n_read,
            "rows_used": len(sample.table),
            "dropped": sample.table.dropped,
            "has_target": sample.has_target,
        },
        "environment": digests.environment(),
    }


def _identity(
    model: Model, file: ModelFile, reply: Reply, sample: Sample | None, timezone: str
) -> dict[str, str]:
    recipe = digests.digest({"kind": "registered", "estimator": reply.estimator})
    rows = None
    if sample is not None:
        rows = digests.data_digest(sample.table, model.schema.names)
    document = {
        "artifact": file.sha256,
        "schema": model.schema.digest(),
        "task": str(model.task),
        "target": model.target,
        "positive": model.positive,
        "classes": reply.classes,
        "sample": rows,
        "timezone": timezone,
        "served_as": reply.kind,
    }
    return {
        "schema_digest": model.schema.digest(),
        "recipe_digest": recipe,
        "data_digest": digests.digest({"artifact": file.sha256, "sample": rows}),
        "version_hash": digests.digest(document),
    }


def _report(
    model: Model,
    reply: Reply,
    sample: Sample | None,
    on_sample: dict[str, Any] | None,
    profile: Profile | None,
) -> TrainingReport:
    findings = [Advice("brought", said.en, said.es) for said in reply.findings]
    if profile is None:
        findings.append(
            Advice(
                "no_reference",
                "Drift unknown: no reference rows. Bring the model with --sample to see drift.",
                "Deriva desconocida: no hay filas de referencia. Traiga el modelo con --sample "
                "para ver la deriva.",
            )
        )
    if sample is not None and sample.table.dropped:
        dropped = ", ".join(f"{n} {reason}" for reason, n in sample.table.dropped.items())
        findings.append(
            Advice(
                "sample_dropped",
                f"Rows of the sample that the schema refuses: {dropped}.",
                f"Filas de la muestra que el esquema rechaza: {dropped}.",
            )
        )
    main = _unmeasured(model)["main"]
    return TrainingReport(
        cannot_say(main["name"], 0, NOT_MEASURED),
        None,
        None,
        0,
        0,
        [finding.en for finding in findings],
        findings,
        {"on_sample": on_sample},
    )


def _step(n: int) -> int:
    return -(-n // _MOST_ANSWERED) or 1
