"""How a row is found by an entity: the declared query, and the parts that drivers are given.

The entity never becomes text of the query. Where the declaration writes ``:id`` the driver gets
its own placeholder, and the value travels beside the statement.
"""

import re
from collections.abc import Sequence

import msgspec

ENTITY = "id"
AS_OF = "as_of"
"""A column of this name says of when a row's data are; without it their age counts from reading."""

# What may hold a colon that begins no parameter comes first: quoted texts and names, PostgreSQL's
# dollar quotes, comments, and casts.
_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?P<quote>\$(?:[A-Za-z_]\w*)?\$).*?(?P=quote)
    | --[^\n]*
    | /\*.*?\*/
    | ::
    | (?<![\w:]):(?P<name>[A-Za-z_]\w*)
    """,
    re.DOTALL | re.VERBOSE,
)


class LookupPlan(msgspec.Struct, frozen=True):
    """A query that gives an entity's row, as serving runs it.

    Parameters
    ----------
    query : str
        With ``:id`` for the entity.
    url : str
        The database: an address without a password, or ``env:NAME``.
    max_age_s : float
        The greatest age of data that are still answered with.
    deadline_ms : float
        A row that is not there by then is answered by the rules.
    """

    query: str
    url: str
    max_age_s: float
    deadline_ms: float


def pieces_of(query: str) -> tuple[list[str], list[str]]:
    """Take a query apart at its named parameters.

    Returns
    -------
    texts : list of str
        One more than there are parameters: what stands before, between and after them.
    names : list of str

    Examples
    --------
    >>> pieces_of("select a::int, ':no' from t where c = :id")
    (["select a::int, ':no' from t where c = ", ''], ['id'])
    """
    texts, names, start = [], [], 0
    for found in _TOKEN.finditer(query):
        if found["name"] is not None:
            texts.append(query[start : found.start()])
            names.append(found["name"])
            start = found.end()
    texts.append(query[start:])
    return texts, names


def with_placeholders(texts: Sequence[str], placeholder: str, *, percent: str = "%") -> str:
    """Write a query for a driver: its placeholder at each parameter, ``%`` as the driver wants."""
    return placeholder.join(text.replace("%", percent) for text in texts)
