"""One process of the native pool: the only serving process that imports training libraries."""

import os
import queue
import struct
import threading
from typing import BinaryIO

import msgspec

from timonel.registry.artifacts import ArtifactStore
from timonel.registry.manifest import ServingManifest, decode_manifest
from timonel.runtime.errors import InvalidOutput, RowRefused
from timonel.runtime.predictors import Predictor
from timonel.serving.config import PoolConfig, decode
from timonel.serving.native_pool import Ask, Reply
from timonel.serving.processes.liveness import receive_orders
from timonel.store.lean import LeanStore

_LENGTH = struct.Struct("<I")


class Models:
    """Loads models by the digest of their manifest, native or for batches; keeps those served."""

    def __init__(self, config: PoolConfig) -> None:
        self._project = config.project
        self._store = LeanStore(config.database_url)
        self._artifacts = ArtifactStore(config.artifacts)
        self._loaded: dict[str, Predictor] = {}

    def get(self, digest: str) -> Predictor:
        """Give the predictor of a manifest, loading it at the first time.

        Raises
        ------
        LookupError
            If no served version has this manifest.
        """
        if digest not in self._loaded:
            rows = {row.digest: row for row in self._store.serving_rows(self._project)}
            if digest not in rows:
                message = f"no served version has the manifest {digest[:12]}"
                raise LookupError(message)
            self._loaded = {key: kept for key, kept in self._loaded.items() if key in rows}
            manifest = decode_manifest(rows[digest].manifest)
            self._loaded[digest] = self._load(manifest)
        return self._loaded[digest]

    def _load(self, manifest: ServingManifest) -> Predictor:
        if manifest.predictor == "native":
            from timonel.runtime.native import NativePredictor

            return NativePredictor.load(manifest, self._artifacts.get)
        from timonel.runtime.boosters import load_booster

        return load_booster(manifest, self._artifacts.get)


def answer(models: Models, ask: Ask) -> Reply:
    """Do what is asked; an error becomes a reply."""
    try:
        predictor = models.get(ask.digest)
    except Exception as error:  # noqa: BLE001 - any failure to load is told to who asked
        return Reply(ask.id, "unavailable", detail=_say(error))
    if ask.rows is None:
        return Reply(ask.id, "ok")
    try:
        return Reply(ask.id, "ok", predictor.predict_rows(ask.rows))
    except InvalidOutput as error:
        facts = {
            name: str(fact) if isinstance(fact, str) else fact
            for name, fact in error.context.items()
        }
        return Reply(ask.id, "refused" if isinstance(error, RowRefused) else "invalid", facts=facts)
    except Exception as error:  # noqa: BLE001 - a user's estimator may raise anything
        return Reply(ask.id, "failed", detail=_say(error))


def main() -> None:
    """Answer one request after another."""
    models = Models(decode(receive_orders(), PoolConfig))
    # what an estimator prints must not get between our messages
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    asks: queue.SimpleQueue[Ask] = queue.SimpleQueue()
    threading.Thread(target=_read_all, args=(asks,), daemon=True).start()
    while True:
        _send(replies, answer(models, asks.get()))


def _read_all(asks: "queue.SimpleQueue[Ask]") -> None:
    """Read requests in a thread: a pool that dies ends this process, whatever it is doing."""
    decoder = msgspec.msgpack.Decoder(Ask)
    with os.fdopen(0, "rb") as pipe:
        while head := pipe.read(_LENGTH.size):
            asks.put(decoder.decode(pipe.read(*_LENGTH.unpack(head))))
    os._exit(0)


def _send(replies: BinaryIO, reply: Reply) -> None:
    payload = msgspec.msgpack.encode(reply)
    replies.write(_LENGTH.pack(len(payload)) + payload)
    replies.flush()


def _say(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


if __name__ == "__main__":
    main()
