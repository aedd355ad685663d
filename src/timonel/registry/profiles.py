"""Reference profiles: what a version learned from and what it answered, as counts; immutable."""

import msgspec
from sqlalchemy import Connection, select

from timonel.stats.profiles.profile import Profile
from timonel.store.keyed import write_keyed
from timonel.store.tables_loop import profiles


def keep_profile(
    connection: Connection, project: str, model: str, profile: Profile, at_us: int
) -> str:
    """Store a profile under its id (its digest), which is given back; again changes nothing."""
    profile_id = profile.digest()
    document = msgspec.json.encode(profile.to_json(), order="deterministic").decode()
    # replaced by the same bytes where it is there: two may train the same at once
    write_keyed(connection, profiles, 2, [(project, profile_id, model, document, at_us)])
    return profile_id


def read_profile(connection: Connection, project: str, profile_id: str) -> Profile | None:
    """Read a profile by its id; None where there is none."""
    p = profiles.c
    document = connection.scalar(
        select(p.document).where(p.project == project, p.profile_id == profile_id)
    )
    return None if document is None else Profile.from_json(document)
