"""What truths said of stated probabilities, by hour of prediction and by hour of arrival."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "score_windows",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("axis", sa.String(length=16), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.Column("sums", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project",
            "model",
            "version",
            "variant",
            "source",
            "axis",
            "hour",
            "drainer_id",
            name=op.f("pk_score_windows"),
        ),
    )
