"""A drift report of one frame, ours and Evidently's: seconds, memory, and who calls what drifted.

    python -m benchmarks.drift_peers --install   # once, by hand: benchmarks/.peers/evidently
    python -m benchmarks.drift_peers             # writes benchmarks/results

100,000 rows of 50 columns, against a reference of as many; what drifted is known, because it was
put there. Ours reads the profile that training stored and compares the frame with it; Evidently
holds both frames, as it is used. Each report is a process of its own, in turn, and is measured
alike (``peers/measuring.py``): from data in memory to the list of drifted columns; memory is how
much the process grew meanwhile, at most. Imports are given beside. Linux.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.compare import RESULTS
from benchmarks.servers import APPS, ENVIRONMENTS, TIMEOUT_S
from numpy.typing import NDArray

Array = NDArray[Any]
Draw = Callable[[np.random.Generator, int], Array]
Change = Callable[[np.random.Generator, Array], Array]

N_ROWS, N_QUIET = 100_000, 40
PEER = ENVIRONMENTS / "evidently"
_PORTS = np.array(["Arica", "Iquique", "Coquimbo", "Quintero", "Talcahuano", "Puerto Montt"])


def _missing(rng: np.random.Generator, values: Array, share: float) -> Array:
    return np.where(rng.random(len(values)) < share, np.nan, values)


def _some(rng: np.random.Generator, values: Array, share: float, other: str) -> Array:
    return np.where(rng.random(len(values)) < share, other, values)


SHAPES: tuple[Draw, ...] = (
    lambda rng, n: rng.normal(40, 10, n),
    lambda rng, n: rng.lognormal(3, 1, n).round(2),
    lambda rng, n: rng.poisson(4, n).astype(float),
    lambda rng, n: _missing(rng, rng.normal(0, 1, n), 0.05),
    lambda rng, n: rng.choice(_PORTS, n, p=[0.3, 0.25, 0.2, 0.15, 0.07, 0.03]),
)
DRIFTS: dict[str, tuple[int, Change]] = {
    "mean +0.016 sd": (0, lambda rng, x: x + 0.16),
    "mean +0.1 sd": (0, lambda rng, x: x + 1.0),
    "mean +0.16 sd": (0, lambda rng, x: x + 1.6),
    "mean +0.4 sd": (0, lambda rng, x: x + 4.0),
    "sd +20 %": (0, lambda rng, x: 40 + (x - 40) * 1.2),
    "missing +3 points": (3, lambda rng, x: _missing(rng, x, 0.03)),
    "missing +10 points": (3, lambda rng, x: _missing(rng, x, 0.10)),
    "one category +5 points": (4, lambda rng, x: _some(rng, x, 0.0667, "Quintero")),
    "one category +10 points": (4, lambda rng, x: _some(rng, x, 0.1177, "Quintero")),
    "unseen category, 3 %": (4, lambda rng, x: _some(rng, x, 0.03, "Castro")),
}
"""What is done to a column of a shape; the first is too small to matter, and is told apart."""


def frames(folder: Path) -> None:
    """Draw both frames (seeded) and write them."""
    rng = np.random.default_rng(20261127)
    reference: dict[str, Any] = {}
    current: dict[str, Any] = {}
    for i in range(N_QUIET):
        draw = SHAPES[i % len(SHAPES)]
        reference[f"quiet {i}"], current[f"quiet {i}"] = draw(rng, N_ROWS), draw(rng, N_ROWS)
    for name, (shape, change) in DRIFTS.items():
        reference[name] = SHAPES[shape](rng, N_ROWS)
        current[name] = change(rng, SHAPES[shape](rng, N_ROWS))
    np.savez(folder / "reference.npz", **reference)
    np.savez(folder / "current.npz", **current)


def fit(folder: Path) -> float:
    """Store the reference's profile, as training does; give the seconds it took."""
    from timonel.stats.drift import Profile

    with np.load(folder / "reference.npz") as file:
        reference = {name: file[name] for name in file.files}
    began = time.perf_counter()
    profile = Profile.fit(reference)
    seconds = time.perf_counter() - began
    (folder / "profile.json").write_text(json.dumps(profile.to_json()))
    return seconds


def install() -> None:
    """Install Evidently into an environment of its own."""
    subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
    pip = [str(PEER / "bin" / "python"), "-m", "pip", "install", "-q", "--no-compile"]
    # it imports what pandas 3 no longer has
    subprocess.run([*pip, "evidently", "pandas<3"], check=True, timeout=TIMEOUT_S)


def measured(folder: Path, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Run both reports, in turn, each in a new process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = kept | {"DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}
    mine = [sys.executable, str(APPS / "timonel_report.py"), str(folder)]
    peer = [str(PEER / "bin" / "python"), str(APPS / "evidently_report.py"), str(folder)]
    found: dict[str, list[dict[str, Any]]] = {"timonel": [], "evidently": []}
    for _ in range(rounds):
        for name, command in (("timonel", mine), ("evidently", peer)):
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
                timeout=TIMEOUT_S,
            )
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def written(found: dict[str, list[dict[str, Any]]], fit_s: float, load: float) -> str:
    """Write the tables."""
    lines = [
        f"# One drift report of {N_ROWS:,} rows x {N_QUIET + len(DRIFTS)} columns\n",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load average {load:.1f} at the start; medians of "
        f"{len(found['timonel'])} rounds, each report in a process of its own "
        "(`python -m benchmarks.drift_peers`).\n",
        "| | report s (times ours) | CPU s (times ours) | memory grew MiB (times ours) "
        "| process peak MiB | import s |",
        "|---|---|---|---|---|---|",
    ]
    medians = {
        name: {
            figure: statistics.median(one[figure] for one in runs)
            for figure in ("seconds", "cpu_s", "mib", "process_mib", "import_s")
        }
        for name, runs in found.items()
    }
    base = medians["timonel"]
    for name, m in medians.items():
        ratios = " | ".join(
            f"{m[figure]:.2f} ({m[figure] / max(base[figure], 1e-3):.0f})"
            for figure in ("seconds", "cpu_s", "mib")
        )
        lines.append(
            f"| {name} {found[name][0]['version']} | {ratios} | {m['process_mib']:.0f} "
            f"| {m['import_s']:.1f} |"
        )
    lines.append(
        f"\nThe profile is made once, at training: {fit_s:.2f} s for the same rows. Evidently has "
        "no such thing: it holds both frames at each report.\n"
    )
    called = {name: set(runs[0]["drifted"]) for name, runs in found.items()}
    lines += ["| what was put in | timonel | evidently |", "|---|---|---|"]
    for drift in DRIFTS:
        said = ["drifted" if drift in called[name] else "-" for name in found]
        lines.append(f"| {drift} | {said[0]} | {said[1]} |")
    quiet = [sum(c.startswith("quiet") for c in called[name]) for name in found]
    lines.append(f"| nothing ({N_QUIET} columns) | {quiet[0]} drifted | {quiet[1]} drifted |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Install, or measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.install:
        install()
        return
    if not (PEER / "bin").is_dir():
        parser.error("Evidently is not installed: python -m benchmarks.drift_peers --install")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        frames(folder)
        fit_s = fit(folder)
        text = written(measured(folder, chosen.rounds), fit_s, load)
    file = RESULTS / f"drift-peers-{datetime.now(UTC):%Y-%m-%d}-{platform.machine()}.md"
    file.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
