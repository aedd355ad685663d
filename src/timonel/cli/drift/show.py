"""The command ``timonel drift show``: the last judged windows, and what moved in them."""

from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from timonel.cli.drift import together
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import decimal, explained, language, moment, out, out_json, say, table, text

if TYPE_CHECKING:
    from timonel.monitoring.drift.together import Together
    from timonel.monitoring.history import JudgedWindow
    from timonel.monitoring.verdicts import Verdict

_NEEDED = 200
_MOST_RANKED = 5
_HELD = {
    "less than a week of traffic: it may be the season": "drift_held_week",
    "the last whole week does not show it": "drift_held_season",
}


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(show)


def show(
    model: Annotated[str | None, typer.Argument(help="A declared model; default all.")] = None,
    folder: Folder = HERE,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many windows.")] = 3,
    every: Annotated[bool, typer.Option("--all", help="Columns that did not move, too.")] = False,
    multivariate: Annotated[
        bool,
        typer.Option(
            "--multivariate",
            help="Ask a classifier whether rows of these windows differ in all columns together.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the classifier and its test.")] = 0,
    as_json: Json = False,
) -> None:
    """Show how far inputs and answers are from what the version learned from."""
    with explained(as_json):
        from timonel.app import open_app
        from timonel.monitoring.history import drift_windows

        app = open_app(folder)
        app.require_prepared()
        declared = (
            app.registry.declarations() if model is None else [app.registry.declaration(model)]
        )
        names = [row.model for row in declared]
        found = {name: drift_windows(app.engine, app.name, name, last) for name in names}
        looks = (
            {name: app.row_looks.now(name, windows, seed=seed) for name, windows in found.items()}
            if multivariate
            else {}
        )
        if as_json:
            out_json([_document(name, found[name], looks.get(name)) for name in names])
            return
        zone = ZoneInfo(app.config.timezone)
        for name, windows in found.items():
            if not windows:
                say("drift_none", model=name)
            for window in windows:
                _print_window(name, window, zone, every=every)
            if name in looks:
                together.tell(looks[name])


def _document(model: str, windows: "list[JudgedWindow]", look: "Together | None") -> dict[str, Any]:
    document = {"model": model, "windows": [window.document() for window in windows]}
    return document if look is None else {**document, "multivariate": look.document()}


def _print_window(model: str, window: "JudgedWindow", zone: ZoneInfo, *, every: bool) -> None:
    whole = window.whole
    say(
        "drift_window",
        model=model,
        start=moment(whole.start_us, zone),
        end=moment(whole.end_us, zone),
        state=text(f"verdict_{whole.state}"),
        n=whole.n,
        version=f"{model}@{whole.version}" if whole.version else "-",
    )
    if whole.state == "not_enough":
        units = "rows_a_unit" in whole.facts and whole.n >= _NEEDED
        key = "drift_few_units" if units else "drift_not_enough"
        n = int(whole.n / whole.facts["rows_a_unit"]) if units else whole.n
        say("drift_reason", reason=text(key, n=n, needed=_NEEDED))
    elif whole.state == "unknown":
        say("drift_reason", reason=text("drift_no_reference"))
    shown = [column for column in window.columns if every or column.found]
    if shown:
        table(text("drift_headings").split("|"), [_row(column) for column in shown])
        for column in shown:
            _print_text(column.subject, column.facts.get("text"))
    elif whole.state == "ok":
        say("drift_quiet", n=len(window.columns))
    _print_explained(whole.facts.get("explained") or [])
    together.tell_parts(whole.facts.get("explained") or [], window.performance)
    _print_quality(whole.facts.get("quality"))
    _print_refused(whole.facts.get("refused"))
    _print_outliers(whole.facts.get("outliers"))
    out()


def _print_text(column: str, shift: dict[str, Any] | None) -> None:
    """Say in what texts moved: how much in them is new, and which words came and went."""
    if shift is None:
        return
    before, now = shift["unknown_reference"], shift["unknown"]
    if before is not None and now is not None:
        say("drift_unknown_words", column=column, before=_percent(before), now=_percent(now))
    words = [(one["word"], one["share_reference"], one["share"]) for one in shift["words"]]
    told = {
        "drift_words_more": [word for word in words if word[2] > word[1]],
        "drift_words_fewer": [word for word in words if word[2] < word[1]],
    }
    for key, moved in told.items():
        if moved:
            said = [f"{word} ({_percent(a)} → {_percent(b)} %)" for word, a, b in moved]
            say(key, column=column, words=", ".join(said))


def _percent(share: float) -> str:
    return decimal(100 * share, ".2g" if share < 0.1 else ".3g")


def _print_explained(ranked: list[dict[str, Any]]) -> None:
    """Say which of the columns that moved matter most to the model."""
    if not ranked:
        return
    said = [
        f"{one['column']} "
        + (
            text("drift_importance_unknown")
            if one["weight"] is None
            else decimal(one["weight"], ".2g")
        )
        for one in ranked[:_MOST_RANKED]
    ]
    say("drift_explained", columns=", ".join(said))


def _print_quality(quality: dict[str, Any] | None) -> None:
    if quality is not None:
        share, usual = (100 * quality[name] for name in ("sound", "sound_reference"))
        level = text(f"quality_{quality['level']}")
        say("drift_quality", level=level, share=decimal(share, ".3g"), usual=decimal(usual, ".3g"))
        _print_repeats(quality.get("duplicates"))


def _print_repeats(found: dict[str, Any] | None) -> None:
    if found is None or found["share"] is None:
        return
    usual = found["share_reference"]
    say(
        "drift_repeats" if usual is not None else "drift_repeats_alone",
        usual=_percent(usual or 0.0),
        **{name: _percent(found[name]) for name in ("share", "low", "high")},
    )


def _print_refused(refused: dict[str, Any] | None) -> None:
    if refused is not None and refused["n"]:
        share = decimal(100 * refused["share"], ".3g")
        by = [f"{name} {n}" for name, n in list(refused["fields"].items())[:_MOST_RANKED]]
        key = "drift_refused_by" if by else "drift_refused"
        say(key, n=refused["n"], share=share, fields=", ".join(by))


def _print_outliers(found: dict[str, Any] | None) -> None:
    if found is None:
        return
    if "rate" not in found:
        say("drift_outliers_unknown" if found["state"] == "unknown" else "drift_outliers_few")
        return
    by = ", ".join(f"{name} {n}" for name, n in found["columns"].items())
    say(
        "drift_outliers",
        n=found["n_outliers"],
        by=f"; {by}" if by else "",
        **{name: _percent(found[name]) for name in ("rate", "lower", "upper", "usual")},
    )


def _row(column: "Verdict") -> list[Any]:
    held = _HELD.get(column.facts.get("held", ""))
    like = column.facts.get("looks_like")
    note = text(held) if held else column.facts.get("reason", "")
    if like:
        said = text("drift_looks_like", like=like[language()])
        note = f"{said}; {note}" if note else said
    return [
        column.subject,
        text(f"verdict_{column.state}"),
        decimal(column.effect, ".3f"),
        decimal(column.p_value, ".2g"),
        column.facts.get("test"),
        note,
    ]
