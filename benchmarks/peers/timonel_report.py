"""Our report over the current frame, against the profile that training stored."""

import json
import sys
import time
from pathlib import Path

began = time.perf_counter()
from timonel.stats.drift import Profile, compare  # noqa: E402

import_s = time.perf_counter() - began

from measuring import columns, measured  # noqa: E402

import timonel  # noqa: E402

folder = Path(sys.argv[1])
current = columns(folder / "current.npz")
stored = (folder / "profile.json").read_text()
measured(
    lambda: list(compare(Profile.from_json(json.loads(stored)), current).drifted_columns),
    version=timonel.__version__,
    import_s=import_s,
)
