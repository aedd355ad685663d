"""How the truth about predictions arrives."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from timonel.errors import Phrase
from timonel.project.durations import duration
from timonel.project.tables import Table
from timonel.schema.errors import InvalidDeclaration
from timonel.wire.answer import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the truth arrives.

    Parameters
    ----------
    key : str or None
        The request field by which outcomes name a prediction (an id of the user's own, not a
        feature). None: only by ``prediction_id``.
    horizon : str
        How long after a prediction its outcome may come (``"30d"``).
    absent : label or None
        What no outcome by the horizon means (``absent=0`` matures to a negative); None: unknown.
    source : Csv, Excel, Parquet or Sql, or None
        Where truths land by themselves: it is read on ``schedule``, whole, and what is known
        already changes nothing. None: they are pushed, or imported by hand.
    time : str or None
        Its column that says when each truth held; needed beside ``key``, for the same row of a
        later night may be the old truth or a new one.
    value : str or None
        Its column of truths; None: the model's target.
    prediction_id : str or None
        Its column of prediction ids, where they are not named by ``key``.
    schedule : str
        When it is read: five fields of cron, in the project's time zone (default: each hour).
    """

    key: str | None = None
    horizon: str = "30d"
    absent: Label | None = None
    source: Table | None = None
    time: str | None = None
    value: str | None = None
    prediction_id: str | None = None
    schedule: str = "0 * * * *"

    def __post_init__(self) -> None:
        duration(self.horizon)
        source = self.source
        if source is None:
            for name in ("time", "value", "prediction_id"):
                _check(name, getattr(self, name), not getattr(self, name), _NO_SOURCE)
            return
        _check("source", source, isinstance(source, Table), _A_TABLE)
        url = getattr(source, "url", None)
        _check("source", source, url != "", _AN_ADDRESS)
        named = self.key is not None or self.prediction_id is not None
        _check("source", source, named, _A_NAME)
        dated = self.time is not None or self.prediction_id is not None
        _check("time", self.time, dated, _A_TIME)

    def within(self, folder: Path) -> "Outcome":
        """Let its source begin in a folder."""
        if self.source is None or self.source.folder is not None:
            return self
        return replace(self, source=self.source.within(folder))


_NO_SOURCE = Phrase("a source beside it", "una fuente (source) a su lado")
_A_TABLE = Phrase("a Csv, Excel, Parquet or Sql", "un Csv, Excel, Parquet o Sql")
_AN_ADDRESS = Phrase("a url (an address, or env:NAME)", "una url (una dirección, o env:NOMBRE)")
_A_NAME = Phrase(
    "key or prediction_id beside it: what names the predictions",
    "key o prediction_id a su lado: lo que nombra las predicciones",
)
_A_TIME = Phrase(
    "the column that says when each truth held (the same row of a later night may be new)",
    "la columna que dice de cuándo es cada resultado (la misma fila de otra noche puede ser nueva)",
)


def _check(name: str, found: Any, ok: object, expected: Phrase) -> None:
    if not ok:
        raise InvalidDeclaration(object=f"Outcome({name}=)", found=repr(found), expected=expected)
