"""``timonel experiment replay``: past looks judged again, the log counted again."""

from typing import TYPE_CHECKING, Annotated

import typer

from timonel.cli.experiments.commands import Name, opened
from timonel.cli.options import HERE, Folder, Json
from timonel.cli.output import explained, language, out_json, say
from timonel.errors import in_language

if TYPE_CHECKING:
    from timonel.experiments.replaying.recount import Recount
    from timonel.experiments.replaying.replay import Replay

_SHOWN = 20


def replay(
    name: Name,
    last: Annotated[
        int | None, typer.Option(help="Only so many of the newest looks.", min=1)
    ] = None,
    log: Annotated[
        bool, typer.Option("--log/--no-log", help="Count the sums again from the log, too.")
    ] = True,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Judge past looks again, bit for bit; ends with 1 where something differs."""
    with explained(as_json):
        from timonel.experiments.replaying.documents import replay_document

        found = opened(folder).experiments.replay(name, last=last, log=log)
        if as_json:
            out_json(replay_document(found, language()))
        else:
            _print(found)
        if found.differences or (found.log is not None and found.log.n_different):
            raise typer.Exit(1)


def _print(found: "Replay") -> None:
    if found.n_same == found.n_looks:
        say("replay_same", n=found.n_looks)
    else:
        say("replay_some", n=found.n_looks, same=found.n_same, differ=found.n_differ)
    for one in found.differences[:_SHOWN]:
        say(
            "replay_differs",
            look=one.look,
            field=one.field,
            stored=one.stored,
            recomputed=one.recomputed,
        )
    if len(found.differences) > _SHOWN:
        say("replay_more", n=len(found.differences) - _SHOWN)
    for some in found.unsaid:
        looks = str(some.first) if some.n == 1 else f"{some.first}-{some.last}"
        say("replay_unsaid", looks=looks, reason=in_language(some.reason, language()))
    if found.log is not None:
        _print_log(found.log)


def _print_log(log: "Recount") -> None:
    if log.reason is not None:
        say("replay_log_unsaid", reason=in_language(log.reason, language()))
    elif log.same:
        say("replay_log_same", n=log.n_cells, answers=log.n_answers, labels=log.n_labels)
    else:
        say("replay_log_differs", n=log.n_cells, different=log.n_different)
        for one in log.differences:
            say(
                "replay_cell",
                arm=one.arm,
                phase=one.phase,
                metric=one.metric.replace("\x1f", ":"),
                stored=one.stored_n,
                counted=one.counted_n,
            )
