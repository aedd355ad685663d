"""Quiet windows: kept as they are judged, and what later windows of the same slot learn of them.

A window counts as quiet for a column unless it alerted in it, or was among the windows that
confirmed the alert, or warned so lately that an alert may follow; whatever a person called normal
(``mark_normal``) is quiet in all columns.
Kept is one row a window, with what its tests gave before any calibration.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isnan
from typing import Any, NamedTuple

import msgspec
import numpy as np
from sqlalchemy import Connection, Engine, bindparam, select

from timonel.monitoring.windows import HOUR_US, WEEK_H, Window, local_time, nominal_span
from timonel.stats.drift import DriftReport
from timonel.stats.profiles.packing import FloatArray
from timonel.stats.profiles.seasons import Quiet, Scale, scale_of, slot_of, spreads_of
from timonel.store.engine import plain_rows, reading
from timonel.store.keyed import write_keyed
from timonel.store.tables_loop import normal_times, window_figures

WEEKS_KEPT = 8
"""How far back quiet windows are looked for."""
_N_KEY = 5
_CONFIRMING = 2  # windows before an alert that may have begun it

_f = window_figures.c
_MINE = (
    _f.project == bindparam("project"),
    _f.model == bindparam("model"),
    _f.profile_id == bindparam("profile"),
    _f.span_h == bindparam("span"),
)
_FIGURES = (
    select(_f.window_start, _f.window_end, _f.dispersions, _f.found)
    .where(*_MINE, _f.window_start >= bindparam("since"))
    .order_by(_f.window_start)
)
_EFFECTS = select(_f.window_start, _f.effects).where(
    *_MINE, _f.window_start.in_(bindparam("starts", expanding=True))
)
_encode = msgspec.json.Encoder().encode
_values_of = msgspec.json.Decoder(list[float | None]).decode
_effects_of = msgspec.json.Decoder(list[dict[str, float]]).decode


class Found(msgspec.Struct, frozen=True):
    """In which columns a window warned, and in which it alerted."""

    warned: list[str] = []
    alerted: list[str] = []


# A run reads the texts of hundreds of windows, nearly all as the run before it read them: what a
# text says is worked out once.
_found_of = lru_cache(4096)(msgspec.json.Decoder(Found).decode)


@lru_cache(8192)
def _dispersions_of(text: str) -> FloatArray:
    values = np.array(_values_of(text), np.float64)
    values.flags.writeable = False  # several runs have it
    return values


class Figures(NamedTuple):
    """A judged window as it is kept; ``dispersions`` by column, NaN where nothing was tested."""

    start_h: int
    end_h: int
    dispersions: FloatArray
    found: Found


class Stretch(NamedTuple):
    """Hours that a person called normal."""

    start_h: int
    end_h: int

    def holds(self, window: Figures) -> bool:
        """Say whether a window lies within."""
        return self.start_h <= window.start_h and window.end_h <= self.end_h


@dataclass(slots=True)
class Past:
    """The judged windows of one reference and span, read once a run.

    Parameters
    ----------
    columns : tuple of str
        Of the profile, in its order.
    windows : list of Figures
        By time.
    effects : dict
        By start of a window, read when its slot is asked for.
    """

    engine: Engine
    project: str
    model: str
    profile_id: str
    span_h: int
    columns: tuple[str, ...]
    windows: list[Figures]
    normal: list[Stretch]
    effects: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    starts: set[int] = field(default_factory=set)

    def scales(self, window: Window, slot_by: "SlotBy") -> dict[str, Scale]:
        """Learn the calibration of every column that has enough quiet windows in the slot.

        Parameters
        ----------
        window : Window
            Only windows before it count.
        slot_by : callable
            From the first hour of a window to its slot.
        """
        since = window.start_h - WEEKS_KEPT * WEEK_H
        before = [w for w in self.windows if since <= w.start_h and w.end_h <= window.start_h]
        slot = slot_by(window.start_h)
        mine = [w for w in before if slot_by(w.start_h) == slot]
        if not mine:
            return {}
        self._read_effects([w.start_h for w in mine])
        loud = _loud(before, self.normal)
        every = np.concatenate([w.dispersions for w in before]).reshape(len(before), -1)
        starts = np.array([w.start_h for w in before])
        for at, name in enumerate(self.columns):
            if name in loud:
                every[np.isin(starts, list(loud[name])), at] = np.nan
        spreads = spreads_of(every)
        told = {w.start_h: [_known(x) for x in w.dispersions.tolist()] for w in mine}
        scales = {}
        for at, name in enumerate(self.columns):
            noisy: set[int] = loud.get(name, set())
            quiet = [
                w for w in mine if w.start_h not in noisy and self.effects[w.start_h][at]
            ]  # a column that could not be tested tells nothing
            scale = scale_of(
                [Quiet(told[w.start_h][at], self.effects[w.start_h][at]) for w in quiet],
                spreads[at],
            )
            if scale is not None:
                scales[name] = scale
        return scales

    def keep(
        self, connection: Connection, window: Window, report: DriftReport, found: Found
    ) -> None:
        """Keep a judged window, in the store and here."""
        columns = [report.columns[name] for name in self.columns]
        dispersions = [_short(column.dispersion) for column in columns]
        effects = [{test: round(e, 5) for test, e in c.effects.items()} for c in columns]
        row = (
            *(self.project, self.model, self.profile_id, self.span_h),
            *(window.start_us, window.end_us),
            *(_encode(part).decode() for part in (dispersions, effects, found)),
        )
        write_keyed(connection, window_figures, _N_KEY, [row])
        spread = np.array(dispersions, np.float64)
        kept = Figures(window.start_h, window.end_h, spread, found)
        others = [w for w in self.windows if w.start_h != window.start_h]
        self.windows = sorted([*others, kept], key=lambda w: w.start_h)
        self.effects[window.start_h] = effects
        self.starts.add(window.start_h)

    def _read_effects(self, starts_h: Sequence[int]) -> None:
        missing = [start * HOUR_US for start in starts_h if start not in self.effects]
        if not missing:
            return
        with reading(self.engine) as connection:
            for start_us, effects in connection.execute(
                _EFFECTS, {**self._mine(), "starts": missing}
            ):
                self.effects[start_us // HOUR_US] = _effects_of(effects)

    def _mine(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "model": self.model,
            "profile": self.profile_id,
            "span": self.span_h,
        }

    def read(self, since_h: int) -> None:
        """Read the windows that begin at an hour or later."""
        with reading(self.engine) as connection:
            rows = plain_rows(connection, _FIGURES, {**self._mine(), "since": since_h * HOUR_US})
            self.windows = [
                Figures(start // HOUR_US, end // HOUR_US, _dispersions_of(spread), _found_of(found))
                for start, end, spread, found in rows
            ]
            self.starts = {window.start_h for window in self.windows}
            self.normal = read_normal(connection, self.project, self.model)


class SlotBy:
    """From the first hour of a window to its slot: of a zone, or one for all without a season."""

    __slots__ = ("_span_h", "_zone")

    def __init__(self, zone: Any, span_h: int) -> None:
        self._zone = zone
        self._span_h = span_h

    def __call__(self, hour: int) -> int:
        """Give the slot."""
        return 0 if self._zone is None else _slot_at(self._zone, self._span_h, hour)


@lru_cache(maxsize=65_536)  # a tick asks for the same hours as the one before it
def _slot_at(zone: Any, span_h: int, hour: int) -> int:
    return slot_of(local_time(hour, zone), span_h)


class Calibration:
    """What one run of a model's check knows of quiet windows.

    Parameters
    ----------
    zone : ZoneInfo or None
        Whose hours and weekdays the season follows; None: there is no season.
    """

    def __init__(self, engine: Engine, project: str, model: str, zone: Any) -> None:
        self._engine = engine
        self._project = project
        self._model = model
        self._zone = zone
        self._past: dict[tuple[str, int], Past] = {}
        self._slots: dict[int, SlotBy] = {}

    def scales(self, window: Window, profile_id: str, columns: tuple[str, ...]) -> dict[str, Scale]:
        """Give the calibration of a window's columns; of a window cut at its neighbour, none."""
        span_h = nominal_span(window)
        if span_h is None:
            return {}
        past = self._of(window, span_h, profile_id, columns)
        slot_by = self._slots.setdefault(span_h, SlotBy(self._zone, span_h))
        return past.scales(window, slot_by)

    def keep(
        self,
        connection: Connection,
        window: Window,
        profile_id: str,
        report: DriftReport,
        found: Found,
    ) -> None:
        """Keep what a window's tests gave; one that was cut teaches nothing."""
        span_h = nominal_span(window)
        if span_h is None:
            return
        past = self._of(window, span_h, profile_id, tuple(report.columns))
        past.keep(connection, window, report, found)

    def known(self, profile_id: str, columns: tuple[str, ...]) -> Callable[[int, int], bool]:
        """Give what says of a window's hours, by time, whether it was kept, or cannot be."""
        kept: dict[int, set[int] | None] = {}

        def known(start_h: int, end_h: int) -> bool:
            hours = end_h - start_h
            if hours not in kept:
                window = Window(start_h, end_h, 0)
                span_h = nominal_span(window)
                kept[hours] = (
                    None if span_h is None else self._of(window, span_h, profile_id, columns).starts
                )
            starts = kept[hours]
            return starts is None or start_h in starts

        return known

    def _of(self, window: Window, span_h: int, profile_id: str, columns: tuple[str, ...]) -> Past:
        key = profile_id, span_h
        if key not in self._past:
            past = Past(
                self._engine, self._project, self._model, profile_id, span_h, columns, [], []
            )
            past.read(window.start_h - (WEEKS_KEPT + 1) * WEEK_H)
            self._past[key] = past
        return self._past[key]


def mark_normal(
    connection: Connection,
    project: str,
    model: str,
    *,
    start_us: int,
    end_us: int,
    who: str,
    note: str,
    at_us: int,
) -> None:
    """Call a stretch of time normal: windows within it are quiet, whatever was found in them."""
    write_keyed(
        connection,
        normal_times,
        4,
        [(project, model, start_us, end_us, who[:128], note, at_us)],
    )


def read_normal(connection: Connection, project: str, model: str) -> list[Stretch]:
    """Read what was called normal."""
    t = normal_times.c
    rows = connection.execute(
        select(t.start_at, t.end_at).where(t.project == project, t.model == model)
    )
    return [Stretch(-(-start // HOUR_US), end // HOUR_US) for start, end in rows]


def _loud(windows: Sequence[Figures], normal: Sequence[Stretch]) -> dict[str, set[int]]:
    """Give, by column, the starts of windows that are not quiet."""
    loud: dict[str, set[int]] = {}
    for at, window in enumerate(windows):
        for name in window.found.alerted:
            confirming = windows[max(0, at - _CONFIRMING) : at]
            began = {w.start_h for w in confirming if name in w.found.warned}
            loud.setdefault(name, set()).update(began, {window.start_h})
    for window in windows[-_CONFIRMING:]:  # what they warned of may be confirmed yet
        for name in window.found.warned:
            loud.setdefault(name, set()).add(window.start_h)
    usual = {w.start_h for w in windows if any(stretch.holds(w) for stretch in normal)}
    return {name: starts - usual for name, starts in loud.items()}


def _known(value: float) -> float | None:
    return None if isnan(value) else value


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
