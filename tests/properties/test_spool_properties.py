import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from timonel.events.frames import decode
from timonel.events.intake import Position, gather, scan
from timonel.events.segments import list_segments
from timonel.events.spool import SpoolWriter
from timonel.testing.events import Events


def write(folder: Path, n: int, segment_bytes: int) -> list[bytes]:
    """Write n frames; give their ids."""
    events, ids = Events(seed=n), []
    writer = SpoolWriter.open(folder, segment_bytes=segment_bytes)
    for number in range(n):
        frame = events.prediction(unit="u" * (number % 50))
        writer.append(frame)
        ids.append(frame.id)
    writer.close()
    return ids


def drain(folder: Path, max_frames: int) -> list[bytes]:
    """Read everything as a drainer does, in small batches, deleting what is finished."""
    positions: dict[str, Position] = {}
    found = []
    exhausted = False
    while not exhausted:
        batch = gather(scan([folder]), positions, max_frames)
        exhausted = batch.exhausted
        found += [decode(letter.payload).id for letter in batch.letters]
        positions |= batch.moves
        for path in batch.finished:
            path.unlink()
    return found


damage = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1), st.just(0)),
    st.tuples(st.just("flip"), st.floats(0, 1), st.integers(0, 7)),
    st.tuples(st.just("zero"), st.floats(0, 1), st.integers(1, 3000)),
    st.tuples(st.just("junk"), st.just(1.0), st.integers(1, 3000)),
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), damage, st.floats(0, 0.999), st.integers(1, 100))
def test_damage_leaves_a_prefix_of_each_segment_and_nothing_else(
    n: int, harm: tuple[str, float, int], which: float, max_frames: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = write(folder, n, segment_bytes=4096)
        whole = drain_copy(folder)
        assert [i for part in whole for i in part] == ids
        segments = list_segments(folder)
        hurt = int(which * len(segments))
        damage_file(segments[hurt].path, harm)
        found = drain(folder, max_frames)
        start = sum(len(part) for part in whole[:hurt])
        before, damaged = ids[:start], whole[hurt]
        after = ids[start + len(damaged) :]
        kept = len(found) - len(before) - len(after)
        assert 0 <= kept <= len(damaged)
        assert found == before + damaged[:kept] + after
        assert not list_segments(folder)


def drain_copy(folder: Path) -> list[list[bytes]]:
    """Give the ids of each segment, before any harm."""
    return [
        [decode(letter.payload).id for letter in gather([target], {}, 10_000).letters]
        for target in scan([folder])
    ]


def damage_file(path: Path, harm: tuple[str, float, int]) -> None:
    kind, where, amount = harm
    data = bytearray(path.read_bytes())
    at = min(int(where * len(data)), len(data) - 1)
    if kind == "cut":
        del data[at:]
    elif kind == "flip":
        data[at] ^= 1 << amount
    elif kind == "zero":
        data[at : at + amount] = bytes(len(data[at : at + amount]))
    else:
        data += os.urandom(amount)
    path.write_bytes(data)


def test_a_torn_tail_is_waited_for_while_its_writer_lives() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = SpoolWriter.open(folder)
        events = Events()
        first, second = events.prediction(), events.prediction()
        writer.append(first)
        path = list_segments(folder)[0].path
        size = path.stat().st_size
        writer.append(second)
        whole = path.read_bytes()
        os.truncate(path, size + 20)
        batch = gather(scan([folder]), {}, 10)
        assert len(batch.letters) == 1
        assert not batch.finished
        assert batch.n_torn_bytes == 0
        path.write_bytes(whole)
        again = gather(scan([folder]), batch.moves, 10)
        assert [letter.offset for letter in again.letters] == [size]
        os.truncate(path, size + 20)
        writer.close()
        last = gather(scan([folder]), batch.moves, 10)
        assert not last.letters
        assert last.n_torn_bytes == 20
        assert last.finished == [path]
        assert not last.quarantined


def test_corrupt_bytes_are_kept_and_the_next_segment_goes_on() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = write(folder, 40, segment_bytes=4096)
        first = list_segments(folder)[0].path
        data = bytearray(first.read_bytes())
        data[len(data) // 2] ^= 0x10
        first.write_bytes(data)
        batch = gather(scan([folder]), {}, 1000)
        assert batch.quarantined[0].parent == folder / "rejected"
        assert data.endswith(batch.quarantined[0].read_bytes())
        assert decode(batch.letters[-1].payload).id == ids[-1]
