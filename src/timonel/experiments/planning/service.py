"""Before an experiment: plans, and an A/A, from one's own log."""

from collections.abc import Callable
from math import inf
from typing import Any

from sqlalchemy import Engine

from timonel.clock import Clock
from timonel.experiments.design import Answers, Design
from timonel.experiments.errors import InvalidPlan
from timonel.experiments.planning.measuring import measure
from timonel.experiments.planning.plan import Asked, ExperimentPlan, make_plan
from timonel.experiments.replaying.aa import (
    AaResult,
    aa_design,
    play_part,
    read_log,
    result_of,
)
from timonel.experiments.wishes import more_is_better, usual_goal
from timonel.registry.manifest import decode_manifest
from timonel.registry.registry import Registry
from timonel.store.engine import snapshot

_LIMITS = {
    "share": (0.0, 1.0),
    "alpha": (0.0, 0.5),
    "power": (0.0, 1.0),
    "days": (0.0, inf),
    "per_day": (0.0, inf),
}
_MAY_BE_ZERO = {"delay_days": (0.0, inf), "sd": (0.0, inf), "baseline": (0.0, inf)}


class Planning:
    """Measures and plans; safe to use from several threads."""

    def __init__(self, engine: Engine, project: str, clock: Clock, registry: Registry) -> None:
        self._engine = engine
        self._project = project
        self._clock = clock
        self._registry = registry

    def plan(
        self, model: str | None, *, control: str | None = None, **given: Any
    ) -> ExperimentPlan:
        """Plan an experiment on a model.

        Parameters
        ----------
        model : str or None
            None: the only one.
        control : str or None
            A version's number, or ``rules``; None: the champion, or rules where there is none.
        given
            Further fields of ``Asked``.

        Raises
        ------
        InvalidPlan, UnknownModel, UnknownVersion
        """
        declaration = self._registry.declaration(model)
        name = declaration.model
        if control is None:
            champion = self._registry.champion(name)
            control = Answers.RULES.value if champion is None else champion.version
        elif control != Answers.RULES:
            control = self._registry.get(name, control).version
        metric = usual_goal(decode_manifest(declaration.manifest).task)
        asked = Asked(model=name, control=control, metric=metric, **given)
        _check(asked)
        with snapshot(self._engine) as connection:
            measured = measure(
                connection,
                self._project,
                name,
                control=control,
                metric=metric,
                by_unit=asked.by_unit,
                now=self._clock.now_us(),
            )
        return make_plan(asked, measured)

    def run_aa(
        self,
        model: str | None,
        *,
        by_unit: bool,
        runs: int,
        seed: int,
        rows: int,
        alpha: float,
        check: Callable[[], None] | None = None,
    ) -> AaResult:
        """Play an experiment without a difference on the log, many times.

        Parameters
        ----------
        check : callable or None
            Called before each run.

        Raises
        ------
        UnknownModel
        """
        design = self.aa_design(model, by_unit=by_unit, alpha=alpha)
        with snapshot(self._engine) as connection:
            now = self._clock.now_us()
            log = read_log(connection, self._project, design, seed=seed, rows=rows, now=now)
        part = play_part(log, design, seed=seed, runs=range(runs), check=check)
        return result_of(part, design, seed=seed, runs=runs)

    def aa_design(self, model: str | None, *, by_unit: bool, alpha: float) -> Design:
        """Give the design that an A/A on a model plays; raises ``UnknownModel``."""
        declaration = self._registry.declaration(model)
        metric = usual_goal(decode_manifest(declaration.manifest).task)
        return aa_design(
            declaration.model,
            metric,
            higher_is_better=more_is_better(metric),
            by_unit=by_unit,
            alpha=alpha,
        )


def _check(asked: Asked) -> None:
    for field, (low, high) in _LIMITS.items():
        value = getattr(asked, field)
        if value is not None and not low < value < high:
            _refuse(asked, field, value, f"{low:g} < {field} < {high:g}")
    for field, (low, high) in _MAY_BE_ZERO.items():
        value = getattr(asked, field)
        if value is not None and not low <= value < high:
            _refuse(asked, field, value, f"{low:g} <= {field}")
    if asked.baseline is not None and asked.metric == "correct" and asked.baseline > 1.0:
        _refuse(asked, "baseline", asked.baseline, "0 <= baseline <= 1")
    for effect in asked.effects:
        if not 0.0 < effect < inf:
            _refuse(asked, "effect", effect, "0 < effect")


def _refuse(asked: Asked, field: str, found: float, expected: str) -> None:
    raise InvalidPlan(model=asked.model, field=field, found=found, expected=expected)
