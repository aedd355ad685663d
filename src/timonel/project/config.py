"""``timonel.toml``: the project's name, time zone, language, modules and settings."""

import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from timonel.errors import Phrase, ProjectFault, closest
from timonel.project.errors import InvalidConfig, InvalidSetting, NoProject, UnknownSetting
from timonel.settings import Settings
from timonel.wire.checks import expected_by

FILE = "timonel.toml"


class _ProjectTable(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    timezone: str | None = None
    language: Literal["en", "es"] | None = None
    models: list[str] = Field(default=["model"], min_length=1)


_SettingsTable = create_model(
    "_SettingsTable",
    __config__=ConfigDict(extra="forbid"),
    **{name: (field.annotation, field) for name, field in Settings.model_fields.items()},  # type: ignore[call-overload]
)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project: _ProjectTable
    settings: _SettingsTable = _SettingsTable()


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """What ``timonel.toml`` says.

    Parameters
    ----------
    name : str
    timezone : str
        IANA name; the host's where the file gives none.
    language : {"en", "es"} or None
    models : tuple of str
        The modules that declare models.
    settings : dict
        The entries of ``[settings]`` that were given.
    """

    name: str
    timezone: str
    language: str | None
    models: tuple[str, ...]
    settings: dict[str, Any]


def read_config(folder: Path) -> ProjectConfig:
    """Read a project's ``timonel.toml``.

    Raises
    ------
    NoProject
        If the folder has none.
    InvalidConfig, UnknownSetting
        Naming the entry, what was found and what was expected.
    """
    file = folder / FILE
    try:
        document = tomllib.loads(file.read_text("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        raise NoProject(folder=str(folder.absolute())) from None
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"line (\d+)", str(error))
        line = Phrase("the end", "el final")
        if match:
            line = Phrase("line {n}", "la línea {n}", n=match[1])
        raise InvalidConfig(file=str(file), entry=line, found=str(error), expected="TOML") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(
            file=str(file),
            entry=Phrase("the file", "el archivo"),
            found=str(error),
            expected=Phrase("UTF-8 text", "texto en UTF-8"),
        ) from None
    try:
        read = _File.model_validate(document)
    except ValidationError as error:
        raise _fault(str(file), error) from None
    project = read.project
    zone = checked_timezone(project.timezone or host_timezone(), str(file))
    return ProjectConfig(
        name=project.name,
        timezone=zone,
        language=project.language,
        models=tuple(name.removesuffix(".py") for name in project.models),
        settings=dict(document.get("settings", {})),
    )


def _fault(file: str, error: ValidationError) -> ProjectFault:
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    entry = ".".join(place)
    if first["type"] == "extra_forbidden":
        tables: dict[str, type[BaseModel]] = {"project": _ProjectTable, "settings": _SettingsTable}
        table = tables.get(place[0]) if len(place) > 1 else _File
        known = list(table.model_fields) if table else []
        return UnknownSetting(file=file, entry=entry, known=closest(place[-1], known))
    if first["type"] == "missing":
        return InvalidConfig(
            file=file, entry=entry, found=Phrase("missing", "nada"), expected=_wanted(entry)
        )
    return InvalidConfig(
        file=file,
        entry=entry,
        found=repr(first["input"]),
        expected=_wanted(entry) or expected_by(first),
    )


def _wanted(entry: str) -> str:
    return {
        "project": Phrase("a table [project] with a name", "una tabla [project] con un nombre"),
        "project.name": Phrase(
            "a name of a-z, 0-9, - and _, beginning with a letter",
            "un nombre de a-z, 0-9, - y _, que empiece con una letra",
        ),
    }.get(entry, "")


def host_timezone() -> str:
    """Give the IANA name of this host's time zone; "UTC" where it has none.

    The variable ``TZ`` goes before ``/etc/timezone`` and ``/etc/localtime``.
    """
    candidates = [os.environ.get("TZ", "").removeprefix(":")]
    with suppress(OSError, UnicodeDecodeError):
        candidates.append(Path("/etc/timezone").read_text("utf-8").strip())
    candidates.append(str(Path("/etc/localtime").resolve()))
    for candidate in candidates:
        name = candidate.partition("zoneinfo/")[2] or candidate
        if _is_zone(name):
            return name
    return "UTC"


def checked_timezone(name: str, place: str) -> str:
    """Give a time zone's name back; refuse one that does not exist.

    Raises
    ------
    InvalidConfig
    """
    if _is_zone(name):
        return name
    raise InvalidConfig(
        file=place,
        entry="project.timezone",
        found=repr(name),
        expected=Phrase(
            "an IANA name as 'America/Santiago'", "un nombre IANA como 'America/Santiago'"
        ),
    )


def _is_zone(name: str) -> bool:
    if not name or name.startswith("/"):
        return False
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def read_settings(folder: Path, overrides: Mapping[str, Any]) -> tuple[ProjectConfig, Settings]:
    """Read ``timonel.toml``, and the settings by their precedence.

    Parameters
    ----------
    folder : Path
    overrides : mapping
        Settings from a command line or a call; None means "not given".

    Raises
    ------
    ProjectFault
        If there is no readable ``timonel.toml``, or a setting is not usable.
    """
    config = read_config(folder)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**(config.settings | Settings().model_dump(exclude_unset=True) | given))
    except ValidationError as error:
        raise _unusable_setting(error) from None
    return config, settings


def _unusable_setting(error: ValidationError) -> InvalidSetting:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "?"
    return InvalidSetting(
        name=name,
        variable=f"TIMONEL_{name.upper()}",
        found="***" if name in ("admin_key", "database_url") else repr(first["input"])[:100],
        expected=expected_by(first),
    )
