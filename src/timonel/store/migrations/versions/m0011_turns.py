"""The number of a unit that was placed in turn (strategy ROUND_ROBIN)."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("experiment_members", sa.Column("turn", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_experiment_members_turn",
        "experiment_members",
        ["project", "experiment", "turn"],
        unique=True,
    )
