"""Rates are exact over threads and processes, and last uses are known."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import time

import pytest

from timonel.access import usage
from timonel.access.callers import Caller, Key, Rate, Role, digest_of
from timonel.access.errors import InvalidKey
from timonel.access.usage import KeyUsage


def key(name: str, rate: Rate | None = None) -> Key:
    return Key(Caller(name, Role.VIEWER, frozenset()), digest_of(name.encode()), None, rate)


def take_many(path: Path, name: str, n: int) -> int:
    """Give how many of ``n`` requests had room; 100 a day, so nothing is refilled meanwhile."""
    uses = KeyUsage(path)
    room = sum(uses.take(key(name, Rate(100, 86_400))) == 0 for _ in range(n))
    uses.close()
    return room


def test_a_limit_is_exact_over_processes(tmp_path: Path) -> None:
    path = tmp_path / "run" / "keys"
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        asked = [pool.submit(take_many, path, name, 90) for name in ("a", "b") for _ in range(3)]
        room = [done.result() for done in asked]
    assert (sum(room[:3]), sum(room[3:])) == (100, 100)
    assert take_many(path, "a", 1) == 0  # a process that starts later knows it too


def test_a_limit_is_exact_over_threads(tmp_path: Path) -> None:
    uses = KeyUsage(tmp_path / "keys")
    limited = key("a", Rate(50, 86_400))
    with ThreadPoolExecutor(4) as pool:
        assert sum(w == 0 for w in pool.map(lambda _: uses.take(limited), range(200))) == 50
    uses.close()


def test_the_wait_is_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10**15
    monkeypatch.setattr(usage, "monotonic_ns", lambda: now)
    uses = KeyUsage(tmp_path / "keys")
    limited = key("a", Rate(6, 60))
    assert [uses.take(limited) for _ in range(7)] == [0] * 6 + [10]
    now += 9_500_000_000
    assert uses.take(limited) == 1
    now += 500_000_000
    assert [uses.take(limited) for _ in range(2)] == [0, 10]  # one place, not six
    now += 3_600_000_000_000
    assert [uses.take(limited) for _ in range(7)] == [0] * 6 + [10]
    now = 10**9  # the host was started anew: its monotonic clock begins again
    assert uses.take(limited) == 0
    uses.close()


def test_last_uses_are_known_to_every_process(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    mine, other = KeyUsage(path), KeyUsage(path)
    before = int(time())
    assert mine.take(key("a")) == mine.take(key("b", Rate(1, 1))) == 0
    found = other.last_uses()
    assert set(found) == {digest_of(b"a")[:16], digest_of(b"b")[:16]}
    assert all(before <= at <= time() for at in found.values())
    assert path.stat().st_mode & 0o777 == 0o600
    mine.close()
    other.close()


def test_a_full_file_forgets_who_has_all_their_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "N_ENTRIES", 4)
    monkeypatch.setattr(usage, "_IDS_BYTES", 4 * 16)
    uses = KeyUsage(tmp_path / "keys")
    limited = key("limited", Rate(1, 86_400))
    assert uses.take(limited) == 0
    for n in range(9):
        assert uses.take(key(f"free-{n}")) == 0
    assert uses.take(limited) > 80_000  # its own use was not forgotten
    assert len(uses.last_uses()) == 4
    uses.close()


@pytest.mark.parametrize("text", ["", "100", "0/s", "-1/s", "1/week", "1.5/s", "9999999/s", "²/s"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey, match="as 600/min"):
        Rate.parse(text)


def test_rates_are_written_as_they_are_read() -> None:
    for text in ("100/s", "600/min", "1000/h", "50000/d"):
        assert str(Rate.parse(text)) == text
