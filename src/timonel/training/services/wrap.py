"""A model that runs elsewhere, as an HTTP service, becomes a version of a declared one.

The service is asked here as it will be in service, with rows of the sample or drawn from the
schema, so that a wrong address or form is found now. What it computes cannot be compared with
anything: parity is "not checkable", and said so.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from timonel.errors import Phrase, TimonelError
from timonel.project.model import Model, Task
from timonel.registry.manifest import ServingManifest
from timonel.runtime.compile import Compiled
from timonel.runtime.errors import InvalidOutput, InvalidService, RowRefused
from timonel.runtime.services.forms import SCORE, SINGLE
from timonel.runtime.services.service import ModelService
from timonel.schema.validation import RowDecoder
from timonel.stats.measure import cannot_say
from timonel.stats.profiles.profile import Profile
from timonel.stats.profiles.reference import profile_of
from timonel.training import digests
from timonel.training.advice import Advice
from timonel.training.assemble import manifest_of
from timonel.training.bring.errors import ServiceNotUsable
from timonel.training.bring.sample import Sample, drawn_rows, read_sample
from timonel.training.evaluate import baseline_of
from timonel.training.publish import first_baseline
from timonel.training.table import class_list, read_table
from timonel.training.train import TrainedVersion, TrainingReport
from timonel.wire.answer import Answer, Label
from timonel.wire.rules import RulesSource

NOT_CHECKABLE = "not checkable: the model runs elsewhere"
NOT_MEASURED = "a service: no holdout was measured"
_PROBES = 64  # rows of one request
_MOST_PROBED = 2048
_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrap:
    """The service that a user brings.

    Parameters
    ----------
    url : str
    form : {"timonel", "mlflow", "inference"}
    key_env : str or None
        Environment variable that holds its bearer token, here and in the servers.
    sample : Path or None
        A table of rows as they will be asked for: its answers are the reference of drift.
    classes : sequence of label, or None
        In the order of the service's probabilities; None: those of the declared data.
    """

    url: str
    form: str = "timonel"
    key_env: str | None = None
    sample: Path | None = None
    classes: Sequence[Label] | None = None


def wrap(
    model: Model,
    given: Wrap,
    *,
    project: str,
    timezone: str,
    rules: RulesSource | None,
    champion: Profile | None = None,
) -> TrainedVersion:
    """Turn a service into a version of a declared model.

    Raises
    ------
    InvalidService
        If the address, the form or the key cannot be used.
    ServiceNotUsable
        If it does not answer ordinary rows.
    """
    sample = None if given.sample is None else read_sample(given.sample, model, timezone)
    rng = np.random.default_rng(model.seed)
    table = sample.table.values if sample else drawn_rows(model.schema, rng, _PROBES)
    table = table[:: -(-len(table) // _MOST_PROBED)]
    classes = _classes(model, given, sample, timezone)
    manifest, answers = None, []
    problems: list[TimonelError] = []
    # a single number may be the class or the score: the service's own answers tell which
    for single in (SINGLE, SCORE) if model.task == Task.BINARY else (SINGLE,):
        manifest = _manifest(model, given, classes, sample, single, project, timezone, rules)
        try:
            answers = _ask(manifest, model, table, timezone)
        except (TimonelError, TimeoutError) as error:
            if isinstance(error, InvalidService):
                raise
            problems.append(_unusable(given, error))
            continue
        return _version(model, given, manifest, sample, (table, answers), champion)
    raise problems[0]


def _unusable(given: Wrap, error: Exception) -> ServiceNotUsable:
    found = error.message() if isinstance(error, TimonelError) else f"no answer in {_LIMIT_S:g} s"
    return ServiceNotUsable(url=given.url, form=given.form, found=found)


def _classes(model: Model, given: Wrap, sample: Sample | None, timezone: str) -> list[Label] | None:
    if model.task == Task.REGRESSION:
        return None
    if given.classes is not None:
        return list(given.classes)
    if sample is not None and sample.has_target:
        return class_list(sample.table.target)
    try:
        return class_list(read_table(model, timezone).target)
    except TimonelError:
        raise InvalidService(
            found=Phrase("no classes", "ninguna clase"),
            expected=Phrase(
                "--classes A,B in the order of its probabilities",
                "--classes A,B en el orden de sus probabilidades",
            ),
        ) from None


def _manifest(
    model: Model,
    given: Wrap,
    classes: list[Label] | None,
    sample: Sample | None,
    single: str,
    project: str,
    timezone: str,
    rules: RulesSource | None,
) -> ServingManifest:
    plan = {
        "http": {
            "url": given.url,
            "form": given.form,
            "key_env": given.key_env,
            "single": single,
        }
    }
    positive = None
    if model.task == Task.BINARY and classes:
        positive = classes[-1] if model.positive is None else model.positive
    baseline = (
        baseline_of(sample.table.target, classes, positive)
        if sample is not None and sample.has_target
        else first_baseline(model, timezone=timezone)
    )
    verdict = {"way": "http", "passed": None, "summary": NOT_CHECKABLE}
    manifest, _ = manifest_of(
        model,
        Compiled("http", plan, {}, verdict),
        classes=classes,
        positive=positive,
        baseline=baseline,
        project=project,
        timezone=timezone,
        rules=rules,
    )
    return manifest


def _ask(
    manifest: ServingManifest, model: Model, table: Sequence[Sequence[Any]], timezone: str
) -> list[Answer | None]:
    """Ask for all rows; None where the service refuses one by itself."""
    decoder = RowDecoder(model.schema, model=model.name, timezone=str(ZoneInfo(timezone)))

    async def ask_all() -> list[Answer | None]:
        service = ModelService(manifest, decoder.plain, os.environ)
        try:
            found: list[Answer | None] = []
            for start in range(0, len(table), _PROBES):
                found += await _some(service, table[start : start + _PROBES])
            return found
        finally:
            service.close()

    answers = asyncio.run(ask_all())
    if all(answer is None for answer in answers):
        raise InvalidOutput(
            model=model.name, found="a refusal of every row", expected="answers of ordinary rows"
        )
    return answers


async def _some(service: ModelService, table: Sequence[Sequence[Any]]) -> list[Answer | None]:
    try:
        return list(await service.predict(table, _LIMIT_S))
    except RowRefused:
        if len(table) == 1:
            return [None]
        half = len(table) // 2
        return await _some(service, table[:half]) + await _some(service, table[half:])


def _version(
    model: Model,
    given: Wrap,
    manifest: ServingManifest,
    sample: Sample | None,
    asked: tuple[Sequence[Sequence[Any]], list[Answer | None]],
    champion: Profile | None,
) -> TrainedVersion:
    profile = None
    answered = [(row, a) for row, a in zip(*asked, strict=True) if a is not None]
    if sample is not None:
        profile = profile_of(
            model.schema,
            [tuple(row) for row, _ in answered],
            [answer for _, answer in answered],
            classifier=manifest.classes is not None,
            champion=champion,
        )
        manifest = msgspec.structs.replace(manifest, profile=profile.digest())
    name = "mae" if model.task == Task.REGRESSION else "accuracy"
    main = cannot_say(name, 0, NOT_MEASURED)
    lineage = {
        "kind": "service",
        "artifact": {"file": given.url, "form": given.form},
        "estimator": f"a service ({given.form})",
        "n_train": None,
        "n_test": 0,
        "n_probed": len(asked[0]),
        "n_refused": len(asked[0]) - len(answered),
        "environment": digests.environment(),
    }
    rows = None if sample is None else digests.data_digest(sample.table, model.schema.names)
    identity = {
        "http": (manifest.plan or {})["http"],
        "schema": model.schema.digest(),
        "task": str(model.task),
        "target": model.target,
        "classes": manifest.classes,
        "positive": manifest.positive,
        "sample": rows,
        "timezone": manifest.timezone,
    }
    findings = _findings(sample, len(asked[0]), len(answered))
    return TrainedVersion(
        manifest,
        {},
        {"main": {"name": name, **main.document()}, "baseline": None, "rules": None},
        lineage,
        schema_digest=model.schema.digest(),
        recipe_digest=digests.digest({"kind": "service", "form": given.form}),
        data_digest=digests.digest({"url": given.url, "sample": rows}),
        version_hash=digests.digest(identity),
        report=TrainingReport(
            main, None, None, 0, 0, [one.en for one in findings], findings, {"on_sample": None}
        ),
        checks=[],
        profile=profile,
    )


def _findings(sample: Sample | None, n_asked: int, n_answered: int) -> list[Advice]:
    findings = [
        Advice(
            "service",
            f"It answered {n_answered} of {n_asked} rows. Parity is not checkable, and neither is "
            "which model answers: whoever changes the service changes this version.",
            f"Respondió {n_answered} de {n_asked} filas. La paridad no se puede comprobar, ni qué "
            "modelo responde: quien cambie el servicio cambia esta versión.",
        )
    ]
    if sample is None:
        findings.append(
            Advice(
                "no_reference",
                "Drift unknown: no reference rows. Bring it with --sample to see drift.",
                "Deriva desconocida: no hay filas de referencia. Tráigalo con --sample para ver "
                "la deriva.",
            )
        )
    return findings
