"""A project: a folder of declarations, loaded without leaving traces in the interpreter."""

import ast
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from timonel.errors import ProjectFault, TimonelError, closest
from timonel.project.config import read_config
from timonel.project.errors import (
    BrokenModule,
    DuplicateModel,
    MissingModule,
    MissingRules,
    NoModel,
    ProjectProblems,
    UndeclaredModel,
)
from timonel.project.model import Model
from timonel.project.sources import Source
from timonel.project.tables import Table
from timonel.wire.rules import RulesSource

_importing = threading.RLock()


@dataclass(frozen=True, slots=True)
class Project:
    """What a project folder declares.

    Parameters
    ----------
    folder : Path
    name : str
    timezone : str
        IANA name.
    models : dict of str to Model
        By name, in the order of their declaration.
    settings : dict
        The entries of ``[settings]`` in ``timonel.toml``.
    language : {"en", "es"} or None
    """

    folder: Path
    name: str
    timezone: str
    models: dict[str, Model]
    settings: dict[str, Any]
    language: str | None = None

    def model(self, name: str) -> Model:
        """Give a declared model.

        Raises
        ------
        UndeclaredModel
            Listing the declared ones, the most alike first.
        """
        if name not in self.models:
            raise UndeclaredModel(model=name, known=closest(name, list(self.models)))
        return self.models[name]

    def rules_source(self, model: Model) -> RulesSource | None:
        """Give the text of a model's rules module and the function to call; None without rules.

        Raises
        ------
        MissingRules, BrokenModule
            If the module or the function is not there, or the text is no Python.
        """
        if model.fallback is None:
            return None
        module, function = model.fallback.split(":")
        file = self.folder / f"{module.replace('.', '/')}.py"
        known: list[str] = []
        if file.is_file():
            text = _read(file)
            known = [
                part.name for part in _parsed(text, file).body if isinstance(part, ast.FunctionDef)
            ]
            if function in known:
                return RulesSource(module=module, function=function, source=text)
        raise MissingRules(
            model=model.name,
            fallback=model.fallback,
            file=str(file),
            function=function,
            known=closest(function, known),
        )

    def problems(self) -> list[ProjectFault]:
        """List what keeps the project from running: rules, files and addresses that are missing."""
        found: list[ProjectFault] = []
        for model in self.models.values():
            try:
                self.rules_source(model)
            except ProjectFault as fault:
                found.append(fault)
            if isinstance(model.source, Table):
                found.extend(model.source.problems())
            if model.lookup is not None:
                found.extend(model.lookup.problems())
        return found

    def absences(self) -> list[ProjectFault]:
        """List what may come later: sources of outcomes that are not there, and stop no answer."""
        sources = [model.outcome.source for model in self.models.values()]
        return [fault for one in sources if one is not None for fault in one.problems()]

    def check(self) -> None:
        """Refuse a project that cannot run.

        Raises
        ------
        ProjectFault
            The fault itself when there is one, ``ProjectProblems`` listing them all when more.
        """
        found = self.problems()
        if len(found) == 1:
            raise found[0]
        if found:
            raise ProjectProblems.of(str(self.folder), found)


def load_project(folder: Path) -> Project:
    """Read ``timonel.toml``, import the modules that it names and collect their models.

    The project's folder is on ``sys.path`` only while importing, and what was imported from it
    leaves ``sys.modules`` afterwards, so two projects never see each other's modules.

    Raises
    ------
    ProjectFault
        Naming the file and, for Python, the line.
    """
    folder = Path(folder).expanduser().absolute()
    config = read_config(folder)
    models: dict[str, Model] = {}
    homes: dict[str, str] = {}
    with _on_path(folder):
        for name in config.models:
            module = _imported(folder, name)
            for model in _declared(module):
                if model.name in models:
                    files = ", ".join(dict.fromkeys([homes[model.name], f"{name}.py"]))
                    raise DuplicateModel(model=model.name, files=files)
                homes[model.name] = f"{name}.py"
                models[model.name] = _bound(model, folder)
    if not models:
        raise NoModel(files=", ".join(f"{name}.py" for name in config.models))
    return Project(folder, config.name, config.timezone, models, config.settings, config.language)


def _declared(module: ModuleType) -> Iterator[Model]:
    seen: set[int] = set()
    for value in vars(module).values():
        listed = value if isinstance(value, list | tuple) else [value]
        for model in listed:
            if isinstance(model, Model) and id(model) not in seen:
                seen.add(id(model))
                yield model


def _bound(model: Model, folder: Path) -> Model:
    """Let a model's data begin in the project's folder: their paths, or the function's imports."""
    if model.lookup is not None and model.lookup.folder is None:
        model = replace(model, lookup=model.lookup.within(folder))
    model = replace(model, outcome=model.outcome.within(folder))
    source = model.source
    if isinstance(source, Table):
        return replace(model, source=source.within(folder)) if source.folder is None else model
    if isinstance(source, Source):
        return model

    @wraps(source)
    def read() -> Any:
        with _on_path(folder):  # the function may import its neighbours only now
            return source()

    return replace(model, source=read)


# --- loading the user's Python


def _imported(folder: Path, name: str) -> ModuleType:
    file = folder / f"{name.replace('.', '/')}.py"
    if not file.is_file():
        there = sorted(path.stem for path in folder.glob("*.py"))
        raise MissingModule(module=name, file=str(file), known=closest(name, there))
    text = _read(file)
    _parsed(text, file)
    # Registered under a name of its own while the process lives: pickle, dataclasses and inspect
    # look a module up, and two projects may both have a model.py.
    unique = f"timonel_project_{sha256(str(file).encode()).hexdigest()[:12]}.{name}"
    module = ModuleType(unique)
    module.__file__ = str(file)
    sys.modules[unique] = module
    try:
        exec(compile(text, str(file), "exec"), module.__dict__)  # noqa: S102 - the user's own code
    except TimonelError:
        sys.modules.pop(unique, None)
        raise
    except (Exception, SystemExit) as error:
        sys.modules.pop(unique, None)
        raise _broken(error, folder, file) from error
    return module


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        data = file.read_bytes()
        line = data.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{data[error.start]:02X} is no UTF-8"
        raise BrokenModule(file=str(file), line=line, found=found) from None
    except OSError as error:
        raise BrokenModule(file=str(file), line=1, found=error.strerror) from None


def _parsed(text: str, file: Path) -> ast.Module:
    try:
        return ast.parse(text, str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        found = f"{type(error).__name__}: {getattr(error, 'msg', None) or error}"
        raise BrokenModule(file=str(file), line=line, found=found) from None


def _broken(error: BaseException, folder: Path, file: Path) -> BrokenModule:
    if isinstance(error, SyntaxError) and error.filename:
        return BrokenModule(
            file=error.filename, line=error.lineno or 1, found=f"SyntaxError: {error.msg}"
        )
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    at = own[-1] if own else None
    return BrokenModule(
        file=at.filename if at else str(file),
        line=(at.lineno if at else None) or 1,
        found=f"{type(error).__name__}: {error}",
    )


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    entry = str(folder)
    with _importing:
        near = {path.stem for path in folder.glob("*.py")} - sys.stdlib_module_names
        hidden = {name: sys.modules.pop(name) for name in near & set(sys.modules)}
        before = set(sys.modules)
        written = sys.dont_write_bytecode
        sys.path.insert(0, entry)
        sys.dont_write_bytecode = True  # a stale .pyc must never answer for an edited file
        try:
            yield
        finally:
            sys.dont_write_bytecode = written
            sys.path.remove(entry)
            for name in set(sys.modules) - before:
                file = getattr(sys.modules[name], "__file__", None)
                ours = name.startswith("timonel_project_")
                if file and not ours and Path(file).is_relative_to(folder):
                    del sys.modules[name]
            sys.modules.update(hidden)
