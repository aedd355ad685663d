"""``python -m timonel.training.rules_child``: rules and rows in, what they gave out (JSON).

What a predict worker does not have is blocked before the rules are imported. The rules are called
by serving's own code, found by name: training stands below serving, this process does not.
"""

import math
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from statistics import median
from types import ModuleType
from typing import Any

import msgspec

BLOCKED = frozenset(
    {
        "fastapi",
        "lightgbm",
        "onnx",
        "pandas",
        "polars",
        "pyarrow",
        "pydantic",
        "requests",
        "scipy",
        "skl2onnx",
        "sklearn",
        "skops",
        "sqlalchemy",
        "torch",
        "xgboost",
    }
)


IMPORT_S = 10.0
SURELY_QUICK_US = 1000.0


class NotInService(ImportError):
    """The rules import what serving does not have."""


class _Block(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in BLOCKED:
            message = f"{fullname} is not there in service; rules are plain Python"
            raise NotInService(message)
        return None


def main() -> None:
    """Read the orders from standard input, write the trial to standard output."""
    sys.meta_path.insert(0, _Block())
    from timonel.training.rules import Orders

    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    out = sys.stdout
    sys.stdout = sys.stderr  # what the rules print must not come between
    found = _tried(orders)
    out.buffer.write(msgspec.json.encode(found))
    out.flush()


def _tried(orders: Any) -> dict[str, Any]:
    from timonel.errors import in_language
    from timonel.schema.schema import Schema
    from timonel.schema.validation import RowDecoder

    serving = import_module("timonel.serving.rules")
    limit = import_module("timonel.serving.rule_limit")
    limit.install()
    import_module("timonel.events.recorded.place").rehearse()  # what they record is no traffic
    decoder = RowDecoder(Schema.from_json(orders.schema), model="rules", timezone=orders.timezone)
    outputs = serving.OutputCheck(orders.task, orders.classes, orders.bounds)
    try:
        rules = limit.within(
            IMPORT_S,
            lambda source: serving.Rules(source, model="rules", outputs=outputs),
            orders.rules,
        )
    except limit.Overdue:
        return {
            "broken": f"no end of its import within {IMPORT_S:g} s",
            "expected": "a module that can be imported",
        }
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent says it
        expected = getattr(error, "context", {}).get("expected", "a module that can be imported")
        return {"broken": str(_said(error)), "expected": str(expected)}
    rows = []
    times = []
    for values in orders.table:
        row = decoder.document(tuple(values))
        try:
            answer, took_us = _timed(rules, row)
        except Exception as error:  # noqa: BLE001 - as above
            said = _said(error)
            rows.append({"fault": str(said), "fault_es": in_language(said, "es")})
            continue
        times.append(took_us)
        given: dict[str, Any] = {"took_us": took_us}
        if answer is not None:
            given |= {"prediction": answer.prediction, "score": answer.score}
        rows.append(given)
    return {"rows": rows, "median_us": median(times) if times else None}


def _timed(rules: Any, row: dict[str, Any]) -> tuple[Any, float]:
    """Ask for an answer; again where it took long: a machine may have been busy elsewhere."""
    least = math.inf
    for _ in range(3):
        start = time.perf_counter()
        answer = rules.answer(row)
        least = min(least, (time.perf_counter() - start) * 1e6)
        if least < SURELY_QUICK_US:
            break
    return answer, least


def _said(error: Exception) -> str:
    context = getattr(error, "context", {})
    found: str = context.get("found") or f"{type(error).__name__}: {error}"
    return found


if __name__ == "__main__":
    main()
