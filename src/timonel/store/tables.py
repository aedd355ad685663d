"""The tables: one metadata for SQLite and PostgreSQL.

Every table has ``project`` and every unique key includes it. Times are integers, microseconds
since the epoch in UTC: of the event clock where named ``*_at`` of an event, of the database's
clock where named ``ingested_at``/``seen_at``. Documents are canonical JSON text.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

NAME = String(64)
DIGEST = String(64)


def _project() -> Column[str]:
    return Column("project", NAME, nullable=False)


control = Table(
    "control",
    metadata,
    _project(),
    Column("generation", BigInteger, nullable=False),  # raised by every transition
    Column("clock_real_us", BigInteger, nullable=False),  # event time is an affine map of real
    Column("clock_event_us", BigInteger, nullable=False),
    Column("clock_rate", Float, nullable=False),
    Column("timezone", String(64), nullable=False),
    PrimaryKeyConstraint("project"),
)

declarations = Table(
    "declarations",
    metadata,
    _project(),
    Column("model", NAME, nullable=False),
    Column("digest", DIGEST, nullable=False),  # of the manifest below
    Column("manifest", Text, nullable=False),  # a ServingManifest with version ""
    Column("declared_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "model"),
)

model_versions = Table(
    "model_versions",
    metadata,
    _project(),
    Column("model", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    Column("major", Integer, nullable=False),
    Column("minor", Integer, nullable=False),
    Column("patch", Integer, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("parent", String(32)),
    Column("digest", DIGEST, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("schema_digest", DIGEST, nullable=False),
    Column("recipe_digest", DIGEST, nullable=False),
    Column("data_digest", DIGEST, nullable=False),
    Column("version_hash", DIGEST, nullable=False),  # same data, code, recipe and seed: same hash
    Column("metrics", Text, nullable=False),
    Column("lineage", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deployed_at", BigInteger),
    PrimaryKeyConstraint("project", "model", "version"),
)

aliases = Table(
    "aliases",
    metadata,
    _project(),
    Column("model", NAME, nullable=False),
    Column("alias", String(16), nullable=False),  # champion, challenger, previous
    Column("version", String(32), nullable=False),
    PrimaryKeyConstraint("project", "model", "alias"),
)

transitions = Table(
    "transitions",
    metadata,
    _project(),
    Column("seq", BigInteger, nullable=False),
    Column("model", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    Column("from_stage", String(16), nullable=False),
    Column("to_stage", String(16), nullable=False),
    Column("who", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("gates", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("previous_hash", DIGEST, nullable=False),
    Column("hash", DIGEST, nullable=False),
    PrimaryKeyConstraint("project", "seq"),
)

chain_heads = Table(
    "chain_heads",
    metadata,
    _project(),  # the last link of a hash chain: rows cut from its end show too
    Column("chain", String(32), nullable=False),  # transitions
    Column("seq", BigInteger, nullable=False),
    Column("hash", DIGEST, nullable=False),
    PrimaryKeyConstraint("project", "chain"),
)

predictions = Table(
    "predictions",
    metadata,
    _project(),
    Column("prediction_id", Uuid, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("ingested_at", BigInteger, nullable=False),
    Column("model", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    Column("variant", NAME, nullable=False),
    Column("source", String(16), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("key", String(256)),
    Column("unit_id", String(256)),
    Column("generation", BigInteger, nullable=False),
    Column("prediction", Text, nullable=False),  # JSON scalar
    Column("score", Float),
    Column("probabilities", Text),  # JSON object
    Column("explanation", Text),
    Column("latency_us", BigInteger, nullable=False),
    Column("features", Text, nullable=False),  # JSON object
    Column("shadow", Text),  # JSON: what an unheard version would have answered
    Column("drainer_id", String(64), nullable=False),
    Column("data_age_ms", BigInteger),  # of a row that was looked up
    Column("shadow_asked", Boolean),  # its own row is in shadow_answers; false: dropped
    PrimaryKeyConstraint("project", "prediction_id"),
    Index("ix_predictions_model_at", "project", "model", "at"),
)

shadow_answers = Table(
    "shadow_answers",
    metadata,
    _project(),  # of versions asked after the answer was given; joined like outcomes
    Column("prediction_id", Uuid, nullable=False),
    Column("model", NAME, nullable=False),
    Column("variant", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),  # of the request
    Column("fate", String(16), nullable=False),  # answered, late, invalid, failed
    Column("answer", Text),  # JSON scalar, where it answered
    Column("score", Float),
    Column("latency_us", BigInteger, nullable=False),
    Column("joined", Boolean, nullable=False),  # false while its prediction is not known
    Column("drainer_id", String(64), nullable=False),
    PrimaryKeyConstraint("project", "prediction_id"),
    Index("ix_shadow_answers_unjoined", "project", "joined", "at"),
)

prediction_keys = Table(
    "prediction_keys",
    metadata,
    _project(),
    Column("model", NAME, nullable=False),
    Column("key", String(256), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("prediction_id", Uuid, nullable=False),
    PrimaryKeyConstraint("project", "model", "key", "at", "prediction_id"),
)

outcomes = Table(
    "outcomes",
    metadata,
    _project(),
    Column("outcome_id", Uuid, nullable=False),
    Column("model", NAME, nullable=False),
    Column("prediction_id", Uuid),  # as named, or as found by key once joined
    Column("key", String(256)),
    Column("observed_at", BigInteger),
    Column("arrived_at", BigInteger, nullable=False),
    Column("value", Text, nullable=False),  # JSON scalar or null
    Column("origin", String(16), nullable=False),
    Column("state", String(16), nullable=False),  # parked, joined, identical, expired, invalid
    Column("joined", Boolean, nullable=False),  # false while it waits; count by state, not by this
    Column("revision", Integer),  # 1 for the first truth of a prediction
    Column("joined_at", BigInteger),
    Column("problem", Text),  # why the value cannot be used, where state is invalid
    Column("drainer_id", String(64), nullable=False),
    PrimaryKeyConstraint("project", "outcome_id"),
    Index("ix_outcomes_unjoined", "project", "joined", "drainer_id", "outcome_id"),
    Index("ix_outcomes_prediction", "project", "prediction_id"),
)

truths = Table(
    "truths",
    metadata,
    _project(),  # the latest revision of each prediction: the join's guard
    Column("prediction_id", Uuid, nullable=False),
    Column("model", NAME, nullable=False),
    Column("outcome_id", Uuid, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("value", Text, nullable=False),
    Column("arrived_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "prediction_id"),
)

spools = Table(
    "spools",
    metadata,
    _project(),  # how far each spool is drained; commits with the rows
    Column("spool_id", String(32), nullable=False),
    Column("segment", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("drainer_id", String(64), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "spool_id"),
)

drainers = Table(
    "drainers",
    metadata,
    _project(),
    Column("drainer_id", String(64), nullable=False),
    Column("watermark", BigInteger, nullable=False),  # event time up to which it has drained
    Column("seen_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "drainer_id"),
)

minute_windows = Table(
    "minute_windows",
    metadata,
    _project(),  # scalars a minute; a row belongs to one drainer
    Column("model", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    Column("variant", NAME, nullable=False),
    Column("source", String(16), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("minute", BigInteger, nullable=False),  # epoch minutes, UTC
    Column("drainer_id", String(64), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("latency_sum_us", BigInteger, nullable=False),
    Column("latency_histogram", Text, nullable=False),  # JSON list of counts, fixed log edges
    Column("confidence_n", BigInteger, nullable=False),
    Column("confidence_q", Text, nullable=False),  # exact integer, steps of 1e-6
    Column("confidence_q2", Text, nullable=False),
    PrimaryKeyConstraint(
        "project", "model", "version", "variant", "source", "reason", "minute", "drainer_id"
    ),
    Index("ix_minute_windows_model_minute", "project", "model", "minute"),
)

performance_cells = Table(
    "performance_cells",
    metadata,
    _project(),  # exact sums of what outcomes said
    Column("model", NAME, nullable=False),
    Column("version", String(32), nullable=False),
    Column("variant", NAME, nullable=False),
    Column("source", String(16), nullable=False),
    Column("metric", String(32), nullable=False),  # events/plans.py names them
    Column("exposure_hour", BigInteger, nullable=False),
    Column("arrival_hour", BigInteger, nullable=False),
    Column("drainer_id", String(64), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("sum_q", Text, nullable=False),  # exact integers, steps of 1e-6
    Column("sum_q2", Text, nullable=False),
    PrimaryKeyConstraint(
        "project",
        "model",
        "version",
        "variant",
        "source",
        "metric",
        "exposure_hour",
        "arrival_hour",
        "drainer_id",
    ),
)

processes = Table(
    "processes",
    metadata,
    _project(),  # who serves, and with which generation
    Column("process_id", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("host", String(128), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "process_id"),
    UniqueConstraint("project", "host", "pid"),
)

host_readings = Table(
    "host_readings",
    metadata,
    _project(),  # bytes that a host measured; it replaces its rows every few seconds
    Column("owner", String(64), nullable=False),  # who measured: a state folder, or a worker
    Column("name", String(64), nullable=False),  # a process, "@machine" or "@disk"
    Column("host", String(128), nullable=False),
    Column("pid", Integer),
    Column("used", BigInteger, nullable=False),
    Column("allowed", BigInteger),  # null: none is set
    Column("total", BigInteger),
    Column("seen_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project", "owner", "name"),
)
