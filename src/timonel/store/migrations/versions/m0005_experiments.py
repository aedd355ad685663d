"""The tables of experiments, and what an unheard version would have answered."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:

    op.create_table(
        "experiment_arms",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("arm", sa.String(length=24), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("project", "experiment", "arm", name=op.f("pk_experiment_arms")),
    )
    op.create_table(
        "experiment_cells",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("arrival_slot", sa.BigInteger(), nullable=False),
        sa.Column("arrival_span", sa.Integer(), nullable=False),
        sa.Column("exposure_slot", sa.BigInteger(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("arm", sa.String(length=24), nullable=False),
        sa.Column("metric", sa.String(length=160), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("sum_q", sa.Text(), nullable=False),
        sa.Column("sum_q2", sa.Text(), nullable=False),
        sa.Column("sum_x", sa.Text(), nullable=False),
        sa.Column("sum_x2", sa.Text(), nullable=False),
        sa.Column("sum_qx", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project",
            "experiment",
            "arrival_slot",
            "arrival_span",
            "exposure_slot",
            "phase",
            "arm",
            "metric",
            "drainer_id",
            name=op.f("pk_experiment_cells"),
        ),
    )
    op.create_table(
        "experiment_events",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("who", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project", "experiment", "seq", name=op.f("pk_experiment_events")),
    )
    op.create_table(
        "experiment_looks",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("look", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=False),
        sa.Column("effect", sa.Float(), nullable=True),
        sa.Column("e_value", sa.Float(), nullable=True),
        sa.Column("p_value", sa.Float(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project", "experiment", "look", name=op.f("pk_experiment_looks")),
    )
    op.create_table(
        "experiment_members",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("unit_id", sa.String(length=256), nullable=False),
        sa.Column("arm", sa.String(length=24), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("covariate", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint(
            "project", "experiment", "unit_id", name=op.f("pk_experiment_members")
        ),
    )
    op.create_table(
        "experiment_phases",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("weights", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "experiment", "phase", name=op.f("pk_experiment_phases")
        ),
    )
    op.create_table(
        "experiment_totals",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("revised", sa.BigInteger(), nullable=False),
        sa.Column("closed_until", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project", "experiment", name=op.f("pk_experiment_totals")),
    )
    op.create_table(
        "experiment_units",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("unit_id", sa.String(length=256), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(length=160), nullable=False),
        sa.Column("arm", sa.String(length=24), nullable=False),
        sa.Column("first_slot", sa.BigInteger(), nullable=False),
        sa.Column("x", sa.Text(), nullable=False),
        sa.Column("q", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "experiment", "unit_id", "phase", "metric", name=op.f("pk_experiment_units")
        ),
    )
    op.create_table(
        "experiments",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("design", sa.Text(), nullable=False),
        sa.Column("weights", sa.Text(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("revised", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.String(length=32), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project", "name", name=op.f("pk_experiments")),
    )
    op.create_index(
        "ix_experiments_state", "experiments", ["project", "state", "model"], unique=False
    )
    op.add_column("predictions", sa.Column("shadow", sa.Text(), nullable=True))
