"""When a model is to be retrained, and why, or why not. Pure.

Drift alone is no trigger: it warns. What is retrained for is a loss that truths confirm, the
policy's schedule, its number of new labels, the age of the version, or a person.
"""

from dataclasses import dataclass, field
from typing import Any

from timonel.retraining.judging.gates import FEWEST_HELD

_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Policies:
    """What the policy says of retraining; times in microseconds."""

    cron: str | None
    on_loss: bool
    on_labels: int | None
    max_age_us: int | None
    cooldown_us: int
    min_samples: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model now; times in microseconds of event time.

    Parameters
    ----------
    n_labels : int
        Labelled answers since the last comparison, and since the loss began where there is one.
    n_new_labels : int
        Truths that came since the last retraining, or since the version was made.
    loss : dict or None
        The confirmed loss: ``since``, ``n``, ``effect``, ``subject``.
    n_drifted : int
        Columns whose newest verdict is a drift; shown, never a trigger.
    active_job : str or None
    last_job_at : int or None
        When the last retraining was asked for.
    next_tick_at : int or None
    """

    now: int
    n_labels: int
    n_new_labels: int
    champion: str | None
    champion_at: int | None
    loss: dict[str, Any] | None = None
    n_drifted: int = 0
    active_job: str | None = None
    last_job_at: int | None = None
    next_tick_at: int | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """One cause, whether it holds, and its numbers."""

    name: str  # loss, labels, age, cron, drift
    holds: bool
    enabled: bool
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TriggerReport:
    """What a request and the worker would do now, and why.

    Parameters
    ----------
    by_hand : bool
        Whether a request would start a job.
    by_itself : str or None
        The trigger for which the worker would start one now.
    obstacles : tuple of dict
        What stands in the way: ``active_job``, ``cooldown``, ``not_enough``.
    """

    model: str
    by_hand: bool
    by_itself: str | None
    triggers: tuple[Trigger, ...]
    obstacles: tuple[dict[str, Any], ...]

    def document(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {
            "model": self.model,
            "would_run": self.by_hand,
            "would_run_by_itself": self.by_itself,
            "triggers": [
                {"name": t.name, "holds": t.holds, "enabled": t.enabled, **t.facts}
                for t in self.triggers
            ],
            "obstacles": list(self.obstacles),
        }


def decide(model: str, facts: Facts, policies: Policies) -> TriggerReport:
    """Say whether a retraining would start, by hand and by itself."""
    triggers = (
        Trigger("loss", facts.loss is not None, policies.on_loss, dict(facts.loss or {})),
        _labels(facts, policies),
        _age(facts, policies),
        Trigger(
            "cron",
            False,  # the schedule submits its own jobs
            policies.cron is not None,
            {"cron": policies.cron, "next_at": facts.next_tick_at},
        ),
        Trigger("drift", facts.n_drifted > 0, False, {"n_columns": facts.n_drifted}),
    )
    hard = _hard_obstacles(facts, policies)
    soft = _cooldown(facts, policies)
    holding = next((t.name for t in triggers if t.holds and t.enabled), None)
    return TriggerReport(
        model,
        not any(o["name"] == "active_job" for o in hard),
        None if hard or soft else holding,
        triggers,
        (*hard, *soft),
    )


def labels_needed(policies: Policies, loss: dict[str, Any] | None) -> int:
    """Give how many labelled answers are worth a retraining.

    After a loss it waits for enough of the new world to judge by and to learn from: an earlier one
    would repair little, and what it judged by is spent.
    """
    if loss is not None:
        return FEWEST_HELD + policies.min_samples
    return max(FEWEST_HELD, policies.min_samples)


def _labels(facts: Facts, policies: Policies) -> Trigger:
    needed = policies.on_labels
    return Trigger(
        "labels",
        needed is not None and facts.n_new_labels >= needed,
        needed is not None,
        {"n": facts.n_new_labels, "needed": needed},
    )


def _age(facts: Facts, policies: Policies) -> Trigger:
    age = None if facts.champion_at is None else facts.now - facts.champion_at
    limit = policies.max_age_us
    shown = {
        "age_h": None if age is None else round(age / _HOUR_US, 1),
        "max_age_h": None if limit is None else round(limit / _HOUR_US, 1),
    }
    old = age is not None and limit is not None and age >= limit
    return Trigger("age", old, limit is not None, shown)


def _hard_obstacles(facts: Facts, policies: Policies) -> tuple[dict[str, Any], ...]:
    found: list[dict[str, Any]] = []
    if facts.active_job is not None:
        found.append({"name": "active_job", "job_id": facts.active_job})
    needed = labels_needed(policies, facts.loss)
    if facts.n_labels < needed:
        found.append({"name": "not_enough", "found": facts.n_labels, "needed": needed})
    return tuple(found)


def _cooldown(facts: Facts, policies: Policies) -> tuple[dict[str, Any], ...]:
    if facts.last_job_at is None:
        return ()
    until = facts.last_job_at + policies.cooldown_us
    if facts.now >= until:
        return ()
    return ({"name": "cooldown", "until": until},)
