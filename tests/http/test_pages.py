"""The Overview in both languages and in every state it must tell apart."""

import re
import time
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from tests.http import world
from tests.http.conftest import client_of

from timonel.clock import AffineClock
from timonel.dashboard.texts import TEXTS, say
from timonel.http.errors import NotInProduction
from timonel.jobs.queue import JobQueue
from timonel.project.model import Policy
from timonel.signals import Kind, Severity
from timonel.store.tables import processes

EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The texts and the addresses of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src", "action", "data-fragment"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


async def page(client: httpx.AsyncClient, query: str = "", **headers: str) -> tuple[Page, str]:
    answer = await client.get(f"/ui/{query}", headers=headers)
    assert answer.status_code == 200
    return Page(answer.text), answer.text


def words_of(lang: Any, *, without_fields: bool = True) -> set[str]:
    texts = {texts[lang] for texts in TEXTS.values()}
    return {text for text in texts if "{" not in text and len(text) > 12}


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_page_is_in_one_language(busy: httpx.AsyncClient, lang: Any) -> None:
    found, html = await page(busy, f"?lang={lang}")
    assert f'<html lang="{lang}"' in html
    other = "es" if lang == "en" else "en"
    shown = " ".join(found.texts)
    assert [text for text in words_of(other) - words_of(lang) if text in shown] == []
    assert say(lang, "loop") in shown


@pytest.mark.parametrize("lang", ["en", "es"])
async def test_no_key_and_no_empty_value_is_shown(busy: httpx.AsyncClient, lang: Any) -> None:
    found, _ = await page(busy, f"?lang={lang}")
    shown = " ".join(found.texts)
    assert [key for key in TEXTS if "_" in key and key in shown] == []
    assert not re.search(r"\b(None|nan|inf|Undefined)\b|\{|\}", shown)


async def test_page_says_what_is_in_service(busy: httpx.AsyncClient) -> None:
    found, _ = await page(busy, "?lang=es")
    shown = " ".join(found.texts)
    assert "1 modelo en servicio, 2 asuntos requieren su atención" in shown
    assert "dispatch 1.0.2 espera su decisión; 1.0.1 está en producción." in shown
    assert "aún no hay datos suficientes (37 de 200 etiquetas)" in shown
    assert "timonel promote dispatch 1.0.2" in shown
    assert "fuera de plazo" in shown
    assert shown.count("experimentos en curso") >= 2  # in two drawings
    assert "no en esta versión" not in shown
    assert "desconocida: aún no se juzga ninguna ventana de 1.0.1" in shown
    assert "desconocida: no hay versión en producción con qué comparar" in shown
    assert shown.count("ninguno hasta ahora") == 2
    assert "Primeros pasos" not in shown  # all are taken


async def test_only_own_addresses_and_no_inline_code(busy: httpx.AsyncClient) -> None:
    for path in ("/ui/", "/docs", "/redoc"):
        html = (await busy.get(path)).text
        found = Page(html)
        assert [a for a in found.addresses if "//" in a or a.startswith("/")] == [], path
        assert "style" not in found.attributes
        assert not {name for name in found.attributes if name.startswith("on")}
        assert not re.search(r"<script[^>]*>[^<]", html)
        assert "<style" not in html


async def test_every_address_of_the_page_answers(busy: httpx.AsyncClient) -> None:
    for start in ("/ui/", "/docs", "/redoc"):
        found = Page((await busy.get(start)).text)
        for address in found.addresses:
            if not address.startswith("#"):
                answer = await busy.get(
                    str(httpx.URL(f"http://127.0.0.1:8000{start}").join(address))
                )
                assert answer.status_code == 200, address


async def test_page_is_small(busy: httpx.AsyncClient) -> None:
    answer = await busy.get("/ui/", headers={"accept-encoding": "gzip"})
    assert int(answer.headers["content-length"]) < 10_000  # as sent
    assert len(answer.content) < 36_000  # two models, unpacked


async def test_names_and_labels_are_escaped(app: world.LocalApp, client: httpx.AsyncClient) -> None:
    world.declare(app, "dispatch", target=EVIL, classes=[EVIL, "ok"])
    world.register(app, "dispatch")
    world.promote(app, "dispatch", "1.0.0")
    world.windows(app, "dispatch", [{"minutes_ago": 1, "n": 3, "version": EVIL[:32]}])
    found, html = await page(client)
    assert EVIL not in html
    assert EVIL[:32] not in html
    assert "&lt;script&gt;" in html
    assert found.tags.count("script") == 1


async def test_language_and_theme_are_remembered(busy: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(transport=busy._transport, base_url=busy.base_url) as browser:
        await browser.get("/ui/?lang=es&theme=dark")
        html = (await browser.get("/ui/")).text
        assert '<html lang="es" data-theme="dark">' in html
        fragment = (await browser.get("/ui/overview")).text
        assert "requieren su atención" in fragment
        html = (await browser.get("/ui/?theme=auto&lang=en")).text
        assert '<html lang="en">' in html
        html = (await browser.get("/ui/?theme=%22%3E%3Cscript%3E")).text
        assert "<script>" not in html


async def test_browser_language_counts(busy: httpx.AsyncClient) -> None:
    _, html = await page(busy, **{"accept-language": "es-CL"})
    assert '<html lang="es"' in html


async def test_fragment_revalidates(busy: httpx.AsyncClient) -> None:
    first = await busy.get("/ui/overview?lang=en")
    etag = first.headers["etag"]
    again = first
    for _ in range(5):  # the minute may change between two of them, hardly between each
        known = {"if-none-match": again.headers["etag"]}
        again = await busy.get("/ui/overview?lang=en", headers=known)
        if again.status_code == 304:
            break
    assert (again.status_code, again.content) == (304, b"")
    other = await busy.get("/ui/overview?lang=es", headers={"if-none-match": etag})
    assert other.status_code == 200


async def test_empty_install_shows_the_steps(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    found, _ = await page(client, "?lang=en")
    shown = " ".join(found.texts)
    assert "No model is declared yet" in shown
    assert "timonel init --from data.csv --target COLUMN" in shown
    world.declare(app, "dispatch")
    shown = " ".join((await page(client, "?lang=en"))[0].texts)
    assert "timonel train dispatch" in shown
    assert "curl http://127.0.0.1:8000/v1/models/dispatch/predict" in shown
    assert "nothing was predicted in the last 7 days" in shown
    world.register(app, "dispatch")
    world.promote(app, "dispatch", "1.0.0")
    known = world.prediction(app, "dispatch")
    world.windows(app, "dispatch", [{"minutes_ago": 0, "n": 1}])
    shown = " ".join((await page(client, "?lang=en"))[0].texts)
    assert f'"prediction_id":"{known}"' in shown
    assert "timonel train dispatch" not in shown
    assert "no outcome has been joined to these predictions yet" in shown
    world.cells(app, "dispatch", [{"hours_ago": 0, "n": 1, "total": 1}])
    shown = " ".join((await page(client, "?lang=en"))[0].texts)
    assert "First steps" not in shown
    assert "not enough data yet (1 of 200 labels)" in shown


async def test_what_is_bad_needs_someone(app: world.LocalApp, client: httpx.AsyncClient) -> None:
    app.policies["dispatch"] = Policy(min_accuracy=0.9, min_samples=100)
    world.declare(app, "dispatch")
    world.register(app, "dispatch", 1)
    world.promote(app, "dispatch", "1.0.0")
    world.windows(
        app,
        "dispatch",
        [
            {"minutes_ago": 1, "n": 80},
            {"minutes_ago": 1, "n": 20, "source": "rules", "version": "", "reason": "model_error"},
        ],
    )
    world.cells(app, "dispatch", [{"hours_ago": 1, "n": 400, "total": 320}])
    for _ in range(100):
        world.outcome(app, "dispatch", None)
    shown = " ".join((await page(client, "?lang=en"))[0].texts)
    assert "1 model serving, 3 things need you" in shown
    assert "20% of the answers of dispatch in the last 24 h came from its fallback." in shown
    assert "dispatch is surely below its minimum: 83.6% at best, 90% asked." in shown
    assert "100 outcomes of dispatch name a prediction that has not been found." in shown


async def in_service(app: world.LocalApp) -> None:
    app.policies["dispatch"] = Policy(retrain="0 2 * * *", retrain_on_labels=1500)
    world.declare(app, "dispatch")
    world.register(app, "dispatch", 1)
    world.promote(app, "dispatch", "1.0.0")


async def test_drift_is_shown_of_the_version_in_production(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    await in_service(app)
    columns = {
        "distance_km": ("alert", 0.41),
        "severity": ("warning", 0.12),
        "@score": ("warning", 0.05),
        "n_calls": ("ok", 0.01),
    }
    world.drift(app, "dispatch", "1.0.0", columns)
    shown = " ".join((await page(client, "?lang=en"))[0].texts)
    assert "confirmed : distance_km by 0.41, severity by 0.12, the answers' score by 0.05" in shown
    assert "1,204 rows" in shown
    assert "1 windows, no alert" in shown
    world.register(app, "dispatch", 2)
    world.promote(app, "dispatch", "1.0.1")
    shown = " ".join((await page(client, "?lang=en"))[0].texts)
    assert "unknown: no window of 1.0.1 has been judged yet" in shown


async def test_a_window_that_is_too_small_is_not_called_well(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    await in_service(app)
    world.drift(app, "dispatch", "1.0.0", {"distance_km": ("not_enough", 0.0)})
    shown = " ".join((await page(client, "?lang=es"))[0].texts)
    assert "aún no hay datos suficientes" in shown


async def test_firing_alerts_need_someone_the_worst_first_and_once(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    app.policies["dispatch"] = Policy(min_accuracy=0.9, min_samples=100)
    world.declare(app, "dispatch")
    world.register(app, "dispatch", 1)
    world.promote(app, "dispatch", "1.0.0")
    world.windows(app, "dispatch", [{"minutes_ago": 1, "n": 80}])
    world.cells(app, "dispatch", [{"hours_ago": 1, "n": 400, "total": 320}])
    for n in range(6):
        column = f"{EVIL}{n}"
        world.alert(app, "dispatch", Kind.DRIFT_DETECTED, Severity.MEDIUM, column=column)
    world.alert(app, "dispatch", Kind.PERFORMANCE_DEGRADATION, Severity.HIGH, metric="accuracy")
    found, html = await page(client, "?lang=en")
    shown = " ".join(found.texts)
    # the loss is an alert: it is not said again as a quality below its minimum
    assert "1 model serving, 6 things need you" in shown
    assert "surely below" not in shown
    assert shown.index("HIGH: dispatch answers worse") < shown.index("MEDIUM: Drift in")
    assert "timonel alerts show 7" in shown
    assert "2 more alerts are firing." in shown
    assert "0 windows, 7 alerts" in shown
    assert EVIL not in html
    app.alerts.acknowledge(7, who="ana")
    shown = " ".join((await page(client, "?lang=en"))[0].texts)
    assert "surely below" in shown


async def test_a_retraining_is_followed_to_its_end(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    await in_service(app)

    async def shown(lang: str = "en") -> str:
        return " ".join((await page(client, f"?lang={lang}"))[0].texts)

    said = await shown()
    assert "Starts on: a confirmed loss; schedule 0 2 * * *; 1,500 new outcomes." in said
    assert "none so far" in said
    queue = JobQueue(app.engine, world.PROJECT, app.clock)
    queue.submit("retrain", model="dispatch", payload={}, requested_by="ana", max_attempts=1)
    assert "waits for a worker" in await shown()
    claim = queue.claim("w")
    assert claim is not None
    queue.begin_step(claim, 0, "fetch")
    said = await shown()
    assert "step 1 of 5: reading the data" in said
    assert "begun, one now" in said
    queue.fail(claim, NotInProduction(model="dispatch"), retry=False)
    said = await shown("es")
    assert "El último reentrenamiento de dispatch falló." in said
    assert "timonel retrain dispatch" in said
    assert "begun, one now" not in said


async def test_declaration_that_no_longer_loads_is_still_shown(
    app: world.LocalApp, client: httpx.AsyncClient
) -> None:
    world.declare(app, "dispatch")
    assert app.policies == {}
    assert "dispatch" in " ".join((await page(client))[0].texts)


async def test_simulated_time_is_said(tmp_path: Any) -> None:
    now = time.time_ns() // 1000
    clock = AffineClock(now, now, 60.0)
    app = world.open_world(f"sqlite:///{tmp_path / 'fast.db'}", clock=clock)
    async with client_of(app) as client:
        shown = " ".join((await page(client, "?lang=en"))[0].texts)
    assert "Simulated time, 60.0 times as fast as a clock." in shown
    app.engine.dispose()


async def test_under_a_path_of_a_proxy(app: world.LocalApp) -> None:
    app.settings = app.settings.model_copy(update={"public_url": "https://ml.example/timonel/"})
    world.declare(app, "dispatch")
    async with client_of(app) as client:
        root = await client.get("/", headers={"accept": "text/html"})
        assert root.headers["location"] == "/timonel/ui/"
        shown = " ".join((await page(client, "?lang=en"))[0].texts)
        assert "curl https://ml.example/timonel/v1/models/dispatch/predict" in shown
        document = (await client.get("/openapi.json")).json()
        assert document["servers"] == [{"url": "/timonel"}]


async def test_sentence_of_state(app: world.LocalApp, client: httpx.AsyncClient) -> None:
    async def heading(lang: str) -> str:
        html = (await page(client, f"?lang={lang}"))[1]
        return str(re.findall("<h1>(.*)</h1>", html)[0])

    assert await heading("es") == "Todavía no hay modelos declarados"
    world.declare(app, "a")
    assert await heading("en") == "No model is in production yet, 1 thing needs you"
    world.register(app, "a")
    world.promote(app, "a", "1.0.0")
    assert await heading("es") == "1 modelo en servicio, nada requiere su atención"
    world.declare(app, "b")
    world.register(app, "b")
    world.promote(app, "b", "1.0.0")
    assert await heading("en") == "2 models serving, nothing needs you"
    world.alive(app)
    with app.engine.begin() as connection:
        silent = update(processes).values(seen_at=processes.c.seen_at - 3600 * 10**6)
        connection.execute(silent)
    assert await heading("en") == "Nothing is serving, 1 thing needs you"
