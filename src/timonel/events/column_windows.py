"""What came in and what was answered, column by column and hour by hour, as counts.

Each stored prediction is counted in the cells of the profile of the version that answered; what
rules or the baseline answered, in those of the champion, under version ""; what was recorded of a
model of the outside, in those of the champion too, under that model's own version. So a check
compares a window with its reference without reading a single raw row. Recorded answers that came
without their inputs are in no window: they are not rows of missing values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import Any, Literal

import msgspec
from msgspec.structs import astuple
from sqlalchemy import Connection, select

from timonel.events.frames import NO_INPUTS, PredictionFrame
from timonel.stats.multivariate.row_outliers import RowOutliers, outliers_add
from timonel.stats.profiles.cells import Cells, WordCells
from timonel.stats.profiles.profile import Profile
from timonel.stats.profiles.reference import PREDICTION, SCORE
from timonel.stats.profiles.rows import RowCounter, Totals
from timonel.store.keyed import read_keyed, write_keyed
from timonel.store.tables import aliases, model_versions
from timonel.store.tables_loop import column_windows, profiles
from timonel.wire.answer import is_outside

HOUR_US = 3_600_000_000
_N_KEY = 7

Key = tuple[Any, ...]

_row_of = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class _Profiled(msgspec.Struct):
    """The part of a serving manifest that says on what its traffic is counted."""

    profile: str | None = None
    outliers: dict[str, Any] | None = None


_manifest_of = msgspec.json.Decoder(_Profiled).decode


@dataclass(slots=True)
class Sums:
    """What was counted of the predictions of a window, and of those looked at for outliers."""

    totals: Totals
    outliers: dict[str, Any] | None

    @classmethod
    def of(cls, profile: Profile, n: int, text: str) -> "Sums":
        """Read a stored row."""
        counts = msgspec.json.decode(text)
        return cls(Totals.of(profile, {"n": n, **counts}), counts.get("outliers"))

    def add(self, other: "Sums") -> None:
        """Add the sums of other predictions."""
        self.totals.add(other.totals)
        looked = [one.outliers for one in (self, other) if one.outliers is not None]
        self.outliers = reduce(outliers_add, looked) if looked else None

    def counts(self) -> dict[str, Any]:
        """Give them zero-suppressed, as ``counts_text`` writes them."""
        counts = self.totals.counts()
        return counts if self.outliers is None else {**counts, "outliers": self.outliers}


class ProfiledRows:
    """Turns logged predictions into rows of a profile, and counts them.

    Parameters
    ----------
    profile_id : str
    profile : Profile
        Its cells are counted on.
    outliers : RowOutliers or None
        What tells rows that stand out, where a model asks for it.
    """

    __slots__ = (
        "_counter",
        "_decoders",
        "_inputs",
        "_kinds",
        "_numeric_answer",
        "_outliers",
        "_scored",
        "profile",
        "profile_id",
    )

    def __init__(
        self, profile_id: str, profile: Profile, outliers: RowOutliers | None = None
    ) -> None:
        self.profile_id = profile_id
        self.profile = profile
        kinds = {name: column.kind for name, column in profile.columns.items()}
        self._kinds = tuple(kinds.values())
        self._numeric_answer = kinds.get(PREDICTION) == "number"
        self._scored = SCORE in kinds
        self._inputs = {n: kind for n, kind in kinds.items() if n not in (SCORE, PREDICTION)}
        known = {name: _words_of(profile.columns[name].cells) for name in self._inputs}
        # words that the reference knows are not made anew for every row
        self._decoders = (_rows_decoder(self._inputs, known), _rows_decoder(self._inputs, {}))
        self._counter = RowCounter(profile)
        self._outliers = outliers

    def count(self, frames: Sequence[PredictionFrame]) -> "Sums":
        """Count predictions; a value that no cell can take counts as missing, and none raises."""
        if not frames:
            return Sums(self._counter.take_totals(), None)
        inputs: Sequence[Sequence[Any]] | None = self._quick_columns(frames)
        if inputs is None:
            inputs = list(zip(*map(self._row, frames), strict=True))
        columns = [*inputs, *self._answers(frames)]
        try:
            return self._count(columns)
        except (TypeError, ValueError, OverflowError):
            given = zip(columns, self._kinds, strict=True)
            return self._count([[_fitting(v, kind) for v in values] for values, kind in given])

    def _count(self, columns: Sequence[Sequence[Any]]) -> "Sums":
        self._counter.clear()
        self._counter.extend_columns(columns)
        totals = self._counter.take_totals()
        if self._outliers is None:
            return Sums(totals, None)
        return Sums(totals, self._outliers.look(list(zip(*columns, strict=True))))

    def _quick_columns(self, frames: Sequence[PredictionFrame]) -> list[list[Any]] | None:
        """Read inputs as they should be; None where a value is of another kind."""
        texts = [frame.features for frame in frames]
        # one list of all rows takes half the time of each by itself; joined once, not copied again
        texts[0] = b"[" + texts[0]
        texts[-1] += b"]"
        rows = self._read(b",".join(texts))
        if rows is None or len(rows) != len(frames):
            return None
        # turned through one flat list: a third of the time of zip(*rows), whose thousand tuples
        # live at once and are walked through by the collector
        values = list(chain.from_iterable(map(astuple, rows)))
        width = len(self._inputs)
        return [values[at::width] for at in range(width)]

    def _read(self, rows: bytes) -> list[Any] | None:
        for decode in self._decoders:
            try:
                return decode(rows)
            except msgspec.DecodeError:
                continue
        return None

    def _row(self, frame: PredictionFrame) -> Sequence[Any]:
        """Read one row as well as it goes."""
        quick = self._quick_columns((frame,))
        if quick is not None:
            return [value for (value,) in quick]
        try:
            given = _row_of(frame.features)
        except msgspec.DecodeError:
            given = {}
        return [given.get(name) for name in self._inputs]

    def _answers(self, frames: Sequence[PredictionFrame]) -> list[list[Any]]:
        said: list[Any] = [frame.prediction for frame in frames]
        answers = [said if self._numeric_answer else list(map(str, said))]
        return [[frame.score for frame in frames], *answers] if self._scored else answers


_TYPES: dict[str, Any] = {
    "number": float | None,
    "flag": bool | float | None,
    "category": str | None,
    "text": str | None,
    "timestamp": str | None,
}


def _words_of(cells: Cells) -> tuple[str, ...]:
    """Give all the words of a column that its reference holds; none where there are more."""
    if not isinstance(cells, WordCells) or not cells.complete:
        return ()
    try:
        "".join(cells.words).encode()
    except UnicodeEncodeError:  # a word that no JSON text can hold
        return ()
    return cells.words


def _rows_decoder(
    inputs: Mapping[str, str], known: Mapping[str, tuple[str, ...]]
) -> Callable[[bytes], list[Any]]:
    """Make the decoder of a list of rows into structs of a profile's inputs, in its order.

    Half the time of a dict of fifty columns; the answer's own columns come last in a profile.

    Parameters
    ----------
    inputs : mapping of str to str
        Kinds by column.
    known : mapping of str to tuple of str
        The only words that a column may hold; any, where there are none.
    """
    fields = [
        (f"f{at}", _type_of(kind, known.get(name)), msgspec.field(default=None, name=name))
        for at, (name, kind) in enumerate(inputs.items())
    ]
    row = msgspec.defstruct("Row", fields, gc=False)
    return msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]


def _type_of(kind: str, words: tuple[str, ...] | None) -> Any:
    return Literal[words] | None if words else _TYPES[kind]


class ColumnWindows:
    """Counts of every column, an hour of event time, by profile, version and variant."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._frames: list[PredictionFrame] = []
        self._by_version: dict[tuple[str, str], ProfiledRows | None] = {}
        self._by_id: dict[str, Profile | None] = {}
        self._written: dict[Key, tuple[int, str, Sums]] = {}

    def add_predictions(self, frames: Sequence[PredictionFrame]) -> None:
        """Take predictions; they are counted when their profile can be read."""
        self._frames += [f for f in frames if f.features != NO_INPUTS or _registered(f.version)]

    def add_truths(self, changes: Sequence[object]) -> None:
        """Truths change nothing here."""

    def add_shadows(self, results: Sequence[object]) -> None:
        """Nor does what nobody heard."""

    def write(self, connection: Connection, drainer_id: str) -> None:
        """Count what was taken and add it to the rows of this drainer.

        What was written last is still known, and is believed as far as the row says the same: to
        read a row of fifty columns and add to it costs as much as to count some hundred rows.
        """
        if not self._frames:
            return
        # whatever fails from here on, what is known is read again
        known, self._written = self._written, {}
        counted = self._counted(self._grouped(connection), drainer_id)
        stored = {
            tuple(key): (n, text, updated_at)
            for *key, n, text, updated_at in read_keyed(connection, column_windows, _N_KEY, counted)
        }
        rows, written = [], {}
        for key, (profile, sums, latest) in counted.items():
            if key in stored:
                n, text, updated_at = stored[key]
                n_known, text_known, total = known.get(key, (0, "", sums))
                if (n_known, text_known) != (n, text):
                    total = Sums.of(profile, n, text)
                total.add(sums)
                sums, latest = total, max(latest, updated_at)
            counts = sums.counts()
            text = counts_text(counts)
            written[key] = (counts["n"], text, sums)
            rows.append((*key, counts["n"], text, latest))
        write_keyed(connection, column_windows, _N_KEY, rows)
        self._written = written

    def clear(self) -> None:
        """Forget what was taken."""
        self._frames = []

    def _grouped(
        self, connection: Connection
    ) -> dict[tuple[str, str, str, int], tuple[ProfiledRows, list[PredictionFrame]]]:
        places = [(f.model, f.version, f.variant, f.at // HOUR_US) for f in self._frames]
        distinct = dict.fromkeys(places)
        champions: dict[str, str] = {}
        if not all(_registered(version) for _, version, _, _ in distinct):
            champions = _champions(connection, self._project)
        groups: dict[tuple[str, str, str, int], tuple[ProfiledRows, list[PredictionFrame]]] = {}
        for place in distinct:
            model, version = place[:2]
            if not _registered(version):
                version = champions.get(model, "")
            rows = self._rows_of(connection, model, version)
            if rows is not None:
                groups[place] = (rows, [])
        if len(distinct) == len(groups) == 1:
            [(_, frames)] = groups.values()
            frames += self._frames
            return groups
        for place, frame in zip(places, self._frames, strict=True):
            if place in groups:
                groups[place][1].append(frame)
        return groups

    def _counted(
        self,
        groups: Mapping[tuple[str, str, str, int], tuple[ProfiledRows, list[PredictionFrame]]],
        drainer_id: str,
    ) -> dict[Key, tuple[Profile, Sums, int]]:
        return {
            (self._project, model, rows.profile_id, version, variant, hour, drainer_id): (
                rows.profile,
                rows.count(frames),
                max([frame.at for frame in frames]),
            )
            for (model, version, variant, hour), (rows, frames) in groups.items()
        }

    def _rows_of(self, connection: Connection, model: str, version: str) -> ProfiledRows | None:
        """Give the profile of a version, read once; None where it has none."""
        if not version:
            return None
        if (model, version) not in self._by_version:
            v = model_versions.c
            manifest = connection.scalar(
                select(v.manifest).where(
                    v.project == self._project, v.model == model, v.version == version
                )
            )
            if manifest is None:  # registered in a moment
                return None
            self._by_version[model, version] = self._rows_as(connection, _manifest_of(manifest))
        return self._by_version[model, version]

    def _rows_as(self, connection: Connection, published: _Profiled) -> ProfiledRows | None:
        profile_id, outliers = published.profile, published.outliers
        profile = None if profile_id is None else self._profile(connection, profile_id)
        if profile_id is None or profile is None:
            return None
        look = None if outliers is None else RowOutliers.from_json(outliers, profile)
        return ProfiledRows(profile_id, profile, look)

    def _profile(self, connection: Connection, profile_id: str) -> Profile | None:
        if profile_id not in self._by_id:
            p = profiles.c
            document = connection.scalar(
                select(p.document).where(p.project == self._project, p.profile_id == profile_id)
            )
            self._by_id[profile_id] = None if document is None else Profile.from_json(document)
        return self._by_id[profile_id]


def counts_text(counts: Mapping[str, Any]) -> str:
    """Write the counts of a window as its row keeps them: canonical JSON, without ``n``."""
    return _encode({name: part for name, part in counts.items() if name != "n"}).decode()


def _registered(version: str) -> bool:
    return version != "" and not is_outside(version)


def _champions(connection: Connection, project: str) -> dict[str, str]:
    a = aliases.c
    rows = connection.execute(
        select(a.model, a.version).where(a.project == project, a.alias == "champion")
    )
    return {str(model): str(version) for model, version in rows}


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _word(value: Any) -> str | None:
    return None if value is None else str(value)


_FITTING: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "flag": _number,
    "category": _word,
    "text": _word,
    "timestamp": _word,
}


def _fitting(value: Any, kind: str) -> Any:
    """Give a value that the cells of a kind can count, None where there is none."""
    return _FITTING[kind](value)
