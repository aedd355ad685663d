"""Why a version moved, as the history tells it: what Timonel itself wrote, in Spanish too. Pure."""

from typing import Any

from timonel.retraining.report import gate_finding
from timonel.retraining.texts import GATES

_RETRAINED = "retrained: "
_SPANISH = {
    "trained": "entrenada",
    "brought fitted": "traída ya ajustada",
    "by hand": "a mano",
    "by hand; no holdout was measured": "a mano; no se midió en filas reservadas",
    "first version, better than the baseline on its holdout": (
        "primera versión, mejor que la línea base en sus filas reservadas"
    ),
}


def reason_in(lang: str, reason: str, gates: Any) -> str:
    """Give the reason of a transition in a language; a person's own words stay as they are.

    Parameters
    ----------
    lang : {"en", "es"}
    reason : str
        As stored, in English.
    gates : object
        What the transition was decided on: a retraining's, a list, or nothing.
    """
    if lang != "es":
        return reason
    if reason.startswith(_RETRAINED) and isinstance(gates, dict):
        told = [one for one in gates["gates"] if one["name"] in ("champion", "beats_baseline")]
        found = "; ".join(f"{GATES[one['name']]['es']}: {gate_finding(one, 'es')}" for one in told)
        return f"reentrenada: {found}"
    return _SPANISH.get(reason, reason)
