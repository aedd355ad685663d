"""Evidently's drift preset over both frames."""

import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
began = time.perf_counter()
import evidently  # noqa: E402
import pandas as pd  # noqa: E402
from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402

import_s = time.perf_counter() - began

from measuring import columns, measured  # noqa: E402

folder = Path(sys.argv[1])
reference = pd.DataFrame(columns(folder / "reference.npz"))
current = pd.DataFrame(columns(folder / "current.npz"))


def report() -> list[str]:
    """Run it, and read which columns it calls drifted; its own count is the check."""
    drifted, said = [], None
    for metric in Report([DataDriftPreset()]).run(current, reference).dict()["metrics"]:
        config, value = metric["config"], metric["value"]
        if "column" not in config:
            said = value["count"]
            continue
        # a p-value is under its threshold, a distance over it
        by_chance = "p_value" in config["method"]
        if (value < config["threshold"]) if by_chance else (value >= config["threshold"]):
            drifted.append(config["column"])
    assert said == len(drifted), (said, drifted)
    return drifted


measured(report, version=evidently.__version__, import_s=import_s)
