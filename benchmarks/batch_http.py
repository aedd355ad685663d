"""A batch over HTTP beside its pipeline alone; JSON on stdout.

    python -m benchmarks.batch_http [--rows 10000] [--trees 100 1400] [--rounds 7]

``pipeline`` is ``predict_proba`` of the fitted pipeline on a DataFrame that is ready; ``bare`` is
what any server with that pipeline must do at least: parse the JSON, make the DataFrame, predict,
write JSON. ``http`` is a request to our whole server: parsed, checked row by row, answered, and
*logged* row by row before it is answered. The three take turns in one run; medians are given.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import world

from timonel.loadtest.processes import memory_mib, tree
from timonel.serving.processes.ports import next_free

_PIPELINE = """
import json, sys, time
import joblib, pandas as pd
pipeline = joblib.load(sys.argv[1])
for line in sys.stdin:
    body = open(line.strip(), "rb").read()
    began = time.perf_counter()
    table = pd.DataFrame(json.loads(body)["inputs"])
    scores = pipeline.predict_proba(table)[:, 1].tolist()
    answer = json.dumps({"predictions": [{"prediction": s > 0.5, "score": s} for s in scores]})
    bare = time.perf_counter() - began
    began = time.perf_counter()
    pipeline.predict_proba(table)
    print(json.dumps([time.perf_counter() - began, bare, len(answer)]), flush=True)
"""


def rows(n: int) -> list[dict[str, Any]]:
    """Make rows that the schema takes."""
    return world.frame(n).drop("y").to_dicts()


def ask(port: int, body: bytes) -> tuple[float, list[dict[str, Any]]]:
    """Post a batch; give the seconds until its answer was read, and the answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    began = time.perf_counter()
    connection.request("POST", world.PATH, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    data = response.read()
    took = time.perf_counter() - began
    connection.close()
    assert response.status == 200, data[:300]
    answers: list[dict[str, Any]] = json.loads(data)["predictions"]
    assert all(one["source"] == "model" for one in answers)
    return took, answers


def wait_for(call: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Call until it works."""
    until = time.monotonic() + seconds
    while True:
        try:
            return call()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def bench(folder: Path, trees: int, n_rows: int, rounds: int) -> dict[str, Any]:
    """Measure one model."""
    file = world.fit(folder, trees)
    place = folder / f"project-{trees}"
    world.project(place, file)
    body = json.dumps({"inputs": rows(n_rows)}).encode()
    sent = folder / "body.json"
    sent.write_bytes(body)
    port = next_free("127.0.0.1", 18_000)
    found: dict[str, list[float]] = {"pipeline": [], "bare": [], "http": []}
    server = world.serve(place, port, max_body_kb="16384")  # by default 1 MiB
    alone = subprocess.Popen(
        [sys.executable, "-c", _PIPELINE, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert alone.stdin is not None
        assert alone.stdout is not None
        for at in range(-2, rounds):  # the first batches start the pool
            if at < 0:
                wait_for(lambda: ask(port, body))
                time.sleep(3.0)
            took, answers = ask(port, body)
            assert len(answers) == n_rows
            alone.stdin.write(f"{sent}\n".encode())
            alone.stdin.flush()
            pipeline, bare, _ = json.loads(alone.stdout.readline())
            if at >= 0:
                for name, value in (("pipeline", pipeline), ("bare", bare), ("http", took)):
                    found[name].append(value)
            time.sleep(1.0)  # the drain comes to rest
        mib = memory_mib(tree(server.pid))
    finally:
        alone.kill()
        alone.wait()
        server.terminate()
        server.wait(60)
    medians = {
        f"{name}_ms": round(statistics.median(all_) * 1e3, 1) for name, all_ in found.items()
    }
    return medians | {
        "times_pipeline": round(medians["http_ms"] / medians["pipeline_ms"], 2),
        "times_bare": round(medians["http_ms"] / medians["bare_ms"], 2),
        "body_mib": round(len(body) / 2**20, 2),
        "server_mib": round(mib, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--trees", type=int, nargs="*", default=[100, 1400])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="timonel-batch-") as scratch:
        result = {
            f"{trees} trees": bench(Path(scratch), trees, options.rows, options.rounds)
            for trees in options.trees
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
