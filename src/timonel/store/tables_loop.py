"""The tables of the loop: what is watched, alerted, and worked on. Conventions as in ``tables``."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnClause,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    literal_column,
    text,
)

from timonel.store.tables import DIGEST, NAME, metadata

NEVER_AGAIN = 2**62
"""The ``next_at`` of a message that is given up."""
AN_ALERT: ColumnClause[str] = literal_column("'alert'")
"""A verdict's state, spelled out: SQLite uses a partial index for no bound value."""


def _project() -> Column[str]:
    return Column("project", NAME, nullable=False)


profiles = Table(
    "profiles",
    metadata,
    _project(),  # reference profiles; a version with an unchanged schema keeps its edges
    Column("profile_id", DIGEST, nullable=False),  # sha256 of the document
    Column("model", NAME, nullable=False),
    Column("document", Text, nullable=False),  # timonel.stats.drift.Profile as JSON
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "profile_id"),
)

column_windows = Table(
    "column_windows",
    metadata,
    _project(),  # counts on the profile's edges, an hour; a row belongs to one drainer
    Column("model", NAME, nullable=False),
    Column("profile_id", DIGEST, nullable=False),
    Column("version", String(32), nullable=False),  # "" answered by rules or baseline
    Column("variant", NAME, nullable=False),
    Column("hour", BigInteger, nullable=False),  # epoch hours of event time, UTC
    Column("drainer_id", String(64), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),  # JSON, zero-suppressed, all columns
    Column("updated_at", BigInteger, nullable=False),  # event time of the last row: "revised"
    PrimaryKeyConstraint(
        "project", "model", "profile_id", "version", "variant", "hour", "drainer_id"
    ),
    Index("ix_column_windows_model_hour", "project", "model", "hour"),
)

verdicts = Table(
    "verdicts",
    metadata,
    _project(),  # what a check said of a window
    Column("model", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    Column("monitor", String(32), nullable=False),  # feature_drift, prediction_drift, performance
    Column("subject", String(256), nullable=False),  # column or metric; "" for the window
    Column("window_start", BigInteger, nullable=False),
    Column("window_end", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # ok, warning, alert, not_enough, unknown
    Column("n", BigInteger, nullable=False),
    Column("statistic", Float),
    Column("p_value", Float),
    Column("effect", Float),
    Column("facts", Text, nullable=False),  # JSON
    Column("judged_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "model", "version", "monitor", "subject", "window_start"),
    Index("ix_verdicts_model_start", "project", "model", "window_start"),
    # alerts are few among verdicts, and every check asks for those of the last weeks
    Index(
        "ix_verdicts_alerts",
        "project",
        "model",
        "window_start",
        sqlite_where=text("state = 'alert'"),
        postgresql_where=text("state = 'alert'"),
    ),
)

health_checks = Table(
    "health_checks",
    metadata,
    _project(),
    Column("at", BigInteger, nullable=False),
    Column("dimension", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("facts", Text, nullable=False),
    PrimaryKeyConstraint("project", "at", "dimension"),
)

alerts = Table(
    "alerts",
    metadata,
    _project(),
    Column("alert_id", BigInteger, nullable=False),  # counts up a project
    Column("fingerprint", String(512), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("model", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    Column("monitor", String(32), nullable=False),
    Column("column_name", String(256), nullable=False),
    Column("state", String(16), nullable=False),  # pending, firing, acknowledged, resolved
    Column("active", Boolean),  # true until resolved, then null: one active a fingerprint
    Column("facts", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("fired_at", BigInteger),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("n_seen", Integer, nullable=False),
    Column("n_clear", Integer, nullable=False),  # clear in a row
    Column("notified_at", BigInteger),  # when channels were last told; null: never
    Column("silenced_until", BigInteger),
    Column("resolved_at", BigInteger),
    Column("resolved_by", String(128)),
    Column("note", Text),
    Column("revision", Integer, nullable=False),  # optimistic lock
    Column("mark", String(16)),  # useful, false_alarm; null: nobody has said
    PrimaryKeyConstraint("project", "alert_id"),
    UniqueConstraint("project", "fingerprint", "active"),
    Index("ix_alerts_state", "project", "state", "opened_at"),
)

alert_events = Table(
    "alert_events",
    metadata,
    _project(),  # the life of each alert
    Column("alert_id", BigInteger, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("from_state", String(16), nullable=False),
    Column("to_state", String(16), nullable=False),
    Column("who", String(128), nullable=False),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("project", "alert_id", "seq"),
)

alert_channels = Table(
    "alert_channels",
    metadata,
    _project(),
    Column("name", NAME, nullable=False),
    Column("kind", String(16), nullable=False),  # log, webhook, slack
    Column("options", Text, nullable=False),  # JSON; secrets by the environment's name only
    Column("min_severity", String(16), nullable=False),
    Column("language", String(2), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "name"),
)

alert_outbox = Table(
    "alert_outbox",
    metadata,
    _project(),  # written with the transition, delivered afterwards, at least once
    Column("message_id", Uuid, nullable=False),  # the idempotency key
    Column("alert_id", BigInteger, nullable=False),
    Column("channel", NAME, nullable=False),
    Column("event", String(16), nullable=False),  # firing, resolved
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),  # of the database's clock
    Column("delivered_at", BigInteger),
    Column("error", Text),
    PrimaryKeyConstraint("project", "message_id"),
    Index("ix_alert_outbox_due", "project", "delivered_at", "next_at"),
)

jobs = Table(
    "jobs",
    metadata,
    _project(),
    Column("job_id", Uuid, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("model", NAME, nullable=False),  # "" where it concerns none
    Column("payload", Text, nullable=False),
    Column("state", String(16), nullable=False),  # queued, running, succeeded, failed, cancelled
    Column("unique_key", String(256)),  # one active job a key: a retraining a model, a cron tick
    Column("active", Boolean),  # true until ended, then null
    Column("requested_by", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),  # event clock
    Column("run_at", BigInteger, nullable=False),  # not before; database clock
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("owner", String(128)),
    Column("token", BigInteger, nullable=False),  # fencing: raised by every claim
    Column("lease_until", BigInteger),  # database clock
    Column("cancel_requested", Boolean, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("result", Text),  # JSON
    Column("error", Text),  # problem document
    PrimaryKeyConstraint("project", "job_id"),
    UniqueConstraint("project", "unique_key", "active"),
    Index("ix_jobs_due", "project", "state", "run_at"),
    Index("ix_jobs_model", "project", "model", "created_at"),
)

job_steps = Table(
    "job_steps",
    metadata,
    _project(),
    Column("job_id", Uuid, nullable=False),
    Column("position", Integer, nullable=False),
    Column("step", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # running, done, failed
    Column("attempt", Integer, nullable=False),
    Column("output", Text),  # JSON; large ones as artifact references
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("error", Text),
    PrimaryKeyConstraint("project", "job_id", "position"),
)

schedules = Table(
    "schedules",
    metadata,
    _project(),
    Column("name", String(128), nullable=False),  # "retrain:churn"
    Column("cron", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("model", NAME, nullable=False),
    Column("payload", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("last_tick", String(32)),  # local date and time, the key of the tick
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "name"),
)

comparisons = Table(
    "comparisons",
    metadata,
    _project(),  # each published look at a candidate against the champion spends some alpha
    Column("model", NAME, nullable=False),
    Column("candidate", String(32), nullable=False),
    Column("champion", String(32), nullable=False),
    Column("look", Integer, nullable=False),  # j-th candidate since the last promotion
    Column("alpha", Float, nullable=False),
    Column("verdict", String(16), nullable=False),  # PASS, FAIL, UNDECIDED
    Column("newest_row_at", BigInteger, nullable=False),  # the next one looks at newer rows only
    Column("facts", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "model", "candidate", "champion"),
)

row_windows = Table(
    "row_windows",
    metadata,
    _project(),  # which rows came, an hour; a row belongs to one drainer
    Column("model", NAME, nullable=False),
    Column("hour", BigInteger, nullable=False),  # epoch hours of event time, UTC
    Column("drainer_id", String(64), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("bits", Text, nullable=False),  # timonel.stats.multivariate.repeats
    PrimaryKeyConstraint("project", "model", "hour", "drainer_id"),
)

score_windows = Table(
    "score_windows",
    metadata,
    _project(),  # what truths said of stated probabilities, an hour; a row belongs to one drainer
    Column("model", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    Column("variant", NAME, nullable=False),
    Column("source", String(16), nullable=False),
    Column("axis", String(16), nullable=False),  # "prediction" or "arrival": what the hour is of
    Column("hour", BigInteger, nullable=False),  # epoch hours of event time, UTC
    Column("drainer_id", String(64), nullable=False),
    Column("sums", Text, nullable=False),  # timonel.stats.calibration.scored.ScoreSums as JSON
    PrimaryKeyConstraint(
        "project", "model", "version", "variant", "source", "axis", "hour", "drainer_id"
    ),
)

window_figures = Table(
    "window_figures",
    metadata,
    _project(),  # what a judged window's tests gave, on which later ones are calibrated
    Column("model", NAME, nullable=False),
    Column("profile_id", DIGEST, nullable=False),  # the reference they were held against
    Column("span_h", Integer, nullable=False),  # nominal: a day may have 23 or 25 hours
    Column("window_start", BigInteger, nullable=False),
    Column("window_end", BigInteger, nullable=False),
    Column("dispersions", Text, nullable=False),  # JSON, in the order of the profile's columns
    Column("effects", Text, nullable=False),  # JSON, as above, by test
    Column("found", Text, nullable=False),  # JSON: columns warned of, columns alerted
    PrimaryKeyConstraint("project", "model", "profile_id", "span_h", "window_start"),
)

normal_times = Table(
    "normal_times",
    metadata,
    _project(),  # stretches that a person called normal, whatever was found in them
    Column("model", NAME, nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("note", Text, nullable=False),
    Column("marked_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "model", "start_at", "end_at"),
)

refusal_windows = Table(
    "refusal_windows",
    metadata,
    _project(),  # rows that were not answered, a minute; a row belongs to one drainer
    Column("model", NAME, nullable=False),
    Column("code", String(32), nullable=False),  # of the problem document
    Column("minute", BigInteger, nullable=False),  # epoch minutes, UTC
    Column("drainer_id", String(64), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("fields", Text, nullable=False),  # JSON: rows at fault by field
    PrimaryKeyConstraint("project", "model", "code", "minute", "drainer_id"),
)

metric_cells = Table(
    "metric_cells",
    metadata,
    _project(),  # what the project itself recorded, a minute; a row belongs to one drainer
    Column("name", NAME, nullable=False),
    Column("labels", String(768), nullable=False),  # JSON, by name
    Column("minute", BigInteger, nullable=False),  # epoch minutes of event time, UTC
    Column("drainer_id", String(64), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("sum_q", Text, nullable=False),  # exact integers, steps of 1e-6
    Column("sum_q2", Text, nullable=False),
    Column("low", BigInteger, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),  # JSON: values by the upper edge of their bucket
    PrimaryKeyConstraint("project", "name", "labels", "minute", "drainer_id"),
    Index("ix_metric_cells_minute", "project", "minute"),
)

metric_totals = Table(
    "metric_totals",
    metadata,
    _project(),  # all that was ever recorded of a series, for scrapers; and which there are
    Column("name", NAME, nullable=False),
    Column("labels", String(768), nullable=False),
    Column("drainer_id", String(64), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("sum_q", Text, nullable=False),
    Column("bins", Text, nullable=False),  # JSON list of counts between fixed edges
    PrimaryKeyConstraint("project", "name", "labels", "drainer_id"),
)
