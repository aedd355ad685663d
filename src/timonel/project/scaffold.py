"""``timonel init``: from a table and the name of a column to a project that runs."""

import os
import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from timonel.errors import Phrase
from timonel.project import generated
from timonel.project.config import checked_timezone, host_timezone
from timonel.project.errors import ProjectExists
from timonel.project.generated import Plan
from timonel.project.reading.errors import UnsupportedSource
from timonel.project.report import render
from timonel.project.sources import Csv, Excel, Parquet, Sql, holds_password, masked
from timonel.project.survey import Survey, example_split, survey
from timonel.project.tables import FileTable, Table
from timonel.schema.inference import Decision

REPORT_FILE = "timonel.init.txt"
FILES = (
    "timonel.toml",
    "model.py",
    "rules.py",
    "README.md",
    ".gitignore",
    "sample_request.json",
    REPORT_FILE,
)
_CSV = (".csv", ".tsv", ".txt", ".tab", ".dat", ".psv", "")
_EXCEL = (".xlsx", ".xlsm")
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True, slots=True)
class InitReport:
    """What ``init`` wrote and decided.

    Parameters
    ----------
    folder : Path
        The new project.
    model, target : str
    files : tuple of str
        Written, relative to ``folder``.
    origin : str
        Where the data came from, without password.
    survey : Survey
        The settled source, the decisions and the notes.
    language : {"en", "es"}
        Of the files.
    """

    folder: Path
    model: str
    target: str
    files: tuple[str, ...]
    origin: str
    survey: Survey
    language: str

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """One decision a column, in the order of the table."""
        return self.survey.inference.decisions

    def render(self, lang: str | None = None) -> str:
        """Give the plain text that the command prints and the project keeps."""
        return render(self.model, self.target, self.origin, self.survey, lang or self.language)


def init_project(
    file: str | Path,
    target: str,
    folder: str | Path | None = None,
    *,
    query: str | None = None,
    name: str | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    sheet: str | None = None,
    date_formats: Mapping[str, str] | None = None,
    kinds: Mapping[str, str] | None = None,
    missing: Collection[str] = (),
    exclude: Collection[str] = (),
    keep: Collection[str] = (),
    timezone: str | None = None,
    language: Literal["en", "es"] = "en",
) -> InitReport:
    """Write a project that trains and serves a model of ``target``.

    The data are referred to where they are, not copied: a second copy of personal data would be
    one too many, and next month's file replaces this one.

    Parameters
    ----------
    file : str or Path
        A CSV, xlsx or Parquet file, or a database URL (then ``query`` says what to read).
    target : str
        The column to predict.
    folder : str or Path or None
        Where to write; None: ``./<name of the file>``.
    name : str or None
        The model's and the project's; None: made from the file's name.
    date_formats : mapping of str to str or None
        strptime format of columns whose dates are ambiguous.
    kinds : mapping of str to str or None
        Columns whose kind is settled by the user ("text", "category", "number", "date", "flag").
    missing, exclude, keep : collection of str
        Words that mean missing; columns to leave out; columns to use though they look suspicious.
    timezone : str or None
        IANA name; None: the host's.

    Raises
    ------
    ProjectExists
        If a file of a project is already there; nothing is overwritten.
    ProjectFault
        If the table cannot be read, or no model can be made of it; nothing is written.
    """
    source, stem, origin = _source_of(str(file), query, sheet, encoding, separator)
    slug = slug_of(name or stem)
    home = Path(folder) if folder is not None else Path(slug)
    _refuse_existing(home)
    zone = checked_timezone(timezone or host_timezone(), FILES[0])
    source = replace(
        source,
        decimal=decimal,
        thousands=thousands,
        dates=dict(date_formats or {}),
        missing=tuple(missing),
    )
    surveyed = survey(source, target, kinds=kinds, exclude=exclude, keep=keep)
    surveyed = _referring(surveyed, home)
    plan = Plan(
        name=slug,
        target=target,
        origin=origin,
        timezone=zone,
        language=language,
        survey=surveyed,
        split=example_split(surveyed, target),
    )
    report = InitReport(home.absolute(), slug, target, FILES, origin, surveyed, language)
    _write(home, plan, report)
    return report


def _write(home: Path, plan: Plan, report: InitReport) -> None:
    texts = {
        "timonel.toml": generated.timonel_toml(plan),
        "model.py": generated.model_py(plan),
        "rules.py": generated.rules_py(plan),
        "README.md": generated.readme(plan),
        ".gitignore": generated.GITIGNORE,
        "sample_request.json": generated.sample_request(plan),
        REPORT_FILE: report.render(),
    }
    home.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with (home / name).open("x", encoding="utf-8", newline="\n") as out:
            out.write(texts[name])


def _refuse_existing(folder: Path) -> None:
    there = [name for name in FILES if (folder / name).exists()]
    if folder.exists() and not folder.is_dir():
        there = [folder.name]
    if there:
        raise ProjectExists(folder=str(folder), found=", ".join(there))


def slug_of(text: str) -> str:
    """Make a model's name of any text: "Pérdida de clientes" -> "perdida-de-clientes"."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    slug = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:50].strip("-_")
    if not slug:
        return "model"
    return slug if slug[0].isalpha() else f"m-{slug}"


def source_for(path: Path) -> Table:
    """Give the source of a file of data, by its ending; its dialect is found when it is read.

    Raises
    ------
    UnsupportedSource
        If the ending is none of CSV, xlsx and Parquet.
    """
    return _source_of(str(path), None, None, None, None)[0]


def _source_of(
    given: str, query: str | None, sheet: str | None, encoding: str | None, separator: str | None
) -> tuple[Table, str, str]:
    if "://" in given or given.startswith("env:"):
        if not query:
            raise UnsupportedSource(
                path=masked(given),
                found=Phrase("no query", "ninguna consulta"),
                expected='--query "select ..."',
            )
        table = re.search(r"\bfrom\s+[\"`\[]?(?:\w+\.)?(\w+)", query, re.IGNORECASE)
        return Sql(query, given), table[1] if table else "model", masked(given)
    path = Path(given).expanduser()
    ending = path.suffix.lower()
    origin = path.name
    if ending in _PARQUET:
        return Parquet(path), path.stem, origin
    if ending in _EXCEL:
        return Excel(path, sheet=sheet), path.stem, origin
    if ending in _CSV:
        return Csv(path, encoding=encoding, separator=separator), path.stem, origin
    raise UnsupportedSource(
        path=given,
        found=Phrase(
            "a file ending in {ending!r}", "un archivo terminado en {ending!r}", ending=ending
        ),
        expected=Phrase(".csv, .xlsx or .parquet", ".csv, .xlsx o .parquet"),
    )


def _referring(surveyed: Survey, home: Path) -> Survey:
    """Let the source refer to its data from the project's folder, and keep no password."""
    source = surveyed.source
    if isinstance(source, FileTable):
        path = Path(source.path).absolute()
        relative = Path(os.path.relpath(path, home.absolute()))
        near = relative.parts[:3].count("..") <= 2
        return replace(
            surveyed, source=replace(source, path=(relative if near else path).as_posix())
        )
    if isinstance(source, Sql):
        url = source.url
        if holds_password(url):
            url = "env:TIMONEL_SOURCE_URL"
        elif url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
            path = Path(url.removeprefix("sqlite:///")).absolute()
            url = f"sqlite:///{path.as_posix()}"
        return replace(surveyed, source=replace(source, url=url))
    return surveyed
