"""Four calls of an A/B test in Python, for models that answer in processes of their own.

Thin: assignment, log and judgement are Timonel's (an experiment of mode outside, and predictions
recorded with their arm). `A` is the control, `B` the treatment.
"""

import re
import time
from typing import Any
from uuid import uuid4

import httpx

from timonel.client import Client
from timonel.client.errors import RequestRefused
from timonel.stats.compare import fisher_exact

ARMS = {"A": "control", "B": "treatment"}
LETTERS = {arm: letter for letter, arm in ARMS.items()}
KNOWN_WITHIN_S = 10.0  # workers hear of a new experiment within a second
_NAMES = re.compile(r"A = (.*); B = (.*)")


class ABTestingSystem:
    """Talks to one Timonel server about the A/B tests of one model."""

    def __init__(self, url: str = "http://127.0.0.1:8000", model: str = "comments") -> None:
        self._http = httpx.Client(base_url=url, timeout=30.0)
        self._client = Client(url)
        self._model = model

    def start_ab_test(
        self,
        test_name: str,
        model_a: str,
        model_b: str,
        duration_days: float = 7,
        traffic_split: float = 0.5,
    ) -> str:
        """Begin a test; `traffic_split` is B's share, 0.1 to 0.9. Gives the test's id."""
        wish = {
            "name": test_name,
            "control": "external",
            "treatment": "external",
            "mode": "outside",
            "metric": "correct",
            "share": traffic_split,
            "days": duration_days,
        }
        self._post(f"/v1/models/{self._model}/experiments", wish)
        self._post(
            f"/v1/experiments/{test_name}/start", {"reason": f"A = {model_a}; B = {model_b}"}
        )
        return test_name

    def assign_traffic(self, test_id: str, user_id: str) -> str:
        """`A` or `B`: the same for a user on every host, and after every restart."""
        found = self._post(f"/v1/experiments/{test_id}/assign", {"unit_id": user_id})
        return LETTERS[found["arm"]]

    def log_prediction(
        self,
        test_id: str,
        variant: str,
        text: str,
        prediction: str,
        confidence: float,
        actual_label: str | None = None,
        response_time: float | None = None,
        user_id: str | None = None,
    ) -> str:
        """Record what a model answered, and its truth where that is known; gives its id.

        `response_time` in seconds. Without a user, each prediction is a unit of its own. The truth
        may come later: `Client().outcome("comments", LABEL, prediction_id=...)`.
        """
        names = self._names(test_id)
        record = {
            "prediction": prediction,
            "inputs": {"text": text},
            "score": confidence,
            "latency_ms": None if response_time is None else response_time * 1000.0,
            "variant": f"{test_id}:{ARMS[variant]}",
            "version": names[variant][:28],
            "unit_id": user_id or str(uuid4()),
        }
        until = time.monotonic() + KNOWN_WITHIN_S
        while True:
            try:
                (identifier,) = self._client.log_many(self._model, [record])
                break
            except RequestRefused as refused:
                if "unknown_variant" not in str(refused.problem) or time.monotonic() > until:
                    raise
                time.sleep(0.1)
        if actual_label is not None:
            self._client.outcome(self._model, actual_label, prediction_id=identifier)
        return identifier

    def get_test_results(self, test_id: str) -> dict[str, Any]:
        """Look once: what is known of each arm, and the verdict. None is "not known"."""
        look = self._post(f"/v1/experiments/{test_id}/look", None)
        names = self._names(test_id)
        variants = {
            LETTERS[arm["arm"]]: {
                "model": names[LETTERS[arm["arm"]]],
                "predictions": arm["answers"],
                "labelled": arm["labelled"],
                "accuracy": arm["mean"],
                "mean_confidence": arm["mean_confidence"],
                "mean_response_s": _seconds(arm["mean_latency_ms"]),
                "macro_f1": macro_f1(arm["classes"]),
                "classes": arm["classes"],
            }
            for arm in look["arms"]
        }
        return {
            "test_id": test_id,
            "variants": variants,
            "fisher_p": _fisher(variants["A"], variants["B"]),
            "verdict": look["verdict"],
            "recommendation": look["sentence"],
            "look": look,
        }

    def close(self) -> None:
        """Deliver what waits, and close the connections."""
        self._client.close()
        self._http.close()

    def _names(self, test_id: str) -> dict[str, str]:
        """The models' names: they were told when the test began, and the server keeps that."""
        answer = self._http.get(f"/v1/experiments/{test_id}")
        answer.raise_for_status()
        started = [e["reason"] for e in answer.json()["events"] if e["action"] == "start"]
        told = _NAMES.fullmatch(started[0]) if started else None
        return dict(zip("AB", told.groups() if told else ("A", "B"), strict=True))

    def _post(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        answer = self._http.post(path, json=body)
        if answer.is_error:
            raise ValueError(answer.text)
        document: dict[str, Any] = answer.json()
        return document


def macro_f1(classes: dict[str, dict[str, float | None]]) -> float | None:
    """The mean F1 over the classes; a class that was neither true nor answered has none."""
    known = [one["f1"] for one in classes.values() if one["f1"] is not None]
    return sum(known) / len(known) if known else None


def table(results: dict[str, Any]) -> str:
    """The results as a person reads them."""
    lines = [f"{'':28}{'n':>6}{'labels':>8}{'accuracy':>10}{'conf.':>8}{'s':>8}{'macro F1':>10}"]
    for letter, arm in results["variants"].items():
        lines.append(
            f"{letter + ' ' + arm['model']:28}{arm['predictions']:>6}{arm['labelled']:>8}"
            f"{_share(arm['accuracy']):>10}{_share(arm['mean_confidence']):>8}"
            f"{_said(arm['mean_response_s'], '.3f'):>8}{_said(arm['macro_f1'], '.3f'):>10}"
        )
        for name, one in arm["classes"].items():
            lines.append(
                f"    {name:24} recall {_share(one['recall']):>7}  "
                f"precision {_share(one['precision']):>7}  n {one['n']:.0f}"
            )
    p = results["fisher_p"]
    lines.append(f"Fisher p = {_said(p, '.3f')}; {results['verdict']}: {results['recommendation']}")
    return "\n".join(lines)


def _fisher(a: dict[str, Any], b: dict[str, Any]) -> float | None:
    """The exact test of two shares; of the units as they are, so no rule for when to stop."""
    if not a["labelled"] or not b["labelled"]:
        return None
    right = [round(one["accuracy"] * one["labelled"]) for one in (a, b)]
    return fisher_exact(right[0], a["labelled"], right[1], b["labelled"]).p_value


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000.0


def _share(value: float | None) -> str:
    return _said(value, ".1%")


def _said(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
