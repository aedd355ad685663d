"""The Overview in words: its values as the strings and charts that the templates place."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from timonel.alerts.texts import describe, severity_word
from timonel.dashboard import figures, formats
from timonel.dashboard.language import Language
from timonel.dashboard.overview import Card, Need, NeedKind, Overview, Steps
from timonel.dashboard.texts import TEXTS, say
from timonel.monitoring.health import State
from timonel.monitoring.performance import Quality, fallback
from timonel.monitoring.verdicts import VerdictState
from timonel.project.model import Policy
from timonel.registry.catalogue import ModelVersion
from timonel.retraining.report import outcome_sentence
from timonel.stats.profiles.reference import PREDICTION, SCORE

SIGNS = {State.HEALTHY: "✓", State.DEGRADED: "!", State.UNHEALTHY: "✕", State.UNKNOWN: "?"}

DRIFT_SIGNS = {
    VerdictState.OK: ("✓", "healthy"),
    VerdictState.WARNING: ("!", "degraded"),
    VerdictState.ALERT: ("✕", "unhealthy"),
    VerdictState.NOT_ENOUGH: ("?", "unknown"),
    VerdictState.UNKNOWN: ("?", "unknown"),
}
SHOWN_COLUMNS = 3
_SHARES = ("precision", "recall", "specificity", "f1", "macro_f1", "wape")

_VERSION_COLUMNS = ("col_version", "col_stage", "col_holdout", "col_created", "col_by")


class NeedView(NamedTuple):
    """A need as a sentence, and a command that helps."""

    sentence: str
    command: str | None


class StepView(NamedTuple):
    """A first step, whether it is taken, and its command."""

    sentence: str
    done: bool
    command: str


def overview_words(view: Overview, lang: Language, base_url: str) -> dict[str, Any]:
    """Give what the template of the page's body needs.

    Parameters
    ----------
    base_url : str
        Where this server is reached, without a slash at its end; for the copyable commands.
    """
    needs = [_need(need, lang) for need in view.needs]
    rate = None if view.clock_rate == 1 else formats.measure(view.clock_rate, lang)
    return {
        "view": view,
        "signs": SIGNS,
        "sentence": sentence(view, len(needs), lang),
        "at": formats.moment(view.at_us, view.zone, lang),
        "rate": rate,
        "needs": needs,
        "steps": [] if view.steps.done else _steps(view.steps, lang, base_url),
        "cards": [_card(card, view.zone, lang) for card in view.cards],
        "loops": figures.loop_figures(view.loop, lang),
    }


def sentence(view: Overview, n_needs: int, lang: Language) -> str:
    """Write the one sentence of state."""
    if not view.cards:
        return say(lang, "no_models")
    n_serving = view.n_serving
    state = "serving_down" if view.is_down else _counted("serving", n_serving)
    serving = say(lang, state, n=formats.number(n_serving, lang))
    needs = say(lang, _counted("needs", n_needs), n=formats.number(n_needs, lang))
    return f"{serving}, {needs}"


def _counted(key: str, n: int) -> str:
    return f"{key}_{n if n < 2 else 'n'}"


def _need(need: Need, lang: Language) -> NeedView:
    facts: dict[str, Any] = {
        name: formats.percent(value, lang) if isinstance(value, float) else value
        for name, value in need.facts.items()
    }
    if need.alert is not None:
        text = describe(need.alert, lang)
        severity = severity_word(need.alert.severity, lang)
        facts |= {"severity": severity, "title": text.title, "seen": text.seen}
    if need.kind is NeedKind.FIRST_VERSION:
        source = "need_first_rules" if need.facts["source"] == "rules" else "source_baseline"
        facts["source"] = say(lang, source)
    elif need.kind in (NeedKind.PARKED, NeedKind.ALERTS_MORE):
        facts["n"] = formats.number(int(need.facts["n"]), lang)
    elif need.kind is NeedKind.HEALTH:
        check, why = say(lang, f"check_{facts['check']}"), say(lang, f"why_{facts['reason']}")
        facts = {"what": f"{check}: {why}."}
    return NeedView(say(lang, f"need_{need.kind}", model=need.model, **facts), need.command)


def _steps(steps: Steps, lang: Language, base_url: str) -> list[StepView]:
    model = steps.model or "MODEL"
    route = f"{base_url}/v1/models/{model}"
    inputs = msgspec.json.encode({"inputs": steps.example}).decode()
    outcome = {
        "prediction_id": steps.last_prediction_id or "PREDICTION_ID",
        "value": steps.example_truth,
    }
    told = msgspec.json.encode(outcome).decode()
    first = StepView(say(lang, "step_train"), steps.in_production, f"timonel train {model}")
    if not steps.declared:
        command = "timonel init --from data.csv --target COLUMN"
        first = StepView(say(lang, "step_declare"), done=False, command=command)
    return [
        first,
        StepView(say(lang, "step_predict"), steps.predicted, _curl(f"{route}/predict", inputs)),
        StepView(say(lang, "step_outcome"), steps.labelled, _curl(f"{route}/outcomes", told)),
    ]


def _curl(url: str, body: str) -> str:
    quoted = body.replace("'", "'\\''")
    return f"curl {url} -H 'Content-Type: application/json' -d '{quoted}'"


def _card(card: Card, zone: ZoneInfo, lang: Language) -> dict[str, Any]:
    if card.failure is not None or card.manifest is None:
        return {"name": card.name, "failure": card.failure}
    champion, manifest = card.champion, card.manifest
    stand_in = "answered_by_rules" if manifest.rules is not None else "answered_by_baseline"
    since = champion.deployed_at if champion is not None else None
    task = say(lang, f"task_{manifest.task}")
    return {
        "name": card.name,
        "failure": None,
        "predicts": say(lang, "predicts", target=manifest.target, task=task),
        "version": champion.version if champion is not None else None,
        "since": "–" if since is None else formats.moment(since, zone, lang),
        "stand_in": say(lang, stand_in),
        "quality": _quality(card, zone, lang),
        "n_hour": formats.number(sum(card.minutes), lang),
        "minutes": figures.minutes_figure(card, lang),
        "minutes_note": say(lang, "per_minute_note", **figures.minute_facts(card, lang)),
        "fallback": _fallback(card, lang),
        "drift": _drift(card, zone, lang),
        "retraining": _retraining(card, zone, lang),
        "versions_header": _header(_VERSION_COLUMNS, lang),
        "versions": [
            (
                version.version,
                say(lang, f"stage_{version.stage}"),
                _holdout(version, lang),
                formats.moment(version.created_at, zone, lang),
                version.created_by,
            )
            for version in card.versions
        ],
        "n_older": card.n_older,
        "groups_of": say(lang, "last_7_days"),
        "groups_header": _groups_header(card, lang),
        "groups": _groups(card, lang),
        "measures_of": say(lang, "last_7_days"),
        "measures_header": _header(
            ("col_metric", "col_value", "col_interval", "col_holdout", "col_labels"), lang
        ),
        "measures": _measures(card, lang),
    }


def _holdout(version: ModelVersion, lang: Language) -> str:
    main = version.metrics.get("main") or {}
    name, value = main.get("name"), main.get("value")
    if name is None or value is None:
        return "–"
    written = formats.percent(value, lang) if name == "accuracy" else formats.measure(value, lang)
    shown = say(lang, name) if name in TEXTS else name
    return f"{shown} {written}"


def _header(keys: Iterable[str], lang: Language) -> tuple[str, ...]:
    words = (say(lang, key) for key in keys)
    return tuple(word[:1].upper() + word[1:] for word in words)


def _quality(card: Card, zone: ZoneInfo, lang: Language) -> dict[str, Any]:
    quality = card.quality
    own = card.champion is not None and card.performance is not None
    version = card.champion.version if card.champion is not None else ""
    own = own and card.performance is not None and card.performance.of(version) is not None
    of = say(lang, "quality_of_version", version=version) if own else say(lang, "quality_of_all")
    view: dict[str, Any] = {"of": of, "big": None, "lacking": False, "note": "", "metric": ""}
    view["figure"] = figures.quality_figure(card, zone, lang)
    if quality is None:
        return view | {"note": say(lang, "unknown"), "lacking": True}
    view["metric"] = say(lang, quality.metric)
    if quality.interval is None:
        why = say(lang, f"unknown_{quality.unknown}")
        return view | {"note": f"{say(lang, 'unknown')}: {why}", "lacking": True}
    value, low, high = _estimate(quality, lang)
    n = formats.number(quality.n_labels, lang)
    if not quality.enough:
        needed = formats.number(quality.n_needed, lang)
        lacking = say(lang, "not_enough", n=n, needed=needed)
        so_far = say(lang, "so_far", value=value, low=low, high=high)
        return view | {"note": f"{lacking}; {so_far}", "lacking": True}
    return view | {"big": value, "note": say(lang, "interval", low=low, high=high, n=n)}


def _estimate(quality: Quality, lang: Language) -> tuple[str, str, str]:
    write = figures.write_quality(quality.metric, lang)
    interval = quality.interval
    if interval is None:
        return "–", "–", "–"
    return write(interval.estimate), write(interval.low), write(interval.high)


def _fallback(card: Card, lang: Language) -> dict[str, Any]:
    n, n_fallback, _ = fallback(card.day)
    of = say(lang, "fallback_of", n=formats.number(n, lang))
    if n == 0:
        return {"of": "", "share": None, "figure": None, "note": say(lang, "fallback_unknown")}
    return {
        "of": of,
        "share": formats.percent(n_fallback / n, lang),
        "figure": figures.fallback_figure(card, lang),
        "note": say(lang, "fallback_none"),
    }


def _drift(card: Card, zone: ZoneInfo, lang: Language) -> dict[str, Any]:
    """Say what the newest judged window of the version in production showed."""
    if card.champion is None:
        why = say(lang, "drift_no_version")
        return {"of": "", "state": None, "note": f"{say(lang, 'drift_unknown')}: {why}"}
    drift, version = card.drift, card.champion.version
    if drift is None:
        why = say(lang, "drift_not_judged", version=version)
        return {"of": "", "state": None, "note": f"{say(lang, 'drift_unknown')}: {why}"}
    sign, tone = DRIFT_SIGNS[drift.state]
    window = say(
        lang,
        "drift_window",
        start=formats.moment(drift.start_us, zone, lang),
        end=formats.moment(drift.end_us, zone, lang),
        n=formats.number(drift.n, lang),
    )
    shown = [
        say(
            lang,
            "drift_column",
            column=_subject(verdict.subject, lang),
            effect=formats.number(verdict.effect or 0.0, lang, 2),
        )
        for verdict in drift.columns[:SHOWN_COLUMNS]
    ]
    n_more = len(drift.columns) - len(shown)
    if n_more:
        shown.append(say(lang, "drift_more", n=n_more))
    return {
        "of": say(lang, "drift_of", version=version),
        "state": say(lang, f"drift_{drift.state}"),
        "sign": sign,
        "tone": tone,
        "columns": shown,
        "note": window,
    }


def _subject(column: str, lang: Language) -> str:
    """Name an input as the schema does, and what was answered in words."""
    own = {SCORE: "subject_score", PREDICTION: "subject_prediction"}
    return say(lang, own[column]) if column in own else column


def _retraining(card: Card, zone: ZoneInfo, lang: Language) -> dict[str, Any]:
    """Say how the newest retraining stands, and what starts one."""
    policy = card.policy
    starts = say(lang, "unknown") if policy is None else _starts(policy, lang)
    view = {"starts": say(lang, "retraining_starts", causes=starts), "state": None, "note": ""}
    found = card.retraining
    if found is None:
        return view | {"note": say(lang, "retraining_none")}
    job = found.job
    view["state"] = say(lang, f"job_{job.state}")
    at = formats.moment(job.finished_at or job.started_at or job.created_at, zone, lang)
    if found.active:
        if found.step is None:
            return view | {"note": say(lang, "retraining_waits", at=at)}
        step = say(lang, f"retraining_{found.step}")
        place = {"k": found.n_done + 1, "n": found.n_steps}
        return view | {"note": say(lang, "retraining_at", step=step, at=at, **place)}
    if job.error is not None:
        detail = job.error.get(f"detail_{lang}") or job.error.get("detail") or ""
        return view | {"note": f"{at}: {detail}"}
    if isinstance(job.result, dict) and "state" in job.result:
        told = outcome_sentence(job.result, lang).replace("**", "").replace("`", "")
        return view | {"note": f"{at}: {told}"}
    return view | {"note": at}


def _starts(policy: Policy, lang: Language) -> str:
    causes = []
    if policy.retrain_on_loss:
        causes.append(say(lang, "cause_loss"))
    if policy.retrain is not None:
        causes.append(say(lang, "cause_cron", cron=policy.retrain))
    if policy.retrain_on_labels is not None:
        n = formats.number(policy.retrain_on_labels, lang)
        causes.append(say(lang, "cause_labels", n=n))
    if policy.max_age is not None:
        causes.append(say(lang, "cause_age", age=policy.max_age))
    return "; ".join(causes) or say(lang, "cause_hand")


def _groups_header(card: Card, lang: Language) -> tuple[str, ...]:
    metric = card.quality.metric if card.quality is not None else "accuracy"
    return _header(("col_answered_by", "col_answers", "col_labels", metric, "col_interval"), lang)


def _groups(card: Card, lang: Language) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for group in card.performance.groups if card.performance is not None else ():
        value, low, high = _estimate(group.quality, lang)
        source = say(lang, f"source_{group.source}")
        version = f" {group.version}" if group.version and group.source == "model" else ""
        rows.append(
            (
                f"{source}{version}",
                formats.number(group.n_answered, lang),
                formats.number(group.quality.n_labels, lang),
                value,
                "–" if group.quality.interval is None else f"{low} – {high}",
            )
        )
    return rows


def _measures(card: Card, lang: Language) -> list[tuple[str, ...]]:
    """Give the figures beyond accuracy of the version in production, else of all answers."""
    performance = card.performance
    if performance is None:
        return []
    version = card.champion.version if card.champion is not None else ""
    own = [g for g in performance.groups if (g.version, g.source) == (version, "model")]
    rows: list[tuple[str, ...]] = []
    for one in own[0].measures if own else performance.measures:
        if one.interval is None:
            continue  # what cannot be said stands, with its reason, in the command and the route
        write = formats.percent if one.metric in _SHARES else formats.measure
        value, low, high = (write(bound, lang) for bound in one.interval[:3])
        name = say(lang, f"measure_{one.metric}")
        name = name if one.label is None else f"{name}: {one.label}"
        held = "–" if one.holdout.value is None else write(one.holdout.value, lang)
        rows.append((name, value, f"{low} – {high}", held, formats.number(one.n, lang)))
    return rows
