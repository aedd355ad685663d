import os
import threading
import time
import uuid

import pytest

from timonel.wire.ids import IdSource, id_text, parse_uuid, parse_uuid7

VERSION_4 = "ceefac1e-c240-426f-9a6c-4b86d5af5df5"


def test_ids_are_uuid7_of_now_and_strictly_grow() -> None:
    source = IdSource()
    before = time.time_ns() // 1_000_000
    ids = [source.next() for _ in range(10_000)]
    ids += source.many(9_999)
    ids += [*source.many(0), *source.many(1)]
    assert ids == sorted(set(ids))
    assert len(ids) == 20_000
    for one in (ids[0], ids[-1]):
        read = uuid.UUID(bytes=one)
        assert read.version == 7
        assert read.variant == uuid.RFC_4122
        assert before - 1 <= int.from_bytes(one[:6], "big") <= time.time_ns() // 1_000_000


def test_a_fork_goes_on_with_ids_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    source = IdSource()
    source.next()
    monkeypatch.setattr(time, "time_ns", lambda: 0)  # within one millisecond, as it were
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, source.next())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 16)[6:] != source.next()[6:]
    os.close(read)
    os.close(write)


def test_ids_grow_when_the_host_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    source = IdSource()
    first = source.next()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    second = source.next()
    assert second > first


def test_threads_and_sources_share_no_id() -> None:
    sources = [IdSource(), IdSource()]
    made: list[list[bytes]] = [[] for _ in range(4)]

    def make(at: int) -> None:
        made[at] = [sources[at % 2].next() for _ in range(2500)]
        made[at] += [one for _ in range(50) for one in sources[at % 2].many(50)]

    threads = [threading.Thread(target=make, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for ids in made for one in ids}) == 20_000


def test_text_and_back() -> None:
    one = IdSource().next()
    assert id_text(one) == str(uuid.UUID(bytes=one))
    assert parse_uuid7(id_text(one)) == parse_uuid7(id_text(one).upper()) == one


@pytest.mark.parametrize("text", ["", "x", VERSION_4, "{" + VERSION_4 + "}", "0" * 32, "ñ" * 36])
def test_what_is_no_uuid7_is_none(text: str) -> None:
    assert parse_uuid7(text) is None


def test_outcomes_may_name_an_id_of_any_version() -> None:
    other = uuid.uuid4()
    assert parse_uuid(str(other)) == other.bytes
    assert parse_uuid(other.hex) is None
