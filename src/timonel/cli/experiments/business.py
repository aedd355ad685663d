"""``timonel experiment units|record``: the files of an office that acts by itself."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timonel.cli.data import REJECTED, Decimal, Rejected, require_folder
from timonel.cli.experiments.commands import KeyColumn, Name, opened
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import explained, language, out_json, say, text
from timonel.errors import in_language

if TYPE_CHECKING:
    from timonel.experiments.outside.recording import RecordReport

_SHOWN = 20


def units(
    name: Name,
    out: Annotated[Path, typer.Option(help="CSV file to write: each unit and its arm.")],
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Write the assignment of a list of units, for whoever acts on it."""
    with explained(as_json):
        from timonel.events.importing.files import neutral

        require_folder(out)
        listed, members = opened(folder).outside_units.listed(name)
        with out.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow([neutral(listed.key), "arm"])
            writer.writerows((neutral(member.unit), member.arm) for member in members)
        if as_json:
            out_json({"units": len(members), "path": str(out)})
        else:
            say("units_written", n=len(members), path=out)


def record(
    name: Name,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[METRIC=VALUE]...", help="With --unit.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="CSV, xlsx or Parquet file.")] = None,
    unit: Annotated[str | None, typer.Option(help="One unit, in the place of a file.")] = None,
    key_column: KeyColumn = None,
    decimal: Decimal = None,
    rejected: Rejected = REJECTED,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Record what came of units; twice the same changes nothing."""
    with explained(as_json):
        from timonel.project.incoming import Manner

        if (file is None) == (unit is None) or bool(values) != (unit is not None):
            raise typer.BadParameter(text("record_what"))
        app = opened(folder)
        if unit is not None:
            recorded = app.outside_units.record(name, {unit: _numbers(values or [])})
            if as_json:
                out_json({"new": recorded.new, "corrected": recorded.corrected})
            else:
                say("record_unit", unit=unit, new=recorded.new, corrected=recorded.corrected)
            return
        assert file is not None  # noqa: S101 - one of the two was given
        require_folder(rejected)
        report = app.record_outcomes(
            name,
            file,
            key=key_column,
            manner=Manner(decimal=decimal),
            rejected=rejected,
            lang=language(),
        )
        if as_json:
            out_json(_document(report))
        else:
            _print(report)


def _numbers(values: list[str]) -> dict[str, float]:
    """Read ``revenue=12990``; raises ``typer.BadParameter``."""
    from timonel.experiments.outside.recording import MOST

    found: dict[str, float] = {}
    for pair in values:
        metric, _, number = pair.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not metric or metric in found or not -MOST <= value <= MOST:
            raise typer.BadParameter(text("record_pair", found=pair[:100]))
        found[metric] = value
    return found


def _print(report: "RecordReport") -> None:
    say(
        "record_file",
        n=report.n_rows,
        new=report.recorded.new,
        corrected=report.recorded.corrected,
        same=report.n_same,
        empty=report.n_empty,
    )
    if report.unread:
        say("record_unread", columns=", ".join(report.unread))
    if report.refused:
        say("record_refused", n=len(report.refused), path=report.rejected)
    for row in report.refused[:_SHOWN]:
        say("record_row", line=row.line, reason=row.reason)


def _document(report: "RecordReport") -> dict[str, object]:
    return {
        "rows": report.n_rows,
        "new": report.recorded.new,
        "corrected": report.recorded.corrected,
        "same": report.n_same,
        "empty": report.n_empty,
        "unread": report.unread,
        "refused": [
            {"line": row.line, "reason": in_language(row.reason, language())}
            for row in report.refused
        ],
        "rejected": report.rejected,
    }
