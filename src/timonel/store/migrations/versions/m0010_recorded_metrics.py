"""A project's own metrics: minutes and totals."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "metric_cells",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.String(length=768), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("sum_q", sa.Text(), nullable=False),
        sa.Column("sum_q2", sa.Text(), nullable=False),
        sa.Column("low", sa.BigInteger(), nullable=False),
        sa.Column("high", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "name", "labels", "minute", "drainer_id", name=op.f("pk_metric_cells")
        ),
    )
    op.create_index("ix_metric_cells_minute", "metric_cells", ["project", "minute"])
    op.create_table(
        "metric_totals",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.String(length=768), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("sum_q", sa.Text(), nullable=False),
        sa.Column("bins", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "name", "labels", "drainer_id", name=op.f("pk_metric_totals")
        ),
    )
