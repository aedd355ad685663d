"""Which of the columns that drifted matter to the model: drift times permutation importance."""

from collections.abc import Iterable, Mapping
from typing import Any

from timonel.stats.drift import ColumnDrift
from timonel.stats.multivariate.composition import composed
from timonel.stats.profiles.profile import Profile


def importance_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Give a version's importance by feature, as training measured it; empty where it did not."""
    features = (metrics.get("importance") or {}).get("features") or ()
    return {entry["feature"]: float(entry["value"]) for entry in features}


def explained(
    drifted: Iterable[ColumnDrift], importance: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Rank columns that drifted by how much it may matter.

    Parameters
    ----------
    drifted : iterable of ColumnDrift
    importance : mapping of str to float
        Rise of the mean loss when a feature's values are dealt out anew.

    Returns
    -------
    list of dict
        ``column``, ``effect``, ``importance`` and ``weight``, their product (an importance under 0
        is chance and counts as 0), the greatest first; both None, and last, where the importance is
        unknown. A rank, not a forecast of the loss: drift may well take values no row had.
    """
    found = []
    for column in drifted:
        value, effect = importance.get(column.name), column.effect or 0.0
        weight = None if value is None else effect * max(value, 0.0)
        found.append(
            {"column": column.name, "effect": effect, "importance": value, "weight": weight}
        )
    return sorted(found, key=lambda f: (f["weight"] is None, -(f["weight"] or 0.0), -f["effect"]))


def by_mix(
    names: Iterable[str], metrics: Mapping[str, Any], reference: Profile, current: Profile
) -> dict[str, dict[str, Any]]:
    """Say what each column's new mix of values accounts for in the performance, others apart.

    Parameters
    ----------
    names : iterable of str
    metrics : mapping
        The version's, as training kept them.

    Returns
    -------
    dict of str to dict
        ``metric``, ``change``, ``lower`` and ``upper``; or ``reason``: ``not_measured`` (training
        kept no figures by value, or the column is one of moments), ``too_few`` (more than 5 % of
        the window has values of which the holdout held fewer than 20).
    """
    kept = metrics.get("by_value") or {}
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        figures = kept.get("columns", {}).get(name)
        if figures is None:
            found[name] = {"reason": "not_measured"}
            continue
        part = composed(reference.columns[name], figures, current.columns[name])
        found[name] = (
            {"reason": "too_few"}
            if part is None
            else {
                "metric": kept["metric"],
                "change": round(part.change, 6),
                "lower": round(part.lower, 6),
                "upper": round(part.upper, 6),
            }
        )
    return found
