"""Artifacts: bytes named by their sha256, in ``<root>/<aa>/<sha256>``."""

import os
import re
import tempfile
import time
from hashlib import sha256 as _sha256
from pathlib import Path

from timonel.registry.errors import ArtifactCorrupt, ArtifactMissing
from timonel.registry.manifest import ArtifactRef

_NAME = re.compile(r"[0-9a-f]{64}")


class ArtifactStore:
    """A folder of immutable files; safe for any number of threads and processes.

    A file appears whole or not at all (written aside, synced, renamed), and is verified each time
    it is read. The same bytes are stored once.

    Parameters
    ----------
    root : Path
        Created at the first ``put``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes) -> ArtifactRef:
        """Store bytes durably; storing them again costs a read, and mends a damaged file."""
        name = _sha256(data).hexdigest()
        reference = ArtifactRef(sha256=name, size=len(data))
        path = self.path(name)
        if self._intact(path, name):
            os.utime(path)  # somebody counts on it again
            return reference
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        for folder in (path.parent, self.root):
            _sync_folder(folder)
        return reference

    def get(self, sha256: str) -> bytes:
        """Read bytes and verify them.

        Raises
        ------
        ArtifactMissing
            If there is no such file.
        ArtifactCorrupt
            If its bytes have another hash.
        """
        path = self.path(sha256)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise ArtifactMissing(sha256=sha256, root=str(self.root)) from None
        found = _sha256(data).hexdigest()
        if found != sha256:
            raise ArtifactCorrupt(sha256=sha256, root=str(self.root), size=len(data), found=found)
        return data

    def discard(self, sha256: str, *, older_than_s: float) -> bool:
        """Remove bytes that nobody has stored, again or first, for so long; False: they stay."""
        path = self.path(sha256)
        try:
            if time.time() - path.stat().st_mtime < older_than_s:
                return False
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def __contains__(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def path(self, sha256: str) -> Path:
        """Give the file of a hash.

        Raises
        ------
        ArtifactMissing
            If the text is no sha256 in lower-case hexadecimal.
        """
        if _NAME.fullmatch(sha256) is None:
            raise ArtifactMissing(sha256=repr(sha256), root=str(self.root))
        return self.root / sha256[:2] / sha256

    def _intact(self, path: Path, name: str) -> bool:
        try:
            return _sha256(path.read_bytes()).hexdigest() == name
        except FileNotFoundError:
            return False


def _sync_folder(folder: Path) -> None:
    # without it the rename may be lost with the power, though the bytes are not
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
