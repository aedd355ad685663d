"""What ``timonel doctor`` looks at, from the installation to the port."""

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from timonel import __version__
from timonel.cli.output import language
from timonel.errors import TimonelError

if TYPE_CHECKING:
    from timonel.app import App

_PACKAGES = (
    "numpy",
    "onnxruntime",
    "scikit-learn",
    "xgboost-cpu",
    "lightgbm",
    "polars",
    "sqlalchemy",
)
_DISK_WARNING_GB = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    remedy: str = ""

    def document(self) -> dict[str, Any]:
        """Give the JSON form."""
        return asdict(self)


def diagnose(folder: Path) -> list[Finding]:
    """Run every check; one that fails never hides the others."""
    findings = [_installation()]
    try:
        from timonel.app import open_app

        app = open_app(folder)
    except TimonelError as error:
        return [*findings, _failed("project", error)]
    for name, check in _CHECKS.items():
        try:
            findings.extend(check(app))
        except TimonelError as error:
            findings.append(_failed(name, error))
    return findings


def _failed(name: str, error: TimonelError) -> Finding:
    lang = language()
    return Finding(name, "failed", error.message(lang), error.remedy(lang))


def _installation() -> Finding:
    found, missing = [f"timonel {__version__}", f"python {platform.python_version()}"], []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        return Finding(
            "install", "failed", f"missing: {', '.join(missing)}", "pip install --upgrade timonel"
        )
    return Finding("install", "ok", ", ".join(found))


def _project(app: "App") -> Iterator[Finding]:
    app.project.check()
    names = ", ".join(app.project.models)
    yield Finding("project", "ok", f"{app.name}: {names}; time zone {app.config.timezone}")


def _database(app: "App") -> Iterator[Finding]:
    app.require_prepared()
    yield Finding("database", "ok", app.engine.dialect.name)


def _versions(app: "App") -> Iterator[Finding]:
    for name in app.registry.models():
        champion = app.registry.champion(name)
        if champion is None:
            yield Finding(
                "versions", "warning", f"{name}: no version in production", f"timonel train {name}"
            )
            continue
        for reference in app.registry.manifest(name, champion.version).artifacts.values():
            app.artifacts.get(reference.sha256)
        yield Finding("versions", "ok", f"{champion} in production, its artifacts verified")


def _history(app: "App") -> Iterator[Finding]:
    app.registry.verify_history()
    yield Finding("history", "ok", "the chain of transitions is unbroken")


def _spool(app: "App") -> Iterator[Finding]:
    spool = app.state / "spool"
    size = sum(file.stat().st_size for file in spool.rglob("*.spool")) if spool.exists() else 0
    bad = len(list(spool.rglob("rejected/*"))) if spool.exists() else 0
    if bad:
        yield Finding(
            "spool",
            "warning",
            f"{bad} files of events that could not be stored",
            f"see {spool}/*/rejected",
        )
    yield Finding("spool", "ok", f"{size} bytes not yet drained")
    free_gb = shutil.disk_usage(app.folder).free / 1e9
    state: Literal["ok", "warning"] = "ok" if free_gb >= _DISK_WARNING_GB else "warning"
    yield Finding("disk", state, f"{free_gb:.1f} GB free")


_CHECKS: dict[str, Callable[["App"], Iterator[Finding]]] = {
    "project": _project,
    "database": _database,
    "versions": _versions,
    "history": _history,
    "spool": _spool,
}
