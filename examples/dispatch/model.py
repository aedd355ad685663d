"""Will sending the nearest ambulance be a good assignment? Thirteen figures known when the call
comes; `was_optimal` is known later: arrived within 540 s, with an adequate crew.

How long it took, how far it drove and how people rated it are outcomes. They are not inputs, and
the schema would refuse them.
"""

from timonel import Model, Number, Outcome, Policy, Schema, recipes
from timonel.simulate.history import history


def count(name: str) -> Number:
    return Number(name, ge=0, le=1000, integer=True)


schema = Schema(
    Number("severity_level", ge=1, le=5, integer=True),
    Number("hour_of_day", ge=0, le=23, integer=True),
    Number("day_of_week", ge=0, le=6, integer=True),  # 0 is Monday
    Number("is_weekend", ge=0, le=1, integer=True),
    count("available_ambulances_count"),
    Number("nearest_ambulance_distance_km", ge=0, le=15, unit="km"),
    count("paramedics_available_count"),
    count("paramedics_senior_count"),
    count("paramedics_junior_count"),
    count("nurses_available_count"),
    count("active_dispatches_count"),
    Number("ambulances_busy_percentage", ge=0, le=1),  # a share, whatever its name says
    Number("average_response_time_minutes", ge=0, le=600, unit="minute"),
)


def read_history():
    """20,000 calls of the simulated city: about five and a half weeks, the same every time."""
    return history(20_000, seed=42)


dispatch = Model(
    name="dispatch",
    task="binary",
    target="was_optimal",
    schema=schema,
    source=read_history,
    recipe=recipes.xgboost(),
    fallback="rules:assign_or_review",
    positive=1,
    time="requested_at",  # the holdout is the newest part
    outcome=Outcome(key="dispatch_id", horizon="2d"),
    # REVIEW calls a supervisor to the screen; the ambulance leaves either way.
    outcome_depends_on_action=False,
    policy=Policy(min_accuracy=0.88, min_samples=200, approval="manual"),
)
