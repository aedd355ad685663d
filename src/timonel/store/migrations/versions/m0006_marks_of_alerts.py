"""Say of an alert what it was worth."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:

    op.add_column("alerts", sa.Column("mark", sa.String(length=16), nullable=True))
