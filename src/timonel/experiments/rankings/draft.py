"""Team-draft interleaving: two rankings of one request become one list, and clicks credit a team.

Pure. Source: F. Radlinski, M. Kurup, T. Joachims, CIKM 2008, algorithm 2 ("How does clickthrough
data reflect retrieval quality?").
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

MOST_ITEMS = 200
CONTROL, TREATMENT, NEITHER = "0", "1", "-"  # whose an item is, a sign each
_BYTES = 64


class Draft(NamedTuple):
    """A list to show, and the team of each of its items, a sign an item."""

    items: tuple[str, ...]
    teams: str


def coins_of(salt: str, unit: str, request: str) -> int:
    """Give the coins of a request: the same in every process and release.

    Notes
    -----
    512 bits of ``blake2b``, the lowest tossed first. Lengths stand before the parts, so that no two
    requests share a text.
    """
    text = "".join(f"{len(part)}:{part}" for part in (salt, unit, request))
    return int.from_bytes(blake2b(text.encode(), digest_size=_BYTES).digest())


def team_draft(
    control: Sequence[str], treatment: Sequence[str], coins: int, length: int | None = None
) -> Draft:
    """Interleave two rankings.

    Parameters
    ----------
    control, treatment : sequence of str
        Best first, each item once within its ranking; at most ``MOST_ITEMS``.
    coins : int
        Who picks first in each round, a bit a round, the lowest first; see ``coins_of``.
    length : int or None
        The most items to show; None: all.

    Returns
    -------
    Draft
        Each item once. In each round both teams pick their best item that is not taken, the coin
        says who begins: so no prefix has two items more of one team than of the other. Where one
        ranking has nothing left to pick, drafting ends (a round that was begun is ended first, if
        it can be); what the other still has follows in its order and is nobody's.

    Examples
    --------
    >>> team_draft(["a", "b", "c"], ["b", "d", "a"], 0b01)
    Draft(items=('b', 'a', 'c', 'd'), teams='1001')
    """
    rankings = (control, treatment)
    most = len(set(control) | set(treatment)) if length is None else length
    items: list[str] = []
    taken: set[str] = set()
    teams: list[str] = []
    sizes, places = [0, 0], [0, 0]
    while len(items) < most:
        for side in (0, 1):
            while places[side] < len(rankings[side]) and rankings[side][places[side]] in taken:
                places[side] += 1
        spent = [places[side] == len(rankings[side]) for side in (0, 1)]
        if sizes[0] == sizes[1]:
            if any(spent):
                break
            side, coins = coins & 1, coins >> 1
        else:
            side = int(sizes[1] < sizes[0])
            if spent[side]:
                break
        item = rankings[side][places[side]]
        items.append(item)
        taken.add(item)
        teams.append((CONTROL, TREATMENT)[side])
        sizes[side] += 1
    rest = [item for ranking in rankings for item in ranking if item not in taken]
    rest = rest[: max(0, most - len(items))]
    return Draft((*items, *rest), "".join(teams) + NEITHER * len(rest))


def credit(teams: str, clicked: Iterable[int]) -> int:
    """Give how many clicked items the treatment's team has more than the control's.

    Parameters
    ----------
    clicked : iterable of int
        Places in the list; a place counts once.
    """
    chosen = [teams[place] for place in set(clicked)]
    return chosen.count(TREATMENT) - chosen.count(CONTROL)
