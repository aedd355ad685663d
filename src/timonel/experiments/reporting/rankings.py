"""What a report says of two rankings in one list: comparisons, and which ranking is preferred."""

from timonel.experiments.judging.look import Look
from timonel.experiments.reporting.page import Page, Section, seen
from timonel.experiments.reporting.report import NO_COMPARISON, Report


def _comparisons(page: Page, report: Report, look: Look) -> None:
    units = look.arms[0].units
    sides = {side: look.pairs.get(side, 0) for side in ("treatment", "control", "tied")}
    rows = [(f"won_by_{side}", n) for side, n in sides.items()]
    rows += [("without_click", units - sum(sides.values())), ("over", units)]
    rows.append(("window_open", look.immature))
    page.table(
        [page.say("item"), page.say("units")],
        [[page.say(key), str(n)] for key, n in rows],
    )
    page.add(page.say("comparisons_note"))


def _preference(page: Page, report: Report, look: Look) -> None:
    goal = look.goal
    if goal is None or goal.effect is None:
        page.add(page.unknown(NO_COMPARISON))
        return
    lower, upper = (None if b is None else b + 0.5 for b in (goal.lower, goal.upper))
    rows = [
        ("won_share", page.number(goal.effect + 0.5)),
        ("interval_own", page.interval(lower, upper)),
        ("e", page.figure(goal.e_value, ".3g")),
        ("smallest_p", page.figure(goal.p_value, ".3g")),
    ]
    page.table(
        [page.say("item"), page.say("value")], [[page.say(key), value] for key, value in rows]
    )
    level = page.level(look.alpha)
    page.add(page.say("preference_note", level=level, e=page.figure(1.0 / look.alpha, "g")))


SECTIONS: tuple[Section, ...] = (
    seen("comparisons", _comparisons),
    seen("preference", _preference),
)
