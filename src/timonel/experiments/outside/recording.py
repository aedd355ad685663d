"""Outcomes of units from a file: what can be counted is, and every other row is told with its line.

One value a unit and metric: so the same file twice changes nothing, and a file with other values
corrects the first.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from timonel.errors import Phrase, in_language
from timonel.events.importing.files import neutral
from timonel.experiments.outside.files import OutcomeFile, OutcomeRow, read_outcomes, repeated
from timonel.experiments.outside.units import YES_OR_NO, OutsideUnits, Recorded
from timonel.project.incoming import Manner

MOST = 1e12  # as the routes take it
_PAGE = 500  # units a transaction: others wait for the database meanwhile


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of which nothing was counted, by the file's line."""

    line: int
    unit: str
    reason: Phrase


@dataclass(slots=True)
class RecordReport:
    """What became of outcomes.

    Parameters
    ----------
    n_rows : int
    recorded : Recorded
        Values that are new, and those that correct an earlier one.
    n_same : int
        Values that were known already.
    n_empty : int
        Cells without a value: unknown outcomes, none was recorded.
    refused : list of RefusedRow
        Of ``n_refused``, at most as many as were asked for.
    unread : list of str
        Columns that are no metric of the experiment.
    rejected : Path or None
        The file of the refused rows with their reasons; None if there is none.
    """

    n_rows: int = 0
    recorded: Recorded = field(default_factory=Recorded)
    n_same: int = 0
    n_empty: int = 0
    n_refused: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    rejected: Path | None = None


def record_file(
    units: OutsideUnits,
    name: str,
    path: Path,
    *,
    key: str | None = None,
    manner: Manner | None = None,
    folder: Path | None = None,
    rejected: Path | None = None,
    most_refused: int | None = None,
    lang: str = "en",
) -> RecordReport:
    """Record what a file says came of units.

    Parameters
    ----------
    key : str or None
        Column of the units; None: as in the file of the list, else ``unit_id``.
    folder : Path or None
        Where a relative path begins.
    rejected : Path or None
        Where refused rows are written; None: nowhere.
    most_refused : int or None
        As many are told one by one; None: all.

    Raises
    ------
    UnknownExperiment, NotOutside, NotAssigning, UnusableOutcomeFile
    ProjectFault
        If the file cannot be read, or a value is no number; nothing was counted.
    """
    design = units.recording(name)
    metrics = design.recorded
    usual = "unit_id" if design.listed is None else design.listed.key
    file = read_outcomes(path, name, key or usual, metrics, manner or Manner(), folder=folder)
    report = record_rows(
        units,
        name,
        file.rows(),
        repeated(file.units),
        n_metrics=len(file.metrics),
        most_refused=most_refused,
    )
    report.unread = file.unread
    if report.refused and rejected is not None:
        _write(rejected, file, report.refused, lang)
        report.rejected = rejected
    return report


def record_rows(
    units: OutsideUnits,
    name: str,
    rows: Iterable[OutcomeRow],
    twice: set[str],
    *,
    n_metrics: int | None = None,
    most_refused: int | None = None,
) -> RecordReport:
    """Record rows page by page: what can be counted is, every other row is refused whole.

    Parameters
    ----------
    twice : set of str
        Units that have several rows.
    n_metrics : int or None
        How many values a row has room for; None: as many as it has.
    most_refused : int or None
        As many are told one by one; None: all.
    """
    report, n_values = RecordReport(), 0
    guardrails = units.recording(name).guardrails
    events = frozenset(guardrail.event for guardrail in guardrails if guardrail.recorded)
    for page in _pages(rows):
        placed = units.placed(name, [row.unit for row in page])
        good: dict[str, dict[str, float]] = {}
        for row in page:
            reason = _refusal(row, placed, twice) or _other_than_yes_or_no(row, events)
            if reason is not None:
                report.n_refused += 1
                if most_refused is None or report.n_refused <= most_refused:
                    report.refused.append(RefusedRow(row.line, row.unit, reason))
                continue
            n_values += len(row.values)
            report.n_empty += (n_metrics or len(row.values)) - len(row.values)
            if row.values:
                good[row.unit] = row.values
        found = units.record(name, good) if good else Recorded()
        before = report.recorded
        report.recorded = Recorded(before.new + found.new, before.corrected + found.corrected)
        report.n_rows += len(page)
    report.n_same = n_values - report.recorded.changed
    return report


def _pages(rows: Iterable[OutcomeRow]) -> Iterator[list[OutcomeRow]]:
    stream = iter(rows)
    while page := list(islice(stream, _PAGE)):
        yield page


def _refusal(row: OutcomeRow, placed: Mapping[str, str], twice: set[str]) -> Phrase | None:
    if not row.unit:
        return Phrase("no unit", "sin unidad")
    if row.unit not in placed:
        return Phrase(
            "{unit} is in no arm of the experiment",
            "{unit} no está en ninguna variante del experimento",
            unit=row.unit[:64],
        )
    if row.unit in twice:
        return Phrase(
            "{unit} has several rows: give one a unit, with the sum of its orders",
            "{unit} tiene varias filas: deje una por unidad, con la suma de sus pedidos",
            unit=row.unit[:64],
        )
    for metric, value in row.values.items():
        if not -MOST <= value <= MOST:
            return Phrase(
                "{metric} is {value}, expected -1e12 to 1e12",
                "{metric} es {value}, se esperaba de -1e12 a 1e12",
                metric=metric,
                value=value,
            )
    return None


def _other_than_yes_or_no(row: OutcomeRow, events: frozenset[str]) -> Phrase | None:
    for metric, value in row.values.items():
        if metric in events and value not in YES_OR_NO:
            return Phrase(
                "{metric} is {value}, expected 1 where it happened and 0 where it did not",
                "{metric} es {value}, se esperaba 1 si ocurrió y 0 si no",
                metric=metric,
                value=value,
            )
    return None


def _write(path: Path, file: OutcomeFile, refused: list[RefusedRow], lang: str) -> None:
    """Hand refused rows back as they stood, so that they can be corrected and recorded."""
    reasons = {one.line: in_language(one.reason, lang) for one in refused}
    names = file.frame.columns
    reason = "reason" if "reason" not in names else "timonel_reason"
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.writer(stream, delimiter=file.separator)
        writer.writerow([neutral(name) for name in (*names, reason)])
        for place, cells in enumerate(file.frame.iter_rows()):
            if file.line(place) in reasons:
                writer.writerow([*map(neutral, cells), reasons[file.line(place)]])
