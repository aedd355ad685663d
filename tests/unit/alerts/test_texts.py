import string
from typing import Any

import pytest

from timonel.alerts.alert import Alert, News
from timonel.alerts.lifecycle import Rule, hear
from timonel.alerts.phrases import en, es
from timonel.alerts.phrases.form import fields, figure
from timonel.alerts.texts import describe, message_body, trial_body
from timonel.signals import Kind
from timonel.testing.alerts import START, make_signal

FACTS: dict[Kind, dict[str, Any]] = {
    Kind.DRIFT_DETECTED: {
        "column": "visits", "effect": 0.2134567, "statistic": 0.3, "p_value": 1.2e-9, "n": 12345,
        "floor": 0.03, "test": "ks",
    },
    Kind.PERFORMANCE_DEGRADATION: {
        "metric": "accuracy", "value": 0.79, "lower": 0.76, "upper": 0.82, "baseline": 0.9,
        "n": 800, "threshold": 0.05,
    },
    Kind.HIGH_FALLBACK_RATE: {
        "rate": 0.1234, "n": 1000, "n_fallback": 123, "reasons": {"timeout": 100, "error": 23},
        "threshold": 0.05,
    },
    Kind.JOB_FAILED: {
        "job_id": "j1", "job": "retrain", "step": "train", "error": "no labels", "remedy": "x",
    },
    Kind.NO_DATA: {"minutes": 30, "usual_per_minute": 12.5},
    Kind.DATABASE_ERROR: {"dimension": "database", "reason": "unreachable"},
    Kind.NOTIFIER_FAILED: {"channel": "ops", "error": "500", "attempts": 2, "waiting": 4},
}  # fmt: skip
LANGUAGES = ["en", "es"]


def alert(kind: Kind, facts: dict[str, Any], **place: Any) -> Alert:
    found = hear(None, make_signal(kind=kind, facts=facts, **place), Rule()).alert
    assert found is not None
    return found


NOWHERE = {"model": "", "version": "", "monitor": "", "column": ""}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_says_something_whatever_is_known(kind: Kind, lang: str) -> None:
    odd: dict[str, Any] = {
        name: ["x", {"y": None}, 7] for name in ("n", "rate", "value", "reasons", "error", "{n}")
    }
    for facts in ({}, FACTS.get(kind, {}), odd, dict.fromkeys(FACTS.get(kind, {}), None)):
        for place in (NOWHERE, {}):
            text = describe(alert(kind, facts, **place), lang)
            assert text.title
            assert text.seen
            assert text.expected
            assert text.steps
            said = " ".join((text.title, text.seen, text.expected, *text.steps))
            assert "{" not in said.replace("{n}", "")
            assert "None" not in text.title


def test_figures_are_in_the_readers_notation() -> None:
    drift = alert(Kind.DRIFT_DETECTED, FACTS[Kind.DRIFT_DETECTED])
    assert describe(drift, "en").seen == (
        "Against its reference, visits moved by 0.2135 (ks, p = 1.2e-09) in 12,345 rows."
    )
    assert describe(drift, "es").seen == (
        "Respecto de su referencia, visits se movió en 0,2135 (ks, p = 1,2e-09) en 12.345 filas."
    )
    fallback = alert(Kind.HIGH_FALLBACK_RATE, FACTS[Kind.HIGH_FALLBACK_RATE])
    assert describe(fallback, "es").seen == (
        "Reglas o línea base respondieron 123 de 1.000 predicciones (12,3 %): timeout 100, "
        "error 23."
    )


def test_a_drift_that_looks_like_another_unit_says_so() -> None:
    like = {"en": "cm instead of inch: x 2.54", "es": "cm en vez de pulgada: x 2,54"}
    drift = alert(Kind.DRIFT_DETECTED, {**FACTS[Kind.DRIFT_DETECTED], "looks_like": like})
    assert describe(drift, "en").seen.endswith("It looks like cm instead of inch: x 2.54.")
    assert describe(drift, "es").seen.endswith("Parece cm en vez de pulgada: x 2,54.")


def test_a_fact_cannot_reach_into_objects_or_fill_a_message() -> None:
    assert describe(alert(Kind.JOB_FAILED, {"error": "{model.__class__}"}), "en").seen == (
        "It ended with: {model.__class__}"
    )
    assert len(figure("x" * 10_000, "en")) == 400


def test_an_error_may_be_a_problem_document() -> None:
    problem = {"code": "no_labels", "detail": "There are no labels.", "remedy": "Wait."}
    facts = {"job": "retrain", "job_id": "j1", "error": problem}
    text = describe(alert(Kind.JOB_FAILED, facts), "en")
    assert text.title == "The job retrain of churn failed"
    assert text.seen == "It ended with: There are no labels."
    assert text.steps[0] == "Wait."
    problem |= {"detail_es": "No hay etiquetas.", "remedy_es": "Espere."}
    text = describe(alert(Kind.JOB_FAILED, facts), "es")
    assert (text.seen, text.steps[0]) == ("Terminó con: No hay etiquetas.", "Espere.")
    assert describe(alert(Kind.JOB_FAILED, {"error": {}}), "en").seen.startswith("It did not")


def test_both_languages_use_the_same_facts() -> None:
    assert set(en.PHRASES) == set(es.PHRASES) == set(Kind)
    for kind in Kind:
        for english, spanish in zip(en.PHRASES[kind], es.PHRASES[kind], strict=True):
            assert [fields(s) for s in english] == [fields(s) for s in spanish], kind
            for one, other in zip(english, spanish, strict=True):
                assert one != other or one.startswith("{"), kind


@pytest.mark.parametrize("kind", list(Kind))
def test_the_last_sentence_needs_no_facts(kind: Kind) -> None:
    for phrases in (en.PHRASES[kind], es.PHRASES[kind]):
        for part in (phrases.title, phrases.seen, phrases.expected):
            assert not fields(part[-1])
        assert any(not fields(step) for step in phrases.steps)
        for sentence in (*phrases.title, *phrases.seen, *phrases.expected, *phrases.steps):
            assert all(
                spec in ("", "%", None) for _, _, spec, _ in string.Formatter().parse(sentence)
            )


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("news", [news for news in News if news is not News.TEST])
def test_messages_have_a_heading_in_their_language(news: News, lang: str) -> None:
    drift = alert(Kind.DRIFT_DETECTED, FACTS[Kind.DRIFT_DETECTED])
    body = message_body(drift, news, lang, project="p", at=START, link="timonel alerts show 1")
    assert body["heading"].endswith(body["title"])
    assert body["event"] == str(news)
    assert body["at"] == "2025-10-09T08:53:20Z"
    assert trial_body("ops", lang, project="p", at=START).keys() == body.keys()


def test_a_schema_that_is_not_the_trained_one_is_named_in_both_languages() -> None:
    facts = {"trained": "churn@1.0.0", "differs": ["age", "plan"], "added": ["plan"]}
    found = alert(Kind.DATA_QUALITY, facts, monitor="schema", model="churn", column="")
    said = describe(found, "en")
    assert said.title == "churn is declared with another schema than churn@1.0.0 was trained on"
    assert said.seen == "churn@1.0.0 was trained on another schema. Fields that differ: age, plan."
    assert "`timonel train churn`" in said.steps[0]
    assert describe(found, "es").expected == "El esquema con que se entrenó churn@1.0.0."


def test_a_drill_is_called_one_in_both_languages() -> None:
    facts = FACTS[Kind.DRIFT_DETECTED] | {"simulated": "unit_change"}
    place = {"monitor": "simulation", "model": "churn", "column": "visits"}
    found = alert(Kind.DRIFT_DETECTED, facts, **place)
    assert describe(found, "en").title == "Drill: simulated drift of visits in churn (unit_change)"
    said = describe(found, "es")
    assert said.title == "Simulacro: deriva de visits en churn (unit_change)"
    assert "No se tocó ninguna petición" in said.seen
    assert said.steps[0].startswith("Nada anda mal")
