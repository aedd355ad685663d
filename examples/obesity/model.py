"""The obesity level of a person, twice: from all sixteen inputs, and from habits alone.

Weight and height all but determine the level, which is defined by them. The second model shows
what the rest is worth.
"""

from data import read_obesity

from timonel import Category, Model, Number, Outcome, Policy, Schema, recipes


def yes_no(name: str) -> Category:
    return Category(name, ["yes", "no"])


def how_often(name: str) -> Category:
    return Category(name, ["no", "Sometimes", "Frequently", "Always"])


gender = Category("Gender", ["Female", "Male"])
age = Number("Age", ge=10, le=100, unit="year")
body = (
    Number("Height", ge=1.0, le=2.5, unit="m"),
    Number("Weight", ge=30, le=200, unit="kg"),
)
habits = (
    yes_no("family_history_with_overweight"),
    yes_no("FAVC"),  # often eats food rich in calories
    Number("FCVC", ge=1, le=3),  # vegetables
    Number("NCP", ge=1, le=4),  # main meals a day
    how_often("CAEC"),  # eats between meals
    yes_no("SMOKE"),
    Number("CH2O", ge=0, le=5, unit="litre"),
    yes_no("SCC"),  # counts calories
    Number("FAF", ge=0, le=5),  # physical activity
    Number("TUE", ge=0, le=5),  # time with screens
    how_often("CALC"),  # alcohol
    Category(
        "MTRANS",
        ["Automobile", "Motorbike", "Bike", "Public_Transportation", "Walking"],
        aliases={"Public Transportation": "Public_Transportation"},
    ),
)

obesity = Model(
    name="obesity",
    task="multiclass",
    target="NObeyesdad",
    schema=Schema(gender, age, *body, *habits),
    source=read_obesity,
    recipe=recipes.xgboost(),
    fallback="rules:bmi_rule",
    outcome=Outcome(key="patient_id", horizon="30d"),
    outcome_depends_on_action=False,
    policy=Policy(min_accuracy=0.88, min_samples=200),
)

# No rules: without weight and height there is no index, and none is made up.
obesity_habits = Model(
    name="obesity_habits",
    task="multiclass",
    target="NObeyesdad",
    schema=Schema(gender, age, *habits),
    source=read_obesity,
    recipe=recipes.xgboost(),
    outcome=Outcome(key="patient_id", horizon="30d"),
    outcome_depends_on_action=False,
    policy=Policy(min_samples=200),
)
