"""Where the example projects lie, and the copy of one that the demo runs."""

import shutil
from pathlib import Path

from timonel.simulate.errors import UnknownExample


def example_folder(name: str) -> Path:
    """Find an example project: the copy in the installed package, else the repository's.

    Parameters
    ----------
    name : str
        ``"dispatch"``, ``"obesity"`` or ``"comments"``.

    Raises
    ------
    UnknownExample
        If there is neither.
    """
    package = Path(__file__).resolve().parents[1]
    folders = [package / "examples" / name, package.parents[1] / "examples" / name]
    for folder in folders:
        if (folder / "timonel.toml").is_file():
            return folder
    raise UnknownExample(name=name, folders=", ".join(map(str, folders)))


DEMO_POLICY = """

# What follows was added by `timonel demo`: weeks pass in a minute there, and nobody is asked.
from dataclasses import replace  # noqa: E402

from timonel.project.model import Watch  # noqa: E402

dispatch = replace(
    dispatch,
    policy=Policy(
        min_accuracy=0.80,
        min_samples=600,
        approval="automatic",
        retrain_on_loss=True,
        cooldown="12h",
        watch=Watch(
            window="1d",
            # A day of this city against its month: a single weekday, one shift's crews. These are
            # the greatest differences that quiet days show; what drifts has to exceed them.
            season=False,
            floor=0.48,
            floors={
                "day_of_week": 0.99,
                "is_weekend": 0.99,
                "average_response_time_minutes": 0.66,
                "available_ambulances_count": 0.35,
                "ambulances_busy_percentage": 0.35,
                "nearest_ambulance_distance_km": 0.20,
                "active_dispatches_count": 0.35,
            },
            # hidden congestion makes whole days up to 5 points worse than usual
            accuracy_loss=0.07,
            min_labels=60,
        ),
    ),
)
"""
"""Appended to the copied ``model.py``: other values of declared policies, and nothing else."""

DEMO_SETTINGS = """
[settings]
checks_every_s = 1.0
"""
"""Appended to the copied ``timonel.toml``: a second there is hours of the city."""


def copy_for_demo(folder: Path) -> None:
    """Copy ``examples/dispatch`` into a new folder, with the demo's policy."""
    shutil.copytree(
        example_folder("dispatch"),
        folder,
        ignore=shutil.ignore_patterns(".timonel", "__pycache__"),
    )
    with (folder / "model.py").open("a", encoding="utf-8") as declaration:
        declaration.write(DEMO_POLICY)
    with (folder / "timonel.toml").open("a", encoding="utf-8") as settings:
        settings.write(DEMO_SETTINGS)
