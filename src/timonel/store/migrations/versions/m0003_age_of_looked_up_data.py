"""Say of a prediction how old the data were that were looked up for it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:

    op.add_column("predictions", sa.Column("data_age_ms", sa.BigInteger(), nullable=True))
