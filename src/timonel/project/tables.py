"""What every source of tables has: how its cells are read, and where relative paths begin."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from timonel.errors import Phrase, ProjectFault
from timonel.project.reading.errors import MissingFile

if TYPE_CHECKING:
    import polars as pl

    from timonel.project.reading.cells import Note, Reading
    from timonel.project.reading.raw import RawTable


class Settled(NamedTuple):
    """Typed rows, the same source with everything explicit, and what evidence settled."""

    frame: "pl.DataFrame"
    source: "Table"
    notes: "list[Note]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What the sources of this module have: how cells are read.

    Parameters
    ----------
    decimal, thousands : str or None
        The marks of numbers written as text: ``","`` and ``"."``.
    decimals : mapping of str to str
        Columns whose decimal mark is another one.
    dates : mapping of str to str
        strptime format of date columns (``"%d/%m/%Y"``); a time of day may follow it.
    columns : mapping of str to str, or None
        The columns to read and the kind of each: "number", "text", "label" (words, for a target),
        "flag" (yes/no), "0/1" (yes/no as 1 and 0) or "date". None: all columns, by evidence.
    true, false, missing : tuple of str
        Words beyond the usual ones (si, yes, true; NA, N/A, -, null, #N/A, s/i).
    folder : Path or None
        Where relative paths begin; the project's folder once the project is loaded.
    """

    decimal: str | None = None
    thousands: str | None = None
    decimals: Mapping[str, str] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] | None = None
    true: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    folder: Path | None = field(default=None, repr=False, compare=False)

    def read(self) -> "pl.DataFrame":
        """Give all rows as a polars DataFrame, typed.

        Raises
        ------
        ProjectFault
            Naming the file, line and column, what was found and what was expected.
        """
        return self.settle().frame

    def settle(self) -> Settled:
        """Read, and say what was settled by evidence."""
        from timonel.project.reading.cells import type_table  # polars only when data are read

        raw, found = self.load()
        typed = type_table(raw, self.reading())
        reading = typed.reading
        settled = replace(
            self,
            decimal=reading.decimal,
            thousands=reading.thousands,
            decimals=reading.decimals,
            dates=reading.dates,
            columns=reading.columns,
            **found,
        )
        return Settled(typed.frame, settled, typed.notes)

    def within(self, folder: Path) -> Self:
        """Give the same source with relative paths beginning in a folder."""
        return replace(self, folder=folder)

    def for_columns(self, kinds: Mapping[str, str]) -> Self:
        """Give the same source that reads just these columns as these kinds.

        Kinds that the source declares itself go first.
        """
        own = self.columns or {}
        return replace(self, columns={name: own.get(name, kind) for name, kind in kinds.items()})

    def describe(self) -> dict[str, Any]:
        """Give a JSON-safe description (kind, path or query, dialect) for lineage."""
        said = {
            part.name: getattr(self, part.name) for part in fields(self) if part.name != "folder"
        }
        plain = {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in said.items()
            if value not in (None, (), {})
        }
        return {"kind": type(self).__name__.lower()} | plain

    def problems(self) -> Iterable[ProjectFault]:
        """Tell what keeps the source from being read, without reading it."""
        return ()

    def load(self) -> "tuple[RawTable, dict[str, Any]]":
        """Give the cells before they are typed, and the dialect that was found."""
        raise NotImplementedError

    def reading(self) -> "Reading":
        """Give how the cells are to be read."""
        from timonel.project.reading.cells import Reading

        return Reading(
            decimal=self.decimal or {".": ",", ",": "."}.get(self.thousands or ""),
            thousands=self.thousands,
            decimals=self.decimals,
            dates=self.dates,
            columns=self.columns,
            true=self.true,
            false=self.false,
            missing=self.missing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTable(Table):
    """A source that is one file."""

    path: str | Path = field(kw_only=False)

    def located(self) -> Path:
        """Give the path as it is opened: relative ones begin in ``folder``."""
        path = Path(self.path).expanduser()
        return path if path.is_absolute() or self.folder is None else self.folder / path

    def problems(self) -> Iterable[ProjectFault]:
        """Tell whether the file is missing."""
        path = self.located()
        if not path.is_file():
            yield MissingFile(path=str(path), found=what_is_there(path))

    def describe(self) -> dict[str, Any]:
        """Give a JSON-safe description (kind, path, dialect) for lineage."""
        return Table.describe(self) | {"path": str(self.path)}

    def content(self) -> bytes:
        """Give the bytes of the file."""
        path = self.located()
        try:
            return path.read_bytes()
        except OSError as error:
            found = error.strerror if path.is_file() else what_is_there(path)
            raise MissingFile(path=str(path), found=found) from None


def what_is_there(path: Path) -> str:
    """Say what stands where a file was expected, and a name that is alike."""
    if path.is_dir():
        return Phrase("it is a folder", "es una carpeta")
    if not path.parent.is_dir():
        return Phrase(
            "no such folder: {folder}", "no existe la carpeta: {folder}", folder=path.parent
        )
    names = sorted(p.name for p in path.parent.iterdir() if p.is_file())[:200]
    alike = next(iter(get_close_matches(path.name, names, n=1, cutoff=0.6)), None)
    hint = f" ({alike}?)" if alike else ""
    return Phrase("no such file{hint}", "no existe el archivo{hint}", hint=hint)
