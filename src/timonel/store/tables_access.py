"""The table of keys. Conventions as in ``tables``; its times are of the real clock."""

from sqlalchemy import (
    BigInteger,
    Column,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from timonel.store.tables import DIGEST, NAME, metadata

access_keys = Table(
    "access_keys",
    metadata,
    Column("project", NAME, nullable=False),
    Column("name", NAME, nullable=False),  # kept for ever: histories name keys
    Column("digest", DIGEST, nullable=False),  # SHA-256 (hex) of the secret, which is nowhere
    Column("role", String(16), nullable=False),
    Column("scopes", Text, nullable=False),  # JSON list, as they are granted
    Column("models", Text, nullable=False),  # JSON list; empty: all
    Column("rate", String(32)),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("revoked_at", BigInteger),
    Column("revoked_by", String(128)),
    Column("last_used_at", BigInteger),  # to some seconds, as servers report it
    PrimaryKeyConstraint("project", "name"),
    UniqueConstraint("project", "digest"),
)
