"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "aliases",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("alias", sa.String(length=16), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("project", "model", "alias", name=op.f("pk_aliases")),
    )
    op.create_table(
        "chain_heads",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("chain", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("project", "chain", name=op.f("pk_chain_heads")),
    )
    op.create_table(
        "control",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("clock_real_us", sa.BigInteger(), nullable=False),
        sa.Column("clock_event_us", sa.BigInteger(), nullable=False),
        sa.Column("clock_rate", sa.Float(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_control")),
    )
    op.create_table(
        "declarations",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("declared_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "model", name=op.f("pk_declarations")),
    )
    op.create_table(
        "drainers",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.Column("watermark", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "drainer_id", name=op.f("pk_drainers")),
    )
    op.create_table(
        "minute_windows",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("latency_sum_us", sa.BigInteger(), nullable=False),
        sa.Column("latency_histogram", sa.Text(), nullable=False),
        sa.Column("confidence_n", sa.BigInteger(), nullable=False),
        sa.Column("confidence_q", sa.Text(), nullable=False),
        sa.Column("confidence_q2", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project",
            "model",
            "version",
            "variant",
            "source",
            "reason",
            "minute",
            "drainer_id",
            name=op.f("pk_minute_windows"),
        ),
    )
    op.create_table(
        "model_versions",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("major", sa.Integer(), nullable=False),
        sa.Column("minor", sa.Integer(), nullable=False),
        sa.Column("patch", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("parent", sa.String(length=32), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("schema_digest", sa.String(length=64), nullable=False),
        sa.Column("recipe_digest", sa.String(length=64), nullable=False),
        sa.Column("data_digest", sa.String(length=64), nullable=False),
        sa.Column("version_hash", sa.String(length=64), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("lineage", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deployed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project", "model", "version", name=op.f("pk_model_versions")),
    )
    op.create_table(
        "outcomes",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("outcome_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("prediction_id", sa.Uuid(), nullable=True),
        sa.Column("key", sa.String(length=256), nullable=True),
        sa.Column("observed_at", sa.BigInteger(), nullable=True),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("joined_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("project", "outcome_id", name=op.f("pk_outcomes")),
    )
    op.create_index(
        "ix_outcomes_prediction", "outcomes", ["project", "prediction_id"], unique=False
    )
    op.create_index(
        "ix_outcomes_unjoined",
        "outcomes",
        ["project", "joined", "drainer_id", "outcome_id"],
        unique=False,
    )
    op.create_table(
        "performance_cells",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("metric", sa.String(length=32), nullable=False),
        sa.Column("exposure_hour", sa.BigInteger(), nullable=False),
        sa.Column("arrival_hour", sa.BigInteger(), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("sum_q", sa.Text(), nullable=False),
        sa.Column("sum_q2", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project",
            "model",
            "version",
            "variant",
            "source",
            "metric",
            "exposure_hour",
            "arrival_hour",
            "drainer_id",
            name=op.f("pk_performance_cells"),
        ),
    )
    op.create_table(
        "prediction_keys",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("prediction_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "model", "key", "at", "prediction_id", name=op.f("pk_prediction_keys")
        ),
    )
    op.create_table(
        "predictions",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("prediction_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ingested_at", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("key", sa.String(length=256), nullable=True),
        sa.Column("unit_id", sa.String(length=256), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("prediction", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("probabilities", sa.Text(), nullable=True),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("latency_us", sa.BigInteger(), nullable=False),
        sa.Column("features", sa.Text(), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("project", "prediction_id", name=op.f("pk_predictions")),
    )
    op.create_index(
        "ix_predictions_model_at", "predictions", ["project", "model", "at"], unique=False
    )
    op.create_table(
        "processes",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("process_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "process_id", name=op.f("pk_processes")),
        sa.UniqueConstraint("project", "host", "pid", name=op.f("uq_processes_project_host_pid")),
    )
    op.create_table(
        "spools",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("spool_id", sa.String(length=32), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "spool_id", name=op.f("pk_spools")),
    )
    op.create_table(
        "transitions",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("from_stage", sa.String(length=16), nullable=False),
        sa.Column("to_stage", sa.String(length=16), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("gates", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("project", "seq", name=op.f("pk_transitions")),
    )
    op.create_table(
        "truths",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("prediction_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("outcome_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "prediction_id", name=op.f("pk_truths")),
    )
