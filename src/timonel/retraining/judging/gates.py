"""May the candidate take the champion's place? The gates, and what they say together. Pure.

Each gate passes, fails, or cannot be decided on the rows there are; undecided keeps the champion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from timonel.stats.gates import GateResult, Verdict, paired_gate_accuracy, paired_gate_loss

FEWEST_HELD = 200
_HELD_SHARE = 0.2
_MOST_HELD = 5_000
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition and what was found."""

    name: str
    verdict: Verdict
    reason: str
    figures: Document

    def document(self) -> Document:
        """Give it for the history."""
        return {
            **self.figures,
            "name": self.name,
            "verdict": str(self.verdict),
            "passed": self.verdict is Verdict.PASS,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gates say together."""

    gates: tuple[Gate, ...]

    @property
    def verdict(self) -> Verdict:
        """FAIL if one failed, else UNDECIDED if one is open, else PASS."""
        said = {gate.verdict for gate in self.gates}
        for verdict in (Verdict.FAIL, Verdict.UNDECIDED):
            if verdict in said:
                return verdict
        return Verdict.PASS

    def settled(self) -> "Judgement":
        """Leave it to a person where only the bar is missed, and the champion is worse still."""
        failed = [gate for gate in self.gates if gate.verdict is Verdict.FAIL]
        if not self.better or {gate.name for gate in failed} != {"min_accuracy"}:
            return self
        return Judgement(tuple(_excused(g) if g.name == "min_accuracy" else g for g in self.gates))

    @property
    def better(self) -> bool:
        """Whether the candidate was shown to be better than the champion."""
        return any(g.name == "champion" and g.figures.get("better") for g in self.gates)

    @property
    def reason(self) -> str:
        """Say why, in the words of the gates that decided."""
        told = [g for g in self.gates if g.verdict is self.verdict]
        if self.verdict is Verdict.PASS:
            told = [g for g in told if g.name in ("champion", "beats_baseline")][-1:]
        return "; ".join(gate.reason for gate in told) or "all gates passed"


def _excused(gate: Gate) -> Gate:
    reason = f"{gate.reason}; yet better than the champion, so a person decides"
    return Gate(gate.name, Verdict.UNDECIDED, reason, gate.figures | {"but_better": True})


def held_out(n_recent: int, n_fresh: int) -> int:
    """Give how many of the newest labelled rows are kept to judge by; 0: too few.

    Parameters
    ----------
    n_recent : int
        Labelled rows, of the world as it is now where that has changed.
    n_fresh : int
        Those newer than the last comparison: each row judges once.
    """
    if n_fresh < FEWEST_HELD:
        return 0
    wanted = max(FEWEST_HELD, min(_MOST_HELD, round(_HELD_SHARE * n_recent)))
    return min(wanted, n_fresh)


def gates_of_training(checks: Sequence[Document], metrics: Mapping[str, Any]) -> list[Gate]:
    """Read what training found: against the baseline, the rules and the policy's bar."""
    return [_of_training(check, metrics) for check in checks]


def _of_training(check: Document, metrics: Mapping[str, Any]) -> Gate:
    figures = {
        k: v for k, v in check.items() if k not in ("name", "passed", "sentence", "sentence_es")
    }
    if check["passed"]:
        verdict = Verdict.PASS
    elif check["name"] == "min_accuracy":
        upper = (metrics.get("accuracy") or {}).get("upper")
        near = upper is not None and upper >= check["bar"]
        verdict = Verdict.UNDECIDED if near else Verdict.FAIL
    else:
        mean = check.get("mean")
        verdict = Verdict.FAIL if mean is not None and mean <= 0 else Verdict.UNDECIDED
    return Gate(check["name"], verdict, check["sentence"], figures)


def schema_gate(candidate: str, champion: str) -> Gate:
    """Require that callers need not change: the schema is the champion's."""
    if candidate == champion:
        return Gate("schema", Verdict.PASS, "the schema is unchanged", {})
    return Gate(
        "schema",
        Verdict.FAIL,
        "the declared schema is not the champion's: the two cannot be compared on logged rows",
        {"candidate": candidate, "champion": champion},
    )


def parity_gate(predictor: str, parity: Mapping[str, Any] | None) -> Gate:
    """Require that the compiled model says what its estimator says."""
    found = dict(parity or {})
    summary = str(found.get("summary", "not compared"))
    ok = predictor == "native" or bool(found.get("passed"))
    figures = {"max_difference": found.get("max_difference"), "predictor": predictor}
    return Gate("parity", Verdict.PASS if ok else Verdict.FAIL, f"parity: {summary}", figures)


def unusable_gate(name: str, reason: str) -> Gate:
    """Say that a version could not answer the holdout, so nothing is decided."""
    return Gate(name, Verdict.UNDECIDED, f"it could not answer the holdout: {reason}", {})


def paired_gate(
    name: str,
    task: str,
    units: Sequence[str],
    candidate: Sequence[float],
    other: Sequence[float],
    *,
    alpha: float,
) -> Gate:
    """Compare the candidate with a version on the same units of the holdout.

    Parameters
    ----------
    name : {"champion", "anchor"}
    units : sequence of str
        Of each row, oldest first. Of a unit with several rows the newest counts (being right), or
        the sum (errors).
    candidate, other : sequence of float
        1 where wrong, or absolute errors; row by row.
    alpha : float
        Of this look.
    """
    found: GateResult
    if task == "regression":
        mine, theirs = (_sums(units, losses) for losses in (candidate, other))
        found = paired_gate_loss(mine, theirs, metric="mae", alpha=alpha)
    else:
        last = sorted({unit: row for row, unit in enumerate(units)}.values())
        wrong, others_wrong = np.asarray(candidate)[last] > 0, np.asarray(other)[last] > 0
        found = paired_gate_accuracy(~wrong, ~others_wrong, alpha=alpha)
    figures = found.document()
    del figures["verdict"], figures["reason"]
    figures["candidate_loss"] = float(np.mean(candidate)) if len(candidate) else None
    figures["other_loss"] = float(np.mean(other)) if len(other) else None
    return Gate(name, found.verdict, f"against the {name}: {found.reason}", figures)


def _sums(units: Sequence[str], losses: Sequence[float]) -> NDArray[np.float64]:
    numbers = {unit: n for n, unit in enumerate(dict.fromkeys(units))}
    places = [numbers[unit] for unit in units]
    sums = np.bincount(places, weights=np.asarray(losses, dtype=np.float64))
    return sums.astype(np.float64)
