import subprocess
import sys
from pathlib import Path

from timonel.serving.processes.liveness import Beat, Heartbeat

RESTLESS = """
import sys
from pathlib import Path
from timonel.serving.processes.liveness import Heartbeat
beat = Heartbeat(Path(sys.argv[1]))
at_ns = 1 << 62
beat.tick(at_ns, -7, ready=True)
print("ticks", flush=True)
while True:
    at_ns += 1
    beat.tick(at_ns, -7, ready=True)
"""


def test_a_beat_is_never_seen_half_written(tmp_path: Path) -> None:
    path = tmp_path / "0.beat"
    beat = Heartbeat.create(path)
    assert beat.read() == Beat(0, 0, 0, ready=False)
    with subprocess.Popen(
        [sys.executable, "-c", RESTLESS, str(path)], stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            seen = [beat.read()]
            while seen[-1].at_ns < (1 << 62) + 300_000 and len(seen) < 1_000_000:
                seen.append(beat.read())
        finally:
            child.kill()
    assert {(one.generation, one.pid, one.ready) for one in seen} == {(-7, child.pid, True)}
    assert seen == sorted(seen, key=lambda one: one.at_ns)
    assert seen[0].at_ns >= 1 << 62
    beat.close()
