"""The last step: promote, or leave it to a person, and say what became of it all."""

from collections.abc import Callable
from typing import Any

from timonel.jobs.steps import StepContext
from timonel.monitoring.performance import metric_of
from timonel.registry.catalogue import ModelVersion
from timonel.registry.errors import ChampionChanged, IllegalTransition
from timonel.registry.versions import Stage
from timonel.retraining.judging.verdicts import PERFORMANCE
from timonel.retraining.parts import Parts
from timonel.retraining.report import write_report
from timonel.retraining.validate import WHO, Json
from timonel.signals import Condition, Kind, Severity, Signal
from timonel.stats.gates import Verdict

Isolate = Callable[[Callable[[Json], Json], Json], Json]


def deploy(parts: Parts, context: StepContext, _isolate: Isolate) -> Json:
    """Promote a candidate that passed, if the policy lets it, and write the report."""
    outputs = dict(context.outputs)
    ended = next((o["ended"] for o in outputs.values() if "ended" in o), None)
    facts = ended if ended is not None else _decide(parts, context)
    result = {"model": context.job.model, "trigger": context.payload.get("trigger"), **facts}
    return result | {"report": {lang: write_report(result, outputs, lang) for lang in ("en", "es")}}


def _decide(parts: Parts, context: StepContext) -> Json:
    judged, fetched = context.outputs["validate"], context.outputs["fetch"]
    facts = {
        "version": judged["version"],
        "champion": judged["champion"],
        "verdict": judged["verdict"],
        "reason": judged["reason"],
        "decided": [g for g in judged["gates"] if g["verdict"] == judged["verdict"] != "PASS"],
    }
    if judged["verdict"] == Verdict.FAIL:
        return facts | {"state": "failed_gates"}
    if judged["verdict"] == Verdict.UNDECIDED:
        return facts | {"state": "undecided"}
    why = _held_back(parts, context.job.model, fetched)
    if why is not None:
        return facts | {"state": "pending", "why": why}
    return facts | _promote(parts, context.job.model, judged, context.job.job_id)


def _held_back(parts: Parts, model: str, fetched: Json) -> str | None:
    """Say why a person has to approve: the policy, or a source that did not answer."""
    if "down" in fetched["original"]:
        return "source_down"
    approval = parts.model(model).policy.approval
    return None if approval == "automatic" else "approval"


def _promote(parts: Parts, model: str, judged: Json, job: str) -> Json:
    number, champion = judged["version"], judged["champion"]
    version = parts.registry.get(model, number)
    if version.stage is Stage.PRODUCTION:  # this job, before its worker died
        return _promoted(parts, version, champion)
    gates = {key: judged[key] for key in ("decided_by", "verdict", "better", "look", "gates")}
    try:
        version = parts.registry.promote(
            model,
            number,
            who=WHO,
            reason=f"retrained: {judged['reason']}"[:2000],
            gates=gates | {"job": job},
            expected_champion=champion,
        )
    except ChampionChanged as changed:
        return {"state": "pending", "why": "champion_changed", "found": changed.context["found"]}
    except IllegalTransition:  # promoted by this job before, and taken back since
        return {"state": "taken_back", "stage": str(parts.registry.get(model, number).stage)}
    return _promoted(parts, version, champion)


def _promoted(parts: Parts, version: ModelVersion, champion: str | None) -> Json:
    current, live = parts.await_generation()
    task = str(parts.model(version.model).task)
    if champion is not None:
        parts.raise_signal(_relieved(version, champion, task, parts.now_us()))
    return {"state": "promoted", "n_current": current, "n_live": live}


def _relieved(version: ModelVersion, champion: str, task: str, at: int) -> Signal:
    """Say that the version whose performance was complained of no longer answers."""
    facts: dict[str, Any] = {"replaced_by": version.version}
    return Signal(
        kind=Kind.PERFORMANCE_DEGRADATION,
        condition=Condition.CLEAR,
        severity=Severity.HIGH,
        model=version.model,
        version=champion,
        monitor=PERFORMANCE,
        column=metric_of(task)[0],
        at=at,
        facts=facts,
    )
