"""What a supervisor tells of its work, as values; a command line prints them in two languages."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any


class Notice(StrEnum):
    """The kinds; each has its facts, named in its text below."""

    LISTENING = "listening"
    READY = "ready"
    LOG = "log"
    WORKER_DIED = "worker_died"
    WORKER_SILENT = "worker_silent"
    CRASH_LOOP = "crash_loop"
    DRAIN_FAILED = "drain_failed"
    REPORT_FAILED = "report_failed"
    STOPPING = "stopping"
    UNDRAINED = "undrained"
    STOPPED = "stopped"


OnNotice = Callable[[str, Mapping[str, Any]], None]
"""Called from several threads, with the kind and its facts; must not block or raise."""

_TEXTS: dict[str, tuple[str, str]] = {
    Notice.LISTENING: ("Listening on {url}", "Escuchando en {url}"),
    Notice.READY: (
        "Ready on {url}: {n_workers} predict workers after {seconds:.2f} s",
        "Listo en {url}: {n_workers} procesos de predicción tras {seconds:.2f} s",
    ),
    Notice.LOG: ("[{process}] {line}", "[{process}] {line}"),
    Notice.WORKER_DIED: (
        "{process} (pid {pid}) ended: {cause}. Starting it again",
        "{process} (pid {pid}) terminó: {cause}. Se inicia de nuevo",
    ),
    Notice.WORKER_SILENT: (
        "{process} (pid {pid}) has not answered for {seconds:.1f} s: killed",
        "{process} (pid {pid}) no responde hace {seconds:.1f} s: se termina",
    ),
    Notice.CRASH_LOOP: (
        "{process} has ended {failures} times in a row, last: {cause}. "
        "Trying again in {delay_s:.1f} s",
        "{process} ha terminado {failures} veces seguidas, la última: {cause}. "
        "Se reintenta en {delay_s:.1f} s",
    ),
    Notice.DRAIN_FAILED: (
        "Predictions are kept in the spool, but the drain fails: {reason}. Trying again",
        "Las predicciones se guardan en el spool, pero el drenaje falla: {reason}. Se reintenta",
    ),
    Notice.REPORT_FAILED: (
        "Cannot report the processes to the database: {reason}",
        "No se puede informar los procesos a la base de datos: {reason}",
    ),
    Notice.STOPPING: (
        "Stopping: finishing requests and draining",
        "Deteniendo: se terminan las solicitudes y se drena",
    ),
    Notice.UNDRAINED: (
        "{n_bytes} bytes of predictions remain in {folder}; the next start drains them",
        "Quedan {n_bytes} bytes de predicciones en {folder}; el próximo inicio los drena",
    ),
    Notice.STOPPED: ("Stopped after {seconds:.1f} s", "Detenido tras {seconds:.1f} s"),
}


def text_of(kind: str, facts: Mapping[str, Any], lang: str = "en") -> str:
    """Say a notice in one sentence."""
    english, spanish = _TEXTS[kind]
    return (spanish if lang == "es" else english).format(**facts)
