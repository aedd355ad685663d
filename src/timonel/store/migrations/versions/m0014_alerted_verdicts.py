"""An index of the verdicts that alerted: every check asks for them, and they are few."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    alerted = sa.text("state = 'alert'")
    op.create_index(
        "ix_verdicts_alerts",
        "verdicts",
        ["project", "model", "window_start"],
        unique=False,
        sqlite_where=alerted,
        postgresql_where=alerted,
    )
