"""Where the rows come from: the published file, or a generator that says it stands in for it."""

import os
import random
import sys
from pathlib import Path

import polars as pl

HERE = Path(__file__).resolve().parent

CLASSES = (
    "Insufficient_Weight",
    "Normal_Weight",
    "Overweight_Level_I",
    "Overweight_Level_II",
    "Obesity_Type_I",
    "Obesity_Type_II",
    "Obesity_Type_III",
)
BMI = ((15.5, 18.4), (18.6, 24.9), (25, 27.2), (27.2, 29.9), (30, 34.9), (35, 39.5), (39.5, 49))
OFTEN = ("no", "Sometimes", "Frequently", "Always")
TRANSPORT = ("Public_Transportation", "Automobile", "Walking", "Motorbike", "Bike")


def find_file() -> Path | None:
    """The file beside this module, under TIMONEL_TEST_DATA, or beside the repository."""
    folders = [HERE, HERE / "../../../shared/data/obesity"]
    if root := os.environ.get("TIMONEL_TEST_DATA"):
        folders.insert(1, Path(root) / "obesity")
    return next((f / "obesity.csv" for f in folders if (f / "obesity.csv").is_file()), None)


def read_obesity() -> pl.DataFrame:
    """Read the file as it is; equal rows (24 are copies) never lie on both sides of a split."""
    file = find_file()
    if file is None:
        print(
            "obesity: obesity.csv WAS NOT FOUND. Training on GENERATED rows: their scores say "
            "nothing about people. Put the file (UCI 544) into this folder, or name its parent's "
            "folder in TIMONEL_TEST_DATA.",
            file=sys.stderr,
        )
        return generate()
    return pl.read_csv(file)


def generate(n: int = 2100, seed: int = 42) -> pl.DataFrame:
    """Invent rows of the same form: a class, then a BMI inside it, then habits that lean with it.

    No relation in them was measured. They let the project run where the file is absent.
    """
    rng = random.Random(seed)
    return pl.DataFrame([_person(rng, rng.randrange(len(CLASSES))) for _ in range(n)])


def _person(rng: random.Random, level: int) -> dict[str, object]:
    male = rng.random() < (0.5, 0.5, 0.5, 0.6, 0.55, 0.95, 0.05)[level]
    height = rng.gauss(1.75 if male else 1.63, 0.07)
    bmi = rng.uniform(*BMI[level]) + rng.gauss(0, 0.25)
    heavy = level / 6

    def leaning(share_light: float, share_heavy: float) -> str:
        return "yes" if rng.random() < share_light + (share_heavy - share_light) * heavy else "no"

    return {
        "Gender": "Male" if male else "Female",
        "Age": round(min(61.0, 17 + rng.expovariate(1 / (3 + 8 * heavy))), 2),
        "Height": round(min(1.98, max(1.45, height)), 3),
        "Weight": round(bmi * min(1.98, max(1.45, height)) ** 2, 2),
        "family_history_with_overweight": leaning(0.4, 0.99),
        "FAVC": leaning(0.7, 0.98),
        "FCVC": round(rng.uniform(1 + heavy, 3), 2),
        "NCP": round(rng.choice((1.0, 2.5, 3.0, 3.0, 3.0, 4.0)), 2),
        "CAEC": rng.choices(OFTEN, (1, 8 + 20 * heavy, 4, 1))[0],
        "SMOKE": leaning(0.02, 0.02),
        "CH2O": round(rng.uniform(1, 2.4 + 0.6 * heavy), 2),
        "SCC": leaning(0.1, 0.0),
        "FAF": round(rng.uniform(0, 3 - 1.5 * heavy), 2),
        "TUE": round(rng.uniform(0, 2), 2),
        "CALC": rng.choices(OFTEN, (4, 8 + 6 * heavy, 1, 0.05))[0],
        "MTRANS": rng.choices(TRANSPORT, (12, 4, 1, 0.1, 0.1))[0],
        "NObeyesdad": CLASSES[level],
    }
