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
from timonel.errors import Phrase, TimonelError, in_language, joined
from timonel.installs import distribution, installed, is_serving_only
from timonel.registry.comparison import compare_schemas

if TYPE_CHECKING:
    from timonel.app import App
    from timonel.host import Host

_SERVING = ("numpy", "onnxruntime", "sqlalchemy")
_TRAINING = ("scikit-learn", "xgboost-cpu", "lightgbm", "polars")
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
        said: dict[str, Any] = in_language(asdict(self), language())
        return said


def diagnose(folder: Path) -> list[Finding]:
    """Run every check; one that fails never hides the others."""
    findings = list(_installation())
    checks: dict[str, Callable[[Any], Iterator[Finding]]] = {}
    try:
        if is_serving_only():  # the project's code is not for this host
            from timonel.host import open_host

            host: Host = open_host(folder)
        else:
            from timonel.app import open_app

            host = open_app(folder)
            checks["project"] = _project
    except TimonelError as error:
        return [*findings, _failed("project", error)]
    for name, check in (checks | _CHECKS).items():
        try:
            findings.extend(check(host))
        except TimonelError as error:
            findings.append(_failed(name, error))
    return findings


def _failed(name: str, error: TimonelError) -> Finding:
    lang = language()
    return Finding(name, "failed", error.message(lang), error.remedy(lang))


def _installation() -> Iterator[Finding]:
    found, missing = [f"{distribution()} {__version__}", f"python {platform.python_version()}"], []
    for package in _SERVING if is_serving_only() else _SERVING + _TRAINING:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        detail = Phrase("missing: {names}", "falta: {names}", names=", ".join(missing))
        yield Finding("install", "failed", detail, f"pip install --upgrade {distribution()}")
    elif len(installed()) > 1:
        detail = Phrase(
            "timonel and timonel-serve are both installed, and own the same files: uninstalling "
            "one breaks the other",
            "timonel y timonel-serve están instalados a la vez y comparten sus archivos: "
            "desinstalar uno rompe el otro",
        )
        remedy = "pip uninstall timonel-serve && pip install --force-reinstall --no-deps timonel"
        yield Finding("install", "warning", detail, remedy)
    else:
        yield Finding("install", "ok", ", ".join(found))


def _project(app: "App") -> Iterator[Finding]:
    app.project.check()
    names = ", ".join(app.project.models)
    detail = Phrase(
        "{project}: {names}; time zone {zone}",
        "{project}: {names}; zona horaria {zone}",
        project=app.name,
        names=names,
        zone=app.config.timezone,
    )
    yield Finding("project", "ok", detail)
    yield from differing_schemas(app)
    for fault in app.project.absences():
        lang = language()
        yield Finding("outcomes", "warning", fault.message(lang), fault.remedy(lang))


def differing_schemas(app: "App") -> Iterator[Finding]:
    """Find the models whose version in production was trained on another schema than declared."""
    for name, model in app.project.models.items():
        champion = app.registry.champion(name) if name in app.registry.models() else None
        if champion is None:
            continue
        trained = app.registry.manifest(name, champion.version).schema
        changes = compare_schemas(trained, model.schema.to_json())
        otherwise = tuple(field.name for field in changes.changed)
        parts = [
            Phrase(en, es, names=", ".join(names))
            for en, es, names in (
                ("new: {names}", "nuevos: {names}", changes.added),
                ("no longer declared: {names}", "ya no declarados: {names}", changes.removed),
                (
                    "declared otherwise: {names}",
                    "declarados de otro modo: {names}",
                    otherwise,
                ),
            )
            if names
        ]
        if not parts:
            continue
        detail = Phrase(
            "{version} was trained on another schema than is declared ({changes}); requests are "
            "held to its own",
            "{version} se entrenó con otro esquema que el declarado ({changes}); las peticiones se "
            "miden con el suyo",
            version=champion,
            changes=joined(parts),
        )
        yield Finding("versions", "warning", detail, f"timonel train {name}")


def _database(app: "Host") -> Iterator[Finding]:
    app.require_prepared()
    yield Finding("database", "ok", app.engine.dialect.name)


def _versions(app: "Host") -> Iterator[Finding]:
    for name in app.registry.models():
        champion = app.registry.champion(name)
        if champion is None:
            detail = Phrase(
                "{model}: no version in production",
                "{model}: ninguna versión en producción",
                model=name,
            )
            yield Finding("versions", "warning", detail, f"timonel train {name}")
            continue
        for reference in app.registry.manifest(name, champion.version).artifacts.values():
            app.artifacts.get(reference.sha256)
        detail = Phrase(
            "{version} in production, its artifacts verified",
            "{version} en producción, sus artefactos verificados",
            version=champion,
        )
        yield Finding("versions", "ok", detail)


def _history(app: "Host") -> Iterator[Finding]:
    app.registry.verify_history()
    detail = Phrase(
        "the chain of transitions is unbroken", "la cadena de transiciones está íntegra"
    )
    yield Finding("history", "ok", detail)


def _spool(app: "Host") -> Iterator[Finding]:
    from timonel.events.importing.files import FOLDERS as IMPORTS
    from timonel.events.lag import undrained_bytes

    spool = app.state / "spool"
    slots = [folder for folder in spool.iterdir() if folder.is_dir()] if spool.is_dir() else []
    bad = sum(len(list(folder.glob("rejected/*"))) for folder in slots)
    if bad:
        detail = Phrase(
            "{n} files of events that could not be stored",
            "{n} archivos de eventos que no se pudieron guardar",
            n=bad,
        )
        see = Phrase("see {folder}/*/rejected", "vea {folder}/*/rejected", folder=spool)
        yield Finding("spool", "warning", detail, see)
    detail = Phrase(
        "{n} bytes not yet in the database",
        "{n} bytes aún fuera de la base de datos",
        # what an import has not stored was not acknowledged: it imports its file anew
        n=undrained_bytes(
            app.engine, app.name, [one for one in slots if not one.name.startswith(IMPORTS)]
        ),
    )
    yield Finding("spool", "ok", detail)


def _disk(app: "Host") -> Iterator[Finding]:
    free_gb = shutil.disk_usage(app.folder).free / 1e9
    state: Literal["ok", "warning"] = "ok" if free_gb >= _DISK_WARNING_GB else "warning"
    detail = Phrase("{n:.1f} GB free", "{n:.1f} GB libres", n=free_gb)
    yield Finding("disk", state, detail)


def _port(app: "Host") -> Iterator[Finding]:
    from timonel.serving.processes.ports import is_for_clients, next_free, owner_of
    from timonel.serving.processes.slots import owner_pid

    host, port = app.settings.host, app.settings.port
    free = next_free(host, port - 1) if port else 0
    if port and free == port and is_for_clients(port):
        detail = Phrase(
            "{port} is of those that the system gives to clients: one may hold it when this server "
            "comes back",
            "{port} es de los que el sistema da a los clientes: uno puede tenerlo cuando este "
            "servidor vuelva",
            port=port,
        )
        yield Finding("port", "warning", detail, "timonel up --port 8000")
        return
    if port == 0 or free == port:
        detail = Phrase("{port} is free", "{port} está libre", port=port)
        yield Finding("port", "ok", detail)
        return
    owner = owner_of(port)
    if owner.pid == str(owner_pid(app.state)):
        detail = Phrase(
            "{port}: this project's server, process {pid}",
            "{port}: el servidor de este proyecto, proceso {pid}",
            port=port,
            pid=owner.pid,
        )
        yield Finding("port", "ok", detail)
        return
    detail = Phrase(
        "{port} is taken by process {pid} ({command})",
        "{port} lo ocupa el proceso {pid} ({command})",
        port=port,
        pid=owner.pid,
        command=owner.command,
    )
    yield Finding("port", "warning", detail, f"timonel up --port {free}")


_CHECKS: dict[str, Callable[["Host"], Iterator[Finding]]] = {
    "database": _database,
    "versions": _versions,
    "history": _history,
    "spool": _spool,
    "disk": _disk,
    "port": _port,
}
