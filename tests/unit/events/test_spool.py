import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from timonel.events.errors import FrameTooLarge, SpoolFull
from timonel.events.frames import decode
from timonel.events.intake import gather, scan
from timonel.events.segments import is_held, list_segments
from timonel.events.spool import SpoolWriter
from timonel.testing.events import Events

LIMITED = """
import resource, sys
from pathlib import Path
from timonel.events.errors import SpoolFull
from timonel.events.spool import SpoolWriter
from timonel.testing.events import Events

for limit in map(int, sys.argv[2:]):
    events, writer = Events(), SpoolWriter.open(Path(sys.argv[1], str(limit)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    taken = refused = 0
    for _ in range(200):
        try:
            writer.append(events.prediction(unit=str(taken)))
            taken += 1
        except SpoolFull:
            refused += 1
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    writer.close()
    print(limit, taken, refused)
"""


def units(folder: Path) -> list[str | None]:
    batch = gather(scan([folder]), {}, 1_000_000)
    assert not batch.quarantined
    return [getattr(decode(letter.payload), "unit", None) for letter in batch.letters]


def test_what_was_appended_is_read_in_order_over_segments(tmp_path: Path) -> None:
    events = Events()
    writer = SpoolWriter.open(tmp_path, segment_bytes=5000)
    for number in range(200):
        writer.append(events.prediction(unit=str(number)))
    assert units(tmp_path) == [str(number) for number in range(200)]
    segments = list_segments(tmp_path)
    assert len(segments) > 5
    assert [segment.number for segment in segments] == list(range(len(segments)))
    assert is_held(segments[-1].path)
    writer.close()
    writer.close()
    assert not is_held(segments[-1].path)
    assert all(segment.path.stat().st_mode & 0o777 == 0o600 for segment in segments)


@pytest.mark.parametrize("together", [1, 7, 200])
def test_what_was_appended_together_is_read_in_order_over_segments(
    tmp_path: Path, together: int
) -> None:
    events = Events()
    frames = [events.prediction(unit=str(number)) for number in range(200)]
    writer = SpoolWriter.open(tmp_path, segment_bytes=5000)
    writer.append_many([])
    for start in range(0, len(frames), together):
        writer.append_many(frames[start : start + together])
    writer.close()
    assert units(tmp_path) == [str(number) for number in range(200)]
    assert len(list_segments(tmp_path)) > 5
    assert max(segment.path.stat().st_size for segment in list_segments(tmp_path)) < 5100


def test_of_frames_beyond_the_bound_a_first_part_is_kept_whole(tmp_path: Path) -> None:
    events = Events()
    writer = SpoolWriter.open(tmp_path, segment_bytes=5000, max_bytes=20_000)
    with pytest.raises(SpoolFull):
        writer.append_many([events.prediction(unit=str(number)) for number in range(400)])
    writer.close()
    kept = units(tmp_path)
    assert 20 < len(kept) < 400
    assert kept == [str(number) for number in range(len(kept))]


def test_each_writer_is_a_spool_of_its_own(tmp_path: Path) -> None:
    for number in range(3):
        writer = SpoolWriter.open(tmp_path)
        writer.append(Events().prediction(unit=str(number)))
        writer.close()
    assert len({segment.spool_id for segment in list_segments(tmp_path)}) == 3
    assert sorted(map(str, units(tmp_path))) == ["0", "1", "2"]


def test_the_bound_refuses_and_what_is_drained_makes_room(tmp_path: Path) -> None:
    events = Events()
    writer = SpoolWriter.open(tmp_path, max_bytes=40_000)
    taken = 0

    def fill() -> None:
        nonlocal taken
        while True:
            writer.append(events.prediction(unit=str(taken)))
            taken += 1

    with pytest.raises(SpoolFull, match="wait in it"):
        fill()
    assert taken > 100
    assert writer.undrained_bytes() <= 40_000
    assert writer.undrained_bytes() > 35_000
    assert units(tmp_path) == [str(number) for number in range(taken)]
    for segment in list_segments(tmp_path)[:-1]:
        segment.path.unlink()
    writer.append(events.prediction())
    writer.close()
    with pytest.raises(SpoolFull, match="closed"):
        writer.append(events.prediction())


def test_a_short_write_on_a_full_disk_is_taken_back(tmp_path: Path) -> None:
    """The kernel cuts the write at the file size limit, as it does on a full disk."""
    limits = [str(3000 + past) for past in range(1, 200, 37)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), *limits],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [line.split() for line in done.stdout.splitlines()]
    assert [limit for limit, _, _ in found] == limits
    for limit, taken, refused in found:
        assert refused == "1", limit
        assert units(tmp_path / limit) == [str(number) for number in range(int(taken))], limit


def test_a_frame_beyond_the_limit_is_refused_by_name(tmp_path: Path) -> None:
    writer = SpoolWriter.open(tmp_path)
    with pytest.raises(FrameTooLarge):
        writer.append(Events().prediction(features=b" " * (1 << 24)))
    big = Events().prediction(features=b" " * (3 << 20), unit="big")
    writer.append(big)
    writer.append(Events().prediction(unit="after"))
    writer.close()
    assert units(tmp_path) == ["big", "after"]


async def test_synced_appends_wait_together_and_alone(tmp_path: Path) -> None:
    events = Events()
    writer = SpoolWriter.open(tmp_path, segment_bytes=5000, sync_s=10.0)

    async def client(name: int) -> None:
        for number in range(20):
            await writer.append_synced(events.prediction(unit=f"{name}-{number}"))

    await client(99)
    await asyncio.wait_for(asyncio.gather(*(client(name) for name in range(16))), 20)
    waiting = asyncio.create_task(writer.append_synced(events.prediction(unit="given up")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait_for(writer.append_synced(events.prediction(unit="last")), 20)
    writer.close()
    found = units(tmp_path)
    assert len(found) == 17 * 20 + 2
    for name in range(16):
        mine = [unit for unit in found if unit and unit.startswith(f"{name}-")]
        assert mine == [f"{name}-{number}" for number in range(20)]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # root may write anywhere: run out of file size instead
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        try:
            with pytest.raises(SpoolFull, match=str(tmp_path)):
                SpoolWriter.open(tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    else:
        tmp_path.chmod(0o500)
        with pytest.raises(SpoolFull, match=str(tmp_path)):
            SpoolWriter.open(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_hot_path_imports_only_what_a_worker_may() -> None:
    code = (
        "import sys, timonel.events.spool as s; "
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "pydantic", "polars", "sklearn", "numpy"} & set(done.stdout.split())
