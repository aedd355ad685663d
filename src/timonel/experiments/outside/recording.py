"""Outcomes of units from a file: what can be counted is, and every other row is told with its line.

One value a unit and metric: so the same file twice changes nothing, and a file with other values
corrects the first.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from timonel.errors import Phrase, in_language
from timonel.events.outcome_files import neutral
from timonel.experiments.outside.files import OutcomeFile, OutcomeRow, read_outcomes, repeated
from timonel.experiments.outside.units import OutsideUnits, Recorded
from timonel.project.incoming import Manner

MOST = 1e12  # as the routes take it
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row of which nothing was counted, by the file's line."""

    line: int
    reason: Phrase


@dataclass(frozen=True, slots=True)
class RecordReport:
    """What became of a file of outcomes.

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
    unread : list of str
        Columns that are no metric of the experiment.
    rejected : Path or None
        The file of the refused rows with their reasons; None if there are none.
    """

    n_rows: int
    recorded: Recorded
    n_same: int
    n_empty: int
    refused: list[RefusedRow]
    unread: list[str]
    rejected: Path | None


def record_file(
    units: OutsideUnits,
    name: str,
    path: Path,
    *,
    key: str | None = None,
    manner: Manner | None = None,
    rejected: Path,
    lang: str = "en",
) -> RecordReport:
    """Record what a file says came of units.

    Parameters
    ----------
    key : str or None
        Column of the units; None: as in the file of the list, else ``unit_id``.
    rejected : Path
        Where refused rows are written.

    Raises
    ------
    UnknownExperiment, NotOutside, NotAssigning, UnusableOutcomeFile
    ProjectFault
        If the file cannot be read, or a value is no number; nothing was counted.
    """
    design = units.recording(name)
    metrics = (design.metric, *design.secondary)
    usual = "unit_id" if design.listed is None else design.listed.key
    file = read_outcomes(path, name, key or usual, metrics, manner or Manner())
    placed = units.placed(name, [row.unit for row in file.rows])
    twice = repeated(file.rows)
    good: dict[str, dict[str, float]] = {}
    refused: list[RefusedRow] = []
    for row in file.rows:
        reason = _refusal(row, placed, twice)
        if reason is None:
            good[row.unit] = row.values
        else:
            refused.append(RefusedRow(row.line, reason))
    recorded = Recorded()
    told = [unit for unit, values in good.items() if values]
    for start in range(0, len(told), _PAGE):
        page = units.record(name, {unit: good[unit] for unit in told[start : start + _PAGE]})
        recorded = Recorded(recorded.new + page.new, recorded.corrected + page.corrected)
    n_values = sum(len(values) for values in good.values())
    n_metrics = sum(metric in file.frame.columns for metric in metrics)
    if refused:
        _write(rejected, file, refused, lang)
    return RecordReport(
        n_rows=len(file.rows),
        recorded=recorded,
        n_same=n_values - recorded.changed,
        n_empty=len(good) * n_metrics - n_values,
        refused=refused,
        unread=file.unread,
        rejected=rejected if refused else None,
    )


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


def _write(path: Path, file: OutcomeFile, refused: list[RefusedRow], lang: str) -> None:
    """Hand refused rows back as they stood, so that they can be corrected and recorded."""
    reasons = {one.line: in_language(one.reason, lang) for one in refused}
    names = file.frame.columns
    reason = "reason" if "reason" not in names else "timonel_reason"
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.writer(stream, delimiter=file.separator)
        writer.writerow([neutral(name) for name in (*names, reason)])
        for row, cells in zip(file.rows, file.frame.iter_rows(), strict=True):
            if row.line in reasons:
                writer.writerow([*map(neutral, cells), reasons[row.line]])
