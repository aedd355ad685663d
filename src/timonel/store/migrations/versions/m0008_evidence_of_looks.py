"""What each look at an experiment was fed, so that it can be recomputed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("experiment_looks", sa.Column("evidence", sa.Text(), nullable=True))
