"""Experiments as JSON documents, for routes and scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from timonel.errors import in_language
from timonel.experiments.design import Design
from timonel.experiments.judging.look import ArmReport, Look
from timonel.experiments.latency import Answered
from timonel.experiments.rows import Event, Experiment
from timonel.experiments.texts import paired_of, sentence, unsaid, youngest_of


def experiment_document(
    experiment: Experiment,
    look: Look | None = None,
    events: Sequence[Event] = (),
    lang: str = "en",
) -> dict[str, Any]:
    """Describe an experiment; times in microseconds since the epoch."""
    design = experiment.design
    return {
        "name": experiment.name,
        "model": design.model,
        "state": str(experiment.state),
        "verdict": experiment.verdict,
        "phase": experiment.phase,
        "shares": dict(zip(design.names, experiment.weights, strict=True)),
        "created_by": experiment.created_by,
        "created_at_us": experiment.created_at,
        "started_at_us": experiment.started_at,
        "ended_at_us": experiment.ended_at,
        "assignment": design.assignment,
        "awaits_units": design.needs_list and design.listed is None,
        "design": design_document(design),
        "look": None if look is None else look_document(look, lang),
        "events": [
            {
                "seq": event.seq,
                "at_us": event.at,
                "action": event.action,
                "who": event.who,
                "reason": in_language(event.reason, lang),
                "facts": event.facts,
            }
            for event in events
        ],
    }


def answered_document(answered: Mapping[str, Answered]) -> dict[str, Any]:
    """Give what is known of each arm's answers as plain values; null is unknown."""
    return {arm: one._asdict() for arm, one in answered.items()}


def design_document(design: Design) -> dict[str, Any]:
    """Give a design as plain values."""
    document: dict[str, Any] = msgspec.to_builtins(design)
    return document


def _arm(arm: ArmReport, look: Look, lang: str) -> dict[str, Any]:
    """Give an arm with the age of its youngest mature label, and why that is unknown."""
    said = youngest_of(arm, look)
    unknown = said is not None and arm.mature_label_age_h is None
    told: dict[str, Any] = {"mature_label_age_h": None} | msgspec.to_builtins(arm)
    return told | {"mature_label_why": in_language(said, lang) if unknown else None}


def look_document(look: Look, lang: str = "en") -> dict[str, Any]:
    """Give a look as plain values, with its sentence."""
    document: dict[str, Any] = msgspec.to_builtins(look)
    shown: dict[str, Any] = {
        name: [
            msgspec.to_builtins(one)
            | {"why": None if one.reason is None else in_language(unsaid(one.reason), lang)}
            for one in reports
        ]
        for name, reports in (("metrics", look.compared), ("parts", look.by_part))
    }
    shown |= {"sentence": in_language(sentence(look), lang), "shadow": None}
    shown |= {"unheard_of": look.silent, "arms": [_arm(arm, look, lang) for arm in look.arms]}
    shadow = look.asked_later
    if shadow is not None:
        shown["shadow"] = msgspec.to_builtins(shadow) | {
            "asked": shadow.asked,
            "paired_share": shadow.paired,
            "sentence": in_language(paired_of(shadow), lang),
        }
    return document | shown
