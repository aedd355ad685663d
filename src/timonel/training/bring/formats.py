"""Which form a file has, told by its content first and its name second; nothing in it is run.

An MLflow folder is read without MLflow. Of its ``MLmodel`` file only two levels are needed,
``flavors`` and the entries of one flavour, all of them plain or quoted words: they are read by
indentation, and lists and long texts around them are passed over.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from timonel.errors import Phrase, closest
from timonel.project.tables import what_is_there
from timonel.training.bring.errors import ModelFileTooLarge, PickleNotAllowed, UnreadableModel

LARGEST = 2 << 30
_HEAD = 4096
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x04\x22\x4d\x18", b"x\x9c", b"x\x01", b"x\xda")

_ENTRY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z_][\w-]*):(?: +(?P<value>.*))?")
_FLAVOURS = {"sklearn": "pickled_model", "xgboost": "data", "lightgbm": "data", "onnx": "data"}
_MLFLOW = Phrase("an MLflow model", "un modelo de MLflow")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that holds a fitted model.

    Parameters
    ----------
    given : str
        As the user named it, for messages.
    path : Path
        The file itself; within an MLflow folder, the one that it names.
    form : {"skops", "pickle", "onnx", "xgboost", "lightgbm"}
    sha256 : str
    size : int
    mlflow : dict of str to str, or None
        What an MLflow folder says of it.
    """

    given: str
    path: Path
    form: str
    sha256: str
    size: int
    mlflow: dict[str, str] | None = None

    def document(self) -> dict[str, object]:
        """Give it for the lineage."""
        return {
            "file": Path(self.given).name,
            "format": self.form,
            "sha256": self.sha256,
            "bytes": self.size,
            **({"mlflow": self.mlflow} if self.mlflow is not None else {}),
        }


def look_at(path: Path, *, allow_pickle: bool) -> ModelFile:
    """Recognise a model file without reading it as a model.

    Raises
    ------
    UnreadableModel
        If it is not there, or of no form that is known.
    ModelFileTooLarge
        Over 2 GiB.
    PickleNotAllowed
        If it is a pickle and ``allow_pickle`` is false.
    """
    given, mlflow, file = str(path), None, path.expanduser()
    if file.is_dir():
        model = read_mlmodel(file)
        file, mlflow = model.file, {"flavour": model.flavour, **model.entries}
    if not file.is_file():
        raise UnreadableModel(
            path=given, form=Phrase("a model", "un modelo"), found=what_is_there(file)
        )
    size = file.stat().st_size
    if size > LARGEST:
        raise ModelFileTooLarge(
            path=given, found=f"{size / 2**30:.1f} GiB", expected=f"{LARGEST / 2**30:.0f} GiB"
        )
    with file.open("rb") as stream:
        form = _form(stream.read(_HEAD), file.suffix.lower())
    if form is None:
        raise UnreadableModel(
            path=given,
            form=Phrase("a model", "un modelo"),
            found=Phrase("none of the known forms", "ninguna de las formas conocidas")
            if size
            else Phrase("an empty file", "un archivo vacío"),
        )
    if form == "pickle" and not allow_pickle:
        raise PickleNotAllowed(path=given)
    with file.open("rb") as stream:
        digest = sha256()
        while part := stream.read(1 << 20):
            digest.update(part)
    return ModelFile(given, file.resolve(), form, digest.hexdigest(), size, mlflow)


def _form(head: bytes, ending: str) -> str | None:
    if head.startswith(b"PK"):
        return "skops"
    if head.startswith(b"tree\n"):
        return "lightgbm"
    if head[:1] == b"{" and (b'"learner"' in head or b"learner" in head or ending == ".json"):
        return "xgboost"  # .json, or .ubj, whose objects begin with a brace too
    if head[:1] == b"\x80" or head.startswith(_COMPRESSED):
        return "pickle"
    if ending == ".onnx" or (head[:1] == b"\x08" and b"ai.onnx" in head):
        return "onnx"
    if ending in {".pkl", ".pickle", ".joblib"} and head:
        return "pickle"
    if ending == ".skops" and head:
        return "skops"
    return None


# --- MLflow


class MlflowModel(NamedTuple):
    """The file of a model folder that holds the model.

    Parameters
    ----------
    file : Path
    flavour : {"sklearn", "xgboost", "lightgbm", "onnx"}
    entries : dict of str to str
        What ``MLmodel`` says of the flavour: library version, class, serialization.
    """

    file: Path
    flavour: str
    entries: dict[str, str]


def read_mlmodel(folder: Path) -> MlflowModel:
    """Find the model in an MLflow folder.

    Raises
    ------
    UnreadableModel
        If there is no ``MLmodel`` file, none of its flavours is read here, or the file that it
        names is not in the folder.
    """
    try:
        text = (folder / "MLmodel").read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableModel(
            path=str(folder),
            form=_MLFLOW,
            found=Phrase(
                "a folder without a readable file MLmodel ({error})",
                "una carpeta sin un archivo MLmodel legible ({error})",
                error=getattr(error, "strerror", None) or type(error).__name__,
            ),
        ) from None
    flavours = flavours_of(text)
    flavour = next((name for name in _FLAVOURS if name in flavours), None)
    if flavour is None:
        raise UnreadableModel(
            path=str(folder),
            form=_MLFLOW,
            found=Phrase(
                "flavours {names}, none of {known}",
                "tipos {names}, ninguno de {known}",
                names=closest("sklearn", list(flavours)),
                known=", ".join(_FLAVOURS),
            ),
        )
    entries = flavours[flavour]
    name = entries.get(_FLAVOURS[flavour]) or flavours.get("python_function", {}).get("model_path")
    file = (folder / (name or "")).resolve()
    if not name or not file.is_relative_to(folder.resolve()) or not file.exists():
        raise UnreadableModel(
            path=str(folder),
            form=_MLFLOW,
            found=Phrase(
                "no file {name!r} in it: {what}",
                "no está su archivo {name!r}: {what}",
                name=name or "",
                what=what_is_there(file),
            ),
        )
    if file.is_dir():
        inner = sorted(part for part in file.iterdir() if part.is_file())
        file = inner[0] if len(inner) == 1 else file
    return MlflowModel(file, flavour, entries)


def flavours_of(text: str) -> dict[str, dict[str, str]]:
    r"""Read the section ``flavors`` of an ``MLmodel`` file: the plain entries of each flavour.

    Examples
    --------
    >>> flavours_of("flavors:\n  sklearn:\n    pickled_model: model.pkl\n")
    {'sklearn': {'pickled_model': 'model.pkl'}}
    """
    found: dict[str, dict[str, str]] = {}
    inside = False
    levels: list[int] = []
    current: dict[str, str] | None = None
    for line in text.splitlines():
        match = _ENTRY.fullmatch(line.rstrip())
        if match is None:
            continue  # a list, a comment or the rest of a long text: none of them is needed
        depth, key = len(match["indent"]), match["key"]
        if depth == 0:
            inside, levels, current = key == "flavors", [], None
        elif inside:
            if not levels:
                levels.append(depth)
            if depth == levels[0]:
                current, levels = found.setdefault(key, {}), levels[:1]
            elif current is not None:
                if len(levels) == 1:
                    levels.append(depth)
                if depth == levels[1] and match["value"]:
                    current[key] = _scalar(match["value"])
    return found


def _scalar(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return "" if value in ("null", "~") else value
