"""Replays and A/As as JSON documents, for routes and scripts."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from timonel.errors import in_language

if TYPE_CHECKING:
    from timonel.experiments.replaying.aa import AaResult
    from timonel.experiments.replaying.recount import Recount
    from timonel.experiments.replaying.replay import Replay


def replay_document(found: "Replay", lang: str = "en") -> dict[str, Any]:
    """Describe a replay; ``log`` is null where the log was not counted again."""
    return {
        "experiment": found.experiment,
        "all_same": found.all_same,
        "n_looks": found.n_looks,
        "n_same": found.n_same,
        "n_differ": found.n_differ,
        "differences": [asdict(one) for one in found.differences],
        "cannot_say": [
            {
                "reason": in_language(one.reason, lang),
                "n": one.n,
                "first": one.first,
                "last": one.last,
            }
            for one in found.unsaid
        ],
        "log": None if found.log is None else _recount(found.log, lang),
    }


def _recount(found: "Recount", lang: str) -> dict[str, Any]:
    return {
        "same": found.same,
        "n_cells": found.n_cells,
        "n_answers": found.n_answers,
        "n_labels": found.n_labels,
        "n_different": found.n_different,
        "differences": [asdict(one) for one in found.differences],
        "cannot_say": None if found.reason is None else in_language(found.reason, lang),
    }


def aa_document(found: "AaResult", lang: str) -> dict[str, Any]:
    """Describe what came of an A/A; null is unknown, and a reason stands beside it."""
    shares = {
        name: None if share is None else share._asdict()
        for name, share in (
            ("wrong", found.wrong),
            ("naive", found.naive),
            ("invalid", found.invalid),
        )
    }
    reason = None if found.reason is None else in_language(found.reason, lang)
    return asdict(found) | shares | {"reason": reason}
