"""What answers when no model can: the body-mass index, from weight and height and nothing else."""

from typing import Any

from timonel import Answer

# The class up to (and without) each index, in kg/m2: the limits of the World Health Organization,
# with overweight split in the middle.
LIMITS = (
    (18.5, "Insufficient_Weight"),
    (25.0, "Normal_Weight"),
    (27.5, "Overweight_Level_I"),
    (30.0, "Overweight_Level_II"),
    (35.0, "Obesity_Type_I"),
    (40.0, "Obesity_Type_II"),
)
ABOVE = "Obesity_Type_III"


def bmi_rule(row: dict[str, Any]) -> Answer:
    """The class by body-mass index. No score: a limit is no probability."""
    bmi = row["Weight"] / row["Height"] ** 2
    label = next((name for limit, name in LIMITS if bmi < limit), ABOVE)
    return Answer(prediction=label, explanation=f"body-mass index {bmi:.1f} kg/m2")
