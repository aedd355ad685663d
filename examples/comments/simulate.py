"""Traffic for the comments project: a recorded log of 28 predictions, or people who write.

python simulate.py log      # the 28-row log of an earlier system, row by row
python simulate.py traffic  # comments to both versions, and their truths afterwards
"""

import argparse
import csv
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from ab_testing import ABTestingSystem, macro_f1, table
from data import traffic_rows

from timonel.client import Client

HERE = Path(__file__).resolve().parent
MODELS = ("UltimateHybrid", "FinalSmartSelector")
DRAINED_WITHIN_S = 60.0


class NoLog(FileNotFoundError):
    """The 28-row log is not there; nothing stands in for a table that is to be reproduced."""


def find_log() -> Path:
    """`ab_log_28.csv` beside this module, under TIMONEL_TEST_DATA, or beside the repository."""
    folders = [HERE, HERE / "../../../shared/data/ab_log_28"]
    if root := os.environ.get("TIMONEL_TEST_DATA"):
        folders.insert(1, Path(root) / "ab_log_28")
    for folder in folders:
        if (folder / "ab_log_28.csv").is_file():
            return folder / "ab_log_28.csv"
    raise NoLog(
        "ab_log_28.csv was not found: put it (see README.md) into this folder, or name the folder "
        "above ab_log_28/ in TIMONEL_TEST_DATA"
    )


def feed_log(url: str, test_name: str = "log28") -> dict[str, Any]:
    """Record the log's rows, each as a unit of its own, in the arm it names; then look.

    The rows' day is not repeated: a server takes what is not older than the model's horizon, so
    they count as of now. Everything else is as the log has it.
    """
    with find_log().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    system = ABTestingSystem(url)
    test = system.start_ab_test(test_name, *MODELS, duration_days=1)
    for number, row in enumerate(rows):
        system.log_prediction(
            test,
            row["model_variant"],
            row["text"],
            row["prediction"],
            float(row["confidence"]),
            actual_label=row["actual_label"],
            response_time=float(row["response_time"]),
            user_id=f"row-{number}",
        )
    results = _until(
        lambda: system.get_test_results(test),
        lambda found: sum(arm["labelled"] for arm in found["variants"].values()) >= len(rows),
    )
    system.close()
    return results


def send_traffic(url: str, experiment: str, *, n: int, users: int, seed: int) -> dict[str, Any]:
    """Ask with comments that no training saw, tell each truth afterwards; then look."""
    rng = random.Random(seed)
    rows = list(traffic_rows().iter_rows(named=True))
    sent = [rng.choice(rows) for _ in range(n)]
    with Client(url) as client:
        asked = [
            client.predict(
                "comments", {"text": row["text"]}, unit_id=f"user-{rng.randrange(users)}"
            )
            for row in sent
        ]
        # people judge later, and in another order
        later = list(zip(asked, sent, strict=True))
        rng.shuffle(later)
        for answer, row in later:
            client.outcome("comments", row["label"], prediction_id=answer["prediction_id"])
    counted = sum(answer["variant"].startswith(experiment + ":") for answer in asked)
    with httpx.Client(base_url=url, timeout=30.0) as http:
        return _until(
            lambda: http.post(f"/v1/experiments/{experiment}/look").raise_for_status().json(),
            lambda look: sum(arm["labelled"] for arm in look["arms"]) >= counted,
        )


def _until(look: Callable[[], dict[str, Any]], whole: Callable[[dict[str, Any]], bool]) -> Any:
    """Look until all that was told is counted."""
    until = time.monotonic() + DRAINED_WITHIN_S
    found = look()
    while not whole(found) and time.monotonic() < until:
        time.sleep(0.5)
        found = look()
    return found


def _print_look(look: dict[str, Any]) -> None:
    for arm in look["arms"]:
        recalls = ", ".join(
            f"{name} {one['recall']:.2f}"
            for name, one in arm["classes"].items()
            if one["recall"] is not None
        )
        score = macro_f1(arm["classes"])
        shown = "-" if score is None else f"{score:.3f}"
        print(f"{arm['arm']:10} {arm['labelled']:>6} labels, macro F1 {shown}; recall: {recalls}")
    print(f"{look['verdict']}: {look['sentence']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("log", "traffic"))
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--name", help="of the test (log), or of a running experiment (traffic)")
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.what == "log":
        try:
            print(table(feed_log(asked.url, asked.name or "log28")))
        except NoLog as error:
            sys.exit(str(error))
    else:
        name = asked.name or "words"
        _print_look(send_traffic(asked.url, name, n=asked.n, users=asked.users, seed=asked.seed))


if __name__ == "__main__":
    main()
