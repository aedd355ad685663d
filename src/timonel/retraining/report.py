"""A retraining as a page of Markdown, in the reader's language. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from timonel.errors import numbers_in
from timonel.retraining.texts import FOUND, GATES, LINES, STATES, TRIGGERS, VERDICTS, WHY

Json = dict[str, Any]


def write_report(result: Json, outputs: Mapping[str, Json], lang: str) -> str:
    """Write the report of a retraining that came to its end.

    Parameters
    ----------
    result : dict
        Of the last step.
    outputs : mapping
        Of the steps before it.
    lang : {"en", "es"}
    """
    trigger = str(result.get("trigger") or "hand")
    lines = [
        _line("title", lang, model=result["model"]),
        "",
        outcome_sentence(result, lang),
        "",
        _line("started", lang, trigger=TRIGGERS.get(trigger, TRIGGERS["hand"])[lang]),
        "",
        *_data(outputs, lang),
    ]
    judged = outputs.get("validate", {})
    if "gates" in judged:
        lines += ["", *_gates(judged, lang)]
    return "\n".join(lines) + "\n"


def outcome_sentence(result: Json, lang: str) -> str:
    """Say in one sentence what became of a retraining."""
    facts = {key: value for key, value in result.items() if key != "report"}
    facts["name"] = f"{result['model']}@{result.get('version')}"
    champion = result.get("champion")
    named = f"{result['model']}@{champion}"
    stays = "champion_stays" if champion else "nobody_stays"
    facts["champion_text"] = _line(stays, lang, champion=named)
    if "why" in result:
        facts["why_text"] = WHY[result["why"]][lang]
    if "decided" in result:
        told = (f"{GATES[g['name']][lang]}: {gate_finding(g, lang)}" for g in result["decided"])
        facts["reason"] = "; ".join(told)
    return STATES[result["state"]][lang].format(**numbers_in(facts, lang))


def gate_finding(gate: Json, lang: str) -> str:
    """Say what a gate found, with its figures."""
    key = _finding(gate)
    found = FOUND[key][lang].format(**numbers_in(gate, lang))
    if gate.get("better"):
        found += FOUND["better"][lang]
    if gate.get("n_to_decide"):
        found += ". " + _line("to_decide", lang, n=gate["n_to_decide"]).rstrip(".")
    return found


def _finding(gate: Json) -> str:
    name = gate["name"]
    if name == "schema":
        return "same_schema" if gate["passed"] else "other_schema"
    if name == "parity":
        return "native" if gate.get("max_difference") is None else "parity"
    if name == "min_accuracy" and gate.get("value") is not None:
        return "bar_but_better" if gate.get("but_better") else "bar"
    if gate.get("lower") is not None:
        return "gain" if "mean" in gate else "paired"
    return "few" if "n" in gate else "unusable"


def _line(key: str, lang: str, **facts: Any) -> str:
    return LINES[key][lang].format(**numbers_in(facts, lang))


def _data(outputs: Mapping[str, Json], lang: str) -> list[str]:
    fetched = outputs.get("fetch")
    if not fetched or "log_facts" not in fetched:
        return []
    log = fetched["log_facts"]
    lines = [
        _line("data", lang),
        "",
        _line(
            "log",
            lang,
            rows=fetched["n_log"],
            wrong=log["answered_otherwise"],
            too_young=log["too_young"],
            delay=_delay(log["cut_off"]["delay_s"]),
        ),
    ]
    if log["dropped"]:
        shown = ", ".join(f"{n} {reason}" for reason, n in log["dropped"].items())
        lines.append(_line("dropped", lang, dropped=shown))
    if "original" not in fetched:  # it ended before that was asked
        return lines
    original = fetched["original"]
    if "down" in original:
        lines.append(_line("down", lang, detail=original["down"]["detail"][lang]))
    else:
        lines.append(_line("original", lang, n=original["n"]))
    prepared, trained = outputs.get("prepare", {}), outputs.get("train", {})
    if fetched["onset"] is not None and "n_since_loss" in prepared:
        since = datetime.fromtimestamp(fetched["onset"] / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
        lines.append(_line("loss", lang, since=since, n=prepared["n_since_loss"]))
    if "mixture" in trained:
        lines.append(_mixture(prepared, trained, lang))
    return lines


def _mixture(prepared: Json, trained: Json, lang: str) -> str:
    chosen, tried = trained["mixture"]["chosen"], trained["mixture"]["tried"]
    why = (
        "; ".join(
            f"{one['name']}: {one['loss']:.4f}" for one in (numbers_in(one, lang) for one in tried)
        )
        or prepared["why"]
    )
    key = "mixture_both" if chosen["original"] else "mixture_log"
    return _line(key, lang, n=trained["n_train"], copies=chosen["copies"], why=why)


def _gates(judged: Json, lang: str) -> list[str]:
    lines = [
        _line("gates", lang),
        "",
        _line(
            "holdout",
            lang,
            n=judged["n_holdout"],
            look=judged["look"],
            alpha=judged["alpha"],
        ),
        "",
        _line("gates_head", lang),
        "|---|---|---|",
    ]
    for gate in judged["gates"]:
        found = gate_finding(gate, lang)
        name, verdict = GATES[gate["name"]][lang], VERDICTS[gate["verdict"]][lang]
        lines.append(f"| {name} | {verdict} | {found} |")
    return lines


def _delay(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds} s"
