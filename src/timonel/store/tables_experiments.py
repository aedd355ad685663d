"""The tables of experiments: what is compared, who was exposed, and the sums looked at.

Conventions as in ``tables``. Slots are hours since the epoch (UTC, event time).
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from timonel.store.tables import NAME, metadata


def _project() -> Column[str]:
    return Column("project", NAME, nullable=False)


experiments = Table(
    "experiments",
    metadata,
    _project(),
    Column("name", NAME, nullable=False),
    Column("model", NAME, nullable=False),
    Column("state", String(16), nullable=False),  # draft, active, paused, completed
    Column("design", Text, nullable=False),  # timonel.experiments.design.Design as JSON
    Column("weights", Text, nullable=False),  # JSON list: the shares in force, control first
    Column("phase", Integer, nullable=False),  # counts up with every change of the shares
    Column("revised", BigInteger, nullable=False),  # raised where a closed cell changed
    Column("created_by", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("verdict", String(32)),  # the one it ended with
    Column("revision", Integer, nullable=False),  # optimistic lock
    PrimaryKeyConstraint("project", "name"),
    Index("ix_experiments_state", "project", "state", "model"),
)

experiment_arms = Table(
    "experiment_arms",
    metadata,
    _project(),  # versions that workers keep loaded, while an experiment runs or is paused
    Column("experiment", NAME, nullable=False),
    Column("arm", String(24), nullable=False),
    Column("model", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    PrimaryKeyConstraint("project", "experiment", "arm"),
)

experiment_phases = Table(
    "experiment_phases",
    metadata,
    _project(),  # a phase has constant shares; a frame's generation tells its phase
    Column("experiment", NAME, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),  # from this one on
    Column("weights", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "experiment", "phase"),
)

experiment_events = Table(
    "experiment_events",
    metadata,
    _project(),  # who did what, when and why
    Column("experiment", NAME, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("action", String(32), nullable=False),
    Column("who", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("facts", Text, nullable=False),
    PrimaryKeyConstraint("project", "experiment", "seq"),
)

experiment_cells = Table(
    "experiment_cells",
    metadata,
    _project(),  # exact sums of one arm's values; a row belongs to one drainer
    Column("experiment", NAME, nullable=False),
    Column("arrival_slot", BigInteger, nullable=False),  # before the rest: closed cells lie apart
    Column("arrival_span", Integer, nullable=False),  # hours: 1, or 24 where the label was late
    Column("exposure_slot", BigInteger, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("arm", String(24), nullable=False),
    Column("metric", String(160), nullable=False),
    Column("drainer_id", String(64), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("sum_q", Text, nullable=False),  # exact integers, steps of 1e-6
    Column("sum_q2", Text, nullable=False),
    Column("sum_x", Text, nullable=False),  # of the second number of a pair (ratios), else 0
    Column("sum_x2", Text, nullable=False),
    Column("sum_qx", Text, nullable=False),
    PrimaryKeyConstraint(
        "project",
        "experiment",
        "arrival_slot",
        "arrival_span",
        "exposure_slot",
        "phase",
        "arm",
        "metric",
        "drainer_id",
    ),
)

experiment_units = Table(
    "experiment_units",
    metadata,
    _project(),  # one row a unit, phase and metric; "exposed" is the evidence of its assignment
    Column("experiment", NAME, nullable=False),
    Column("unit_id", String(256), nullable=False),
    Column("phase", Integer, nullable=False),
    Column("metric", String(160), nullable=False),
    Column("arm", String(24), nullable=False),
    Column("first_slot", BigInteger, nullable=False),  # hour of the unit's first exposure
    Column("x", Text, nullable=False),  # how many values
    Column("q", Text, nullable=False),  # their sum, in steps
    PrimaryKeyConstraint("project", "experiment", "unit_id", "phase", "metric"),
)

experiment_totals = Table(
    "experiment_totals",
    metadata,
    _project(),  # what closed cells said: final, so that a look reads open cells only
    Column("experiment", NAME, nullable=False),
    Column("revised", BigInteger, nullable=False),  # of the experiment, when this was summed
    Column("closed_until", BigInteger, nullable=False),  # arrival slots before this are in here
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("project", "experiment"),
)

experiment_looks = Table(
    "experiment_looks",
    metadata,
    _project(),  # a look is an act: pages and routes read the last one
    Column("experiment", NAME, nullable=False),
    Column("look", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("effect", Float),
    Column("e_value", Float),
    Column("p_value", Float),
    Column("document", Text, nullable=False),  # timonel.experiments.judging.look.Look as JSON
    Column("evidence", Text),  # what was judged, as JSON; null: a look from before it was kept
    PrimaryKeyConstraint("project", "experiment", "look"),
)

experiment_members = Table(
    "experiment_members",
    metadata,
    _project(),  # units assigned one by one: business experiments, overrides, round robin
    Column("experiment", NAME, nullable=False),
    Column("unit_id", String(256), nullable=False),
    Column("arm", String(24), nullable=False),
    Column("origin", String(16), nullable=False),  # list, override, round_robin
    Column("at", BigInteger, nullable=False),
    Column("covariate", Float),  # what was known of the unit before
    Column("turn", BigInteger),  # which of those placed in turn it was, from 0
    PrimaryKeyConstraint("project", "experiment", "unit_id"),
    # the guard of turns: no two units have the same (to SQL Server, two nulls are the same)
    Index(
        "ix_experiment_members_turn",
        "project",
        "experiment",
        "turn",
        unique=True,
        mssql_where=text("turn IS NOT NULL"),
    ),
)

experiment_interleavings = Table(
    "experiment_interleavings",
    metadata,
    _project(),  # a row a request: the rankings, the list that was shown, and clicks on it
    Column("experiment", NAME, nullable=False),
    Column("request_id", String(256), nullable=False),
    Column("unit_id", String(256), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),  # timonel.experiments.rankings.service.Shown as JSON
    Column("clicks", Text, nullable=False),  # JSON list of [place in the list, when]
    PrimaryKeyConstraint("project", "experiment", "request_id"),
)
