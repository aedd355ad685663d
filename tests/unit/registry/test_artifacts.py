import os
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from timonel.registry.artifacts import ArtifactStore
from timonel.registry.errors import ArtifactCorrupt, ArtifactMissing


def test_bytes_come_back(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    for data in (b"", b"model", os.urandom(1 << 20)):
        reference = store.put(data)
        assert reference.sha256 == sha256(data).hexdigest()
        assert reference.size == len(data)
        assert store.get(reference.sha256) == data
        assert reference.sha256 in store
        path = tmp_path / "artifacts" / reference.sha256[:2] / reference.sha256
        assert path.stat().st_mode & 0o777 == 0o644


def test_the_same_bytes_are_stored_once(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    reference = store.put(b"model")
    written = store.path(reference.sha256).stat().st_ino
    assert store.put(b"model") == reference
    assert store.path(reference.sha256).stat().st_ino == written
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_damage_is_found_at_reading_and_mended_by_storing_again(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    reference = store.put(b"model")
    store.path(reference.sha256).write_bytes(b"mod")
    with pytest.raises(ArtifactCorrupt, match="3 bytes"):
        store.get(reference.sha256)
    store.put(b"model")
    assert store.get(reference.sha256) == b"model"


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "A" * 64])
def test_what_is_not_there_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactMissing, match="no such file"):
        ArtifactStore(tmp_path).get(name)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        ArtifactStore(tmp_path).put(b"model")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_many_writers_and_readers(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    data = os.urandom(1 << 16)
    name = sha256(data).hexdigest()
    barrier = threading.Barrier(8)
    faults: list[Exception] = []

    def work() -> None:
        barrier.wait(10)
        try:
            for _ in range(5):
                store.put(data)
                assert store.get(name) == data
        except Exception as error:  # noqa: BLE001 - reported below
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]
