"""Trying a project's rules where they will run: in a process without the training libraries.

The child calls them by the very code that serving uses, so what passes here answers there.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import timonel
from timonel.errors import Phrase
from timonel.runtime.featuriser import Value
from timonel.schema.features import Category, Feature, Flag, Number, Text
from timonel.schema.schema import Schema
from timonel.training.errors import UnusableRules
from timonel.wire.answer import Label
from timonel.wire.rules import RulesSource

TIMEOUT_S = 60.0
SLOW_US = 10_000.0  # rules run in the server's event loop: every other request waits meanwhile
_SPRING = 1_768_478_400_000_000  # 2026-01-15 12:00 UTC: a moment for rows that need one


class Tried(msgspec.Struct, frozen=True):
    """What the rules gave for one row: a label, nothing (they decline), or what went wrong."""

    prediction: Label | None = None
    score: float | None = None
    fault: str | None = None
    fault_es: str | None = None
    took_us: float = 0.0  # the least of three calls, where the first was slow


class Trial(msgspec.Struct, frozen=True):
    """What a child process found: an error of the whole module, or one entry a row."""

    broken: str | None = None
    expected: str = ""
    rows: list[Tried] = []
    median_us: float | None = None


class Orders(msgspec.Struct, frozen=True):
    """What a child process is asked to do (JSON on its standard input)."""

    rules: RulesSource
    schema: list[dict[str, Any]]
    table: list[list[Any]]
    timezone: str
    task: str
    classes: list[Label] | None = None
    bounds: tuple[float | None, float | None] | None = None


class RulesCheck(NamedTuple):
    """How rules did on rows made from the schema."""

    n_rows: int
    n_answered: int
    median_us: float | None


def try_rules(
    rules: RulesSource,
    schema: Schema,
    table: Sequence[Sequence[Value]],
    *,
    task: str,
    timezone: str = "UTC",
    classes: Sequence[Label] | None = None,
    bounds: tuple[float | None, float | None] | None = None,
) -> Trial:
    """Call the rules on rows, in a process of their own.

    Raises
    ------
    UnusableRules
        If they cannot be imported there, or do not come to an end.
    """
    orders = Orders(
        rules,
        schema.to_json(),
        [list(row) for row in table],
        timezone,
        task,
        None if classes is None else list(classes),
        bounds,
    )
    try:
        done = subprocess.run(
            # -P and our own folder alone: neighbours of rules.py do not travel with it
            [sys.executable, "-P", "-m", "timonel.training.rules_child"],
            input=msgspec.json.encode(orders),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=True,
            env={**os.environ, "PYTHONPATH": str(Path(timonel.__file__).parents[1])},
        )
        trial = msgspec.json.decode(done.stdout, type=Trial)
    except subprocess.TimeoutExpired:
        found = Phrase("no end after {s:g} s", "no terminan tras {s:g} s", s=TIMEOUT_S)
        expected = Phrase("an answer within 1 ms", "una respuesta en 1 ms")
        raise _unusable(rules, found, expected) from None
    except (subprocess.CalledProcessError, msgspec.DecodeError) as error:
        stderr = getattr(error, "stderr", None) or b""
        said = stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise _unusable(rules, f"a process that ended: {said[0][:300]}", "answers") from None
    if trial.broken is not None:
        raise _unusable(rules, trial.broken, trial.expected)
    return trial


def verify_rules(
    rules: RulesSource, schema: Schema, *, task: str = "", timezone: str = "UTC"
) -> RulesCheck:
    """Refuse rules that could not answer in service.

    Parameters
    ----------
    rules : RulesSource
    schema : Schema
        Rows are made from it: limits, every category in turn, optional values missing.
    task : str
        "" where it does not matter.

    Raises
    ------
    UnusableRules
        If they import what serving has not, raise, or give what is no answer. None is allowed:
        the rules cannot say, and the baseline answers.
    """
    table = sample_rows(schema)
    trial = try_rules(rules, schema, table, task=task, timezone=timezone)
    for row, tried in zip(table, trial.rows, strict=True):
        if tried.fault is not None:
            raise _unusable(
                rules,
                _for_row(Phrase(tried.fault, tried.fault_es or tried.fault), row, schema),
                Phrase("an Answer or None", "un Answer o None"),
            )
        if tried.took_us > SLOW_US:
            slow = f"{tried.took_us / 1000:.0f} ms"
            limit = Phrase(
                "an answer within {n:g} ms", "una respuesta en {n:g} ms", n=SLOW_US / 1000
            )
            raise _unusable(rules, _for_row(slow, row, schema), limit)
    n_answered = sum(tried.prediction is not None for tried in trial.rows)
    return RulesCheck(len(table), n_answered, trial.median_us)


def _for_row(fault: str, row: Sequence[Value], schema: Schema) -> Phrase:
    shown = ", ".join(f"{name}={value!r}" for name, value in zip(schema.names, row, strict=True))
    return Phrase(
        "{fault} for the row {row}", "{fault} con la fila {row}", fault=fault, row=shown[:400]
    )


def sample_rows(schema: Schema) -> list[tuple[Value, ...]]:
    """Make rows that the schema allows: middle, low, high, and without each optional value."""
    rows = [
        tuple(_value(feature, share, at) for feature in schema)
        for at, share in enumerate((0.5, 0.0, 1.0, 0.25, 0.75))
    ]
    optional = [at for at, feature in enumerate(schema) if not feature.required]
    for missing in [optional, *([at] for at in optional[:8])] if optional else []:
        rows.append(tuple(None if at in missing else v for at, v in enumerate(rows[0])))
    return rows


def _value(feature: Feature, share: float, turn: int) -> Value:
    if isinstance(feature, Number):
        low = feature.ge if feature.ge is not None else min(0.0, feature.le or 0.0)
        high = feature.le if feature.le is not None else max(100.0, 2 * low)
        number = low + share * (high - low)
        if feature.integer:
            return int(min(max(round(number), -(-low // 1)), high // 1))
        return number
    if isinstance(feature, Category):
        return feature.values[turn % len(feature.values)]
    if isinstance(feature, Flag):
        return turn % 2 == 0
    if isinstance(feature, Text):
        return "a text"
    return _SPRING + turn * 30 * 86_400_000_000


def _unusable(rules: RulesSource, found: str, expected: str) -> UnusableRules:
    return UnusableRules(
        module=rules.module, function=rules.function, found=found, expected=expected
    )
