"""Which rows came in an hour, as a bitmap of their hashes: how many repeat another one."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "row_windows",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("drainer_id", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("bits", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "model", "hour", "drainer_id", name=op.f("pk_row_windows")
        ),
    )
