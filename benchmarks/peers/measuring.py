"""What a report took, measured alike in every environment; Linux."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def columns(file: Path) -> dict[str, Any]:
    """Read a frame."""
    with np.load(file) as found:
        return {name: found[name] for name in found.files}


def measured(report: Callable[[], list[str]], **facts: Any) -> None:
    """Make a report, and print what it took with the columns that it calls drifted."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins at what is held now
    before = _peak_mib()
    wall, cpu = time.perf_counter(), time.process_time()
    drifted = report()
    taken = {
        "seconds": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "mib": _peak_mib() - before,
        "process_mib": _peak_mib(),
    }
    print(json.dumps({**facts, **taken, "drifted": drifted}))


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
