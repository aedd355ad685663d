"""Answers of versions that are asked, unheard, after the answer was given."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("predictions", sa.Column("shadow_asked", sa.Boolean(), nullable=True))
    op.create_table(
        "shadow_answers",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("prediction_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("fate", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("latency_us", sa.BigInteger(), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("project", "prediction_id", name=op.f("pk_shadow_answers")),
    )
    op.create_index(
        "ix_shadow_answers_unjoined", "shadow_answers", ["project", "joined", "at"], unique=False
    )
