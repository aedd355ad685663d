"""Two rankings of a request shown as one list, and clicks on it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "experiment_interleavings",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("experiment", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=256), nullable=False),
        sa.Column("unit_id", sa.String(length=256), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("clicks", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "experiment", "request_id", name=op.f("pk_experiment_interleavings")
        ),
    )
