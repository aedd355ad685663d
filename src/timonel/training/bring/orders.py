"""What the reading process is asked, and what it answers: MessagePack files, no code."""

from typing import Any

import msgspec

from timonel.errors import Phrase, TimonelError
from timonel.registry.manifest import BatchWay
from timonel.runtime.featuriser import Value
from timonel.training.bring import errors
from timonel.wire.answer import Label


class Said(msgspec.Struct, frozen=True):
    """A sentence, or a part of one, in both languages."""

    en: str
    es: str


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What to read, for which declaration, and the rows to compare on.

    Parameters
    ----------
    schema : list of dict or None
        None: only describe the model.
    clean, dirty : list of rows
        In schema order; dirty ones are changed where the model itself refuses them.
    sample : list of rows
        Rows whose outputs are wanted too.
    classes : list or None
        Names of the outputs, given by the user.
    drawn : bool
        The rows were made from the schema, not brought by the user.
    folder : str
        Where artifacts are written.
    """

    given: str
    path: str
    form: str
    model: str
    task: str = ""
    target: str = ""
    positive: Label | None = None
    timezone: str = "UTC"
    schema: list[dict[str, Any]] | None = None
    classes: list[Label] | None = None
    clean: list[list[Any]] = []
    dirty: list[list[Any]] = []
    sample: list[list[Any]] = []
    drawn: bool = False
    allow_pickle: bool = False
    native_pickle: bool = False
    project: str = ""
    folder: str = ""


class Description(msgspec.Struct, frozen=True):
    """What a model says of itself, for a declaration.

    Parameters
    ----------
    features : list of (name, kind, values)
        ``kind`` is "number" or "category"; ``values`` the words that it was taught.
    """

    estimator: str
    task: str
    features: list[tuple[str, str, list[str]]]
    classes: list[Label] | None = None


class Fault(msgspec.Struct, frozen=True):
    """An error of `timonel.training.bring.errors`, by the name of its class."""

    kind: str
    facts: dict[str, Any]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it.

    Parameters
    ----------
    kind : {"linear", "onnx", "native"}
    plan, verdict, batch
        As of `timonel.runtime.compile.Compiled`.
    artifacts : list of str
        Names of the files written into the orders' folder.
    clean, dirty : list of rows
        Those that were compared on.
    outputs, sample_outputs : list of lists of float
        Of ``clean`` + ``dirty``, and of those rows of ``sample`` that are ``answerable``.
    findings : list of Said
    """

    kind: str = ""
    plan: dict[str, Any] = {}
    verdict: dict[str, Any] = {}
    batch: BatchWay | None = None
    artifacts: list[str] = []
    classes: list[Label] | None = None
    estimator: str = ""
    libraries: dict[str, str] = {}
    clean: list[list[Any]] = []
    dirty: list[list[Any]] = []
    outputs: list[list[float]] = []
    answerable: list[bool] = []
    sample_outputs: list[list[float]] = []
    findings: list[Said] = []
    description: Description | None = None
    fault: Fault | None = None


def fault_of(error: TimonelError) -> Fault:
    """Write an error so that the other process can raise it."""
    return Fault(
        type(error).__name__, {name: _written(value) for name, value in error.context.items()}
    )


def raised(fault: Fault) -> TimonelError:
    """Make the error that a fault stands for."""
    kind: type[TimonelError] = getattr(errors, fault.kind)
    return kind(**{name: _read(value) for name, value in fault.facts.items()})


def _written(value: Any) -> Any:
    if isinstance(value, Phrase):
        return {"en": str(value), "es": value.es}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _read(value: Any) -> Any:
    return Phrase(value["en"], value["es"]) if isinstance(value, dict) else value


Table = list[list[Value]]
