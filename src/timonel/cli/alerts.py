"""Commands on alerts and on the channels they are sent to."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from timonel.cli.options import HERE, Folder, Json, Who
from timonel.cli.output import explained, language, moment, out, out_json, say, table, text
from timonel.signals import Severity

if TYPE_CHECKING:
    from timonel.alerts.alert import Alert
    from timonel.alerts.statistics import RulePrecision, Span
    from timonel.app import App

DAY_US = 86_400_000_000

Number = Annotated[int, typer.Argument(help="Number of the alert.", min=1)]
ChannelName = Annotated[str, typer.Argument(help="Name of the channel.")]
Revision = Annotated[
    int | None, typer.Option(help="Refuse if the alert has changed since this revision.")
]


class Shown(StrEnum):
    """Which alerts are listed."""

    ACTIVE = "active"
    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    ALL = "all"


Which = Annotated[Shown, typer.Option("--state", help="Active: firing or acknowledged.")]
OfModel = Annotated[str | None, typer.Option("--model", help="Only this model's.")]


class ChannelKind(StrEnum):
    """What a channel leads to."""

    LOG = "log"
    WEBHOOK = "webhook"
    SLACK = "slack"
    EMAIL = "email"
    PAGERDUTY = "pagerduty"
    FUNCTION = "function"
    PLUGIN = "plugin"


class Worth(StrEnum):
    """What an alert was worth."""

    USEFUL = "useful"
    FALSE_ALARM = "false_alarm"


class ChannelLanguage(StrEnum):
    """The language of a channel's messages."""

    EN = "en"
    ES = "es"


def register(app: typer.Typer) -> None:
    """Add ``timonel alerts`` with its commands."""
    group = typer.Typer(help="Alerts: what is wrong, who works on it, and who is told.")
    group.callback(invoke_without_command=True)(_or_list)
    group.command("list")(list_alerts)
    for command in (show, ack, resolve, silence, mark, statistics):
        group.command()(command)
    channel = typer.Typer(no_args_is_help=True, help="Where alerts are sent.")
    channel.command("add")(add_channel)
    channel.command("list")(list_channels)
    channel.command("test")(try_channel_now)
    channel.command("remove")(remove_channel)
    group.add_typer(channel, name="channel")
    app.add_typer(group, name="alerts")


def _or_list(
    context: typer.Context,
    state: Which = Shown.ACTIVE,
    model: OfModel = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    if context.invoked_subcommand is None:
        list_alerts(state, model, 100, folder, as_json)


def _opened(folder: Any) -> "App":
    from timonel.app import open_app

    app = open_app(folder)
    app.require_prepared()
    return app


def list_alerts(
    state: Which = Shown.ACTIVE,
    model: OfModel = None,
    limit: Annotated[int, typer.Option(help="The most alerts.", min=1, max=1000)] = 100,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """List alerts, newest first; by default those firing or acknowledged."""
    with explained(as_json):
        app = _opened(folder)
        from timonel.alerts.alert import State
        from timonel.alerts.rows import Choice

        states = {
            Shown.ACTIVE: [State.FIRING, State.ACKNOWLEDGED],
            Shown.ALL: list(State),
        }.get(state) or [State(state.value)]
        found = app.alerts.list(Choice(states, model, limit=limit))
        if as_json:
            out_json([_document(alert) for alert in found])
        elif not found:
            say("no_alerts")
        else:
            now = app.clock.now_us()
            zone = ZoneInfo(app.config.timezone)
            table(text("alerts_headings").split("|"), [_row(a, zone, now) for a in found])


def _row(alert: "Alert", zone: ZoneInfo, now: int) -> list[Any]:
    from timonel.alerts.texts import describe, severity_word

    return [
        alert.alert_id,
        severity_word(alert.severity, language()),
        _state(alert, now),
        moment(alert.fired_at or alert.opened_at, zone),
        moment(alert.last_seen_at, zone),
        alert.n_seen,
        describe(alert, language()).title,
    ]


def _state(alert: "Alert", now: int) -> str:
    state = text(f"alert_state_{alert.state}")
    return text("alert_silenced", state=state) if alert.silenced(now) else state


def _document(alert: "Alert") -> dict[str, Any]:
    from timonel.alerts.texts import describe

    return alert.document() | describe(alert, language())._asdict()


def show(number: Number, folder: Folder = HERE, as_json: Json = False) -> None:
    """Show an alert: what was seen and expected, what to do, its history and its messages."""
    with explained(as_json):
        app = _opened(folder)
        alert = app.alerts.get(number)
        if as_json:
            more = {
                "history": [event.document() for event in app.alerts.history(number)],
                "messages": [message.document() for message in app.alerts.messages(number)],
            }
            out_json(_document(alert) | more)
        else:
            _print_alert(app, alert)


def _print_alert(app: "App", alert: "Alert") -> None:
    from timonel.alerts.texts import describe, severity_word

    zone, said = ZoneInfo(app.config.timezone), describe(alert, language())
    say(
        "alert_title",
        number=alert.alert_id,
        title=said.title,
        severity=severity_word(alert.severity, language()),
        state=_state(alert, app.clock.now_us()),
    )
    say("alert_seen", seen=said.seen)
    say("alert_expected", expected=said.expected)
    say("alert_steps")
    for position, step in enumerate(said.steps, 1):
        out(f"    {position}. {step}")
    say("alert_history")
    for event in app.alerts.history(alert.alert_id):
        state = text(f"alert_state_{event.to_state}")
        who = event.who or text("alert_alone")
        out(f"    {moment(event.at, zone)}  {state}  {who}  {event.note}".rstrip())
    messages = app.alerts.messages(alert.alert_id)
    if messages:
        say("alert_messages")
    for message in messages:
        found = message.document()
        state = text(f"message_{found['state']}")
        out(f"    {message.channel}  {message.event}  {state}  {message.error or ''}".rstrip())


def ack(
    number: Number,
    note: Annotated[str, typer.Option(help="What you are doing about it.")] = "",
    revision: Revision = None,
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Acknowledge a firing alert: you work on it, and it is not repeated."""
    with explained(as_json):
        app = _opened(folder)
        done = app.alerts.acknowledge(number, _who(who), note, revision=revision)
        _decided(done, "alert_acknowledged", as_json)


def resolve(
    number: Number,
    note: Annotated[str, typer.Option(help="What it was; kept in its history.")],
    revision: Revision = None,
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Resolve an alert by hand, saying what it was."""
    with explained(as_json):
        app = _opened(folder)
        done = app.alerts.resolve(number, _who(who), note, revision=revision)
        _decided(done, "alert_resolved", as_json)


def silence(
    number: Number,
    duration: Annotated[str, typer.Option("--for", help="How long: 30m, 24h, 7d.")],
    note: Annotated[str, typer.Option(help="Why; kept in its history.")] = "",
    revision: Revision = None,
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Tell nobody of an alert for a time (of the project's clock); its state goes on."""
    with explained(as_json):
        from timonel.alerts.alert import read_duration

        length = read_duration(duration)
        app = _opened(folder)
        until = app.clock.now_us() + length
        done = app.alerts.silence(number, until, _who(who), note, revision=revision)
        until_text = moment(until, ZoneInfo(app.config.timezone))
        _decided(done, "alert_silent", as_json, until=until_text)


def mark(
    number: Number,
    worth: Annotated[Worth, typer.Argument(help="useful or false_alarm.")],
    note: Annotated[str, typer.Option(help="Why; kept in its history.")] = "",
    folder: Folder = HERE,
    who: Who = None,
    as_json: Json = False,
) -> None:
    """Say what an alert was worth: `alerts statistics` judges its rule by that."""
    with explained(as_json):
        from timonel.alerts.alert import Mark

        app = _opened(folder)
        done = app.alerts.mark(number, Mark(worth.value), _who(who), note)
        _decided(done, "alert_marked", as_json, mark=text(f"alert_mark_{worth.value}"))


def _who(who: str | None) -> str:
    from timonel.app import host_name

    return who or host_name()


def _decided(alert: "Alert", key: str, as_json: bool, **values: str) -> None:
    if as_json:
        out_json(_document(alert))
    else:
        say(key, number=alert.alert_id, **values)


def statistics(
    days: Annotated[int, typer.Option(help="Days of alerts.", min=1, max=3650)] = 7,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Sum up: how many alerts fired, and how long they took."""
    with explained(as_json):
        app = _opened(folder)
        found = app.alerts.statistics(app.clock.now_us() - days * DAY_US)
        if as_json:
            out_json(found.document())
            return
        say(
            "alert_figures",
            n=found.n_fired,
            days=days,
            alone=found.n_ended_alone,
            pending=found.n_pending_only,
        )
        _print_span("alert_to_acknowledge", found.to_acknowledge)
        _print_span("alert_to_resolve", found.to_resolve)
        table(text("alert_rules_headings").split("|"), [_rule(rule) for rule in found.by_rule])
        for rule in found.by_rule:
            if rule.threshold is not None:
                say(
                    "alert_threshold",
                    rule=f"{rule.kind} {rule.monitor}",
                    setting=rule.setting,
                    threshold=_share(rule.threshold),
                    n=rule.n_false,
                    lost=rule.n_lost,
                )


def _rule(rule: "RulePrecision") -> list[Any]:
    precision = "-"
    if rule.precision is not None and rule.lower is not None and rule.upper is not None:
        low, high = _share(rule.lower), _share(rule.upper)
        precision = f"{_share(rule.precision)} [{low}; {high}]"
    return [rule.kind, rule.monitor, rule.n_fired, rule.n_useful, rule.n_false, precision]


def _share(value: float) -> str:
    written = f"{value:.2f}"
    return written.replace(".", ",") if language() == "es" else written


def _print_span(key: str, span: "Span") -> None:
    if span.seconds is None:
        return
    minutes = span.seconds / 60
    say(key, n=span.n, span=f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h")


def add_channel(
    channel: ChannelName,
    kind: Annotated[ChannelKind, typer.Option(help="What it leads to.")],
    url_env: Annotated[
        str | None, typer.Option(help="Variable of the environment that holds the address.")
    ] = None,
    secret_env: Annotated[
        str | None, typer.Option(help="Variable that holds the key of a webhook's signature.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(help="Variable that holds PagerDuty's routing key.")
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--from", help="E-mail: the address that it is sent from.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="E-mail: who gets it, separated by commas.")
    ] = None,
    function: Annotated[
        str | None, typer.Option(help="A function of the project: handlers:on_alert.")
    ] = None,
    plugin: Annotated[
        str | None, typer.Option(help="A notifier that an installed package offers, by its name.")
    ] = None,
    escalate_after: Annotated[
        str | None,
        typer.Option(help="Only what fired so long ago and nobody acknowledged: 30m, 2h."),
    ] = None,
    min_severity: Annotated[
        Severity, typer.Option(help="The least severity it is told of.", case_sensitive=False)
    ] = Severity.INFO,
    lang: Annotated[
        ChannelLanguage | None, typer.Option("--language", help="Language of its messages.")
    ] = None,
    folder: Folder = HERE,
    as_json: Json = False,
) -> None:
    """Add a channel; addresses and secrets are named by their variables, never given."""
    with explained(as_json):
        from timonel.alerts.channels import Channel

        given = {
            "url_env": url_env,
            "secret_env": secret_env,
            "key_env": key_env,
            "sender": sender,
            "to": to,
            "function": function,
            "plugin": plugin,
            "escalate_after": escalate_after,
        }
        options = {name: value for name, value in given.items() if value is not None}
        chosen = lang.value if lang else language()
        wanted = Channel(channel, kind.value, options, min_severity, chosen)
        added = _opened(folder).channels.add(wanted)
        if as_json:
            out_json(added.document())
        else:
            named = [value for name, value in added.options.items() if name.endswith("_env")]
            key = "channel_added" if named else "channel_added_plain"
            say(key, channel=channel, variables=", ".join(named))


def list_channels(folder: Folder = HERE, as_json: Json = False) -> None:
    """List the channels."""
    with explained(as_json):
        found = _opened(folder).channels.list()
        if as_json:
            out_json([channel.document() for channel in found])
        elif not found:
            say("no_channels")
        else:
            rows = [
                [c.name, c.kind, c.min_severity, c.language, ", ".join(c.options.values())]
                for c in found
            ]
            table(text("channels_headings").split("|"), rows)


def try_channel_now(channel: ChannelName, folder: Folder = HERE, as_json: Json = False) -> None:
    """Send a test message now, with this shell's variables; what failed there is tried again."""
    with explained(as_json):
        n = _opened(folder).try_channel(channel)
        if as_json:
            out_json({"channel": channel, "works": True, "n_waiting": n})
        else:
            say("channel_works", channel=channel, n=n)


def remove_channel(channel: ChannelName, folder: Folder = HERE, as_json: Json = False) -> None:
    """Remove a channel; messages that wait for it are given up."""
    with explained(as_json):
        n = _opened(folder).remove_channel(channel)
        if as_json:
            out_json({"channel": channel, "n_given_up": n})
        else:
            say("channel_removed", channel=channel, n=n)
