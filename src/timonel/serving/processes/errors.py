"""What can keep a server from starting, or one of its processes from answering another."""

from typing import ClassVar

from timonel.errors import Conflict, ProjectFault, Text, Unavailable


class StateInUse(Conflict):
    """Another supervisor owns the state folder and its spools."""

    code = "state_in_use"
    texts: ClassVar = {
        "en": Text(
            "Cannot serve from the state folder {folder}: the process {pid} already does.",
            "Stop that process, or give this server its own folder by `TIMONEL_STATE`.",
        ),
        "es": Text(
            "No se puede servir desde la carpeta de estado {folder}: ya lo hace el proceso {pid}.",
            "Detenga ese proceso, o dé a este servidor su propia carpeta con `TIMONEL_STATE`.",
        ),
    }


class UnsafeFolder(ProjectFault):
    """The folder for sockets is not ours alone."""

    code = "unsafe_folder"
    texts: ClassVar = {
        "en": Text(
            "Cannot put sockets into {folder}: it belongs to another user or is open to others.",
            "Remove that folder, or set `TMPDIR` to a folder of your own.",
        ),
        "es": Text(
            "No se pueden crear sockets en {folder}: es de otro usuario o está abierta a otros.",
            "Elimine esa carpeta, o indique en `TMPDIR` una carpeta suya.",
        ),
    }


class PortBusy(Conflict):
    """Another process listens on the port."""

    code = "port_busy"
    texts: ClassVar = {
        "en": Text(
            "Cannot listen on {host}:{port}: process {pid} ({command}) already does.",
            "Stop that process, or take the next free port: `--port {next_port}`.",
        ),
        "es": Text(
            "No se puede escuchar en {host}:{port}: ya lo hace el proceso {pid} ({command}).",
            "Detenga ese proceso, o use el siguiente puerto libre: `--port {next_port}`.",
        ),
    }


class RemoteHostRefused(ProjectFault):
    """Listening beyond this machine was not allowed, or no key is set."""

    code = "remote_host_refused"
    texts: ClassVar = {
        "en": Text(
            "Cannot listen on {host}: it is reachable from other machines, and {missing} not set.",
            "Set `TIMONEL_ALLOW_REMOTE=true`, and make a key (`timonel key create NAME --role "
            "admin`) or set a long random `TIMONEL_ADMIN_KEY`; or listen on 127.0.0.1.",
        ),
        "es": Text(
            "No se puede escuchar en {host}: es accesible desde otros equipos, y falta {missing}.",
            "Defina `TIMONEL_ALLOW_REMOTE=true`, y cree una clave (`timonel key create NOMBRE "
            "--role admin`) o defina una `TIMONEL_ADMIN_KEY` larga y aleatoria; o escuche en "
            "127.0.0.1.",
        ),
    }


class AddressUnusable(ProjectFault):
    """The host is no address of this machine, or the port is not ours to take."""

    code = "address_unusable"
    texts: ClassVar = {
        "en": Text(
            "Cannot listen on {host}:{port}: {found}.",
            "Give an address of this machine (`--host 127.0.0.1`) and a port above 1023.",
        ),
        "es": Text(
            "No se puede escuchar en {host}:{port}: {found}.",
            "Indique una dirección de este equipo (`--host 127.0.0.1`) y un puerto mayor a 1023.",
        ),
    }


class ControlUnavailable(Unavailable):
    """The control process is starting, restarting, or not part of this server."""

    code = "control_unavailable"
    texts: ClassVar = {
        "en": Text(
            "Cannot answer {path}: the control process of this server {state}.",
            "Try again in a second; predictions are answered meanwhile. "
            "If it stays so, the server's log says why.",
        ),
        "es": Text(
            "No se puede responder {path}: el proceso de control de este servidor {state}.",
            "Intente de nuevo en un segundo; las predicciones se responden entretanto. "
            "Si persiste, el registro del servidor dice por qué.",
        ),
    }


class NativeTimeout(Unavailable):
    """The model did not answer before its deadline."""

    code = "native_timeout"
    texts: ClassVar = {
        "en": Text(
            "The native model {digest} did not answer within {deadline_s} s: {detail}.",
            "Raise `Policy(deadline_ms=...)` or `TIMONEL_NATIVE_PROCESSES`, or use a recipe that "
            "compiles.",
        ),
        "es": Text(
            "El modelo nativo {digest} no respondió en {deadline_s} s: {detail}.",
            "Aumente `Policy(deadline_ms=...)` o `TIMONEL_NATIVE_PROCESSES`, o use una receta que "
            "se compile.",
        ),
    }


class NativeUnavailable(Unavailable):
    """There is no pool, or it cannot load the model."""

    code = "native_unavailable"
    texts: ClassVar = {
        "en": Text(
            "The native model {digest} cannot be used: {detail}.",
            "Set `TIMONEL_NATIVE_PROCESSES` to 1 or more on a full installation; "
            "the server's log says more.",
        ),
        "es": Text(
            "No se puede usar el modelo nativo {digest}: {detail}.",
            "Defina `TIMONEL_NATIVE_PROCESSES` en 1 o más en una instalación completa; "
            "el registro del servidor dice más.",
        ),
    }


class NativeFailed(Unavailable):
    """The model raised an error."""

    code = "native_failed"
    texts: ClassVar = {
        "en": Text(
            "The native model {digest} raised an error: {detail}.",
            "Validate the version on rows like this one, or roll it back.",
        ),
        "es": Text(
            "El modelo nativo {digest} produjo un error: {detail}.",
            "Valide la versión con filas como esta, o revierta a la anterior.",
        ),
    }
