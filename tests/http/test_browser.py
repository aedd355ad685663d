"""The pages in a real Chromium: nothing in the console, nothing beyond the machine, no overflow."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests.http import world

from timonel.http.api import create_api

pytestmark = pytest.mark.interop
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    app = world.busy(f"sqlite:///{tmp_path_factory.mktemp('browser') / 'timonel.db'}")
    config = uvicorn.Config(create_api(app), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()
    app.engine.dispose()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package `chromium`")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


class Browser:
    """A headless Chromium, driven over the pipes of its DevTools protocol."""

    def __init__(self, profile: Path) -> None:
        read_end, self._to = os.pipe()
        self._from, write_end = os.pipe()
        # Chromium reads commands on descriptor 3 and writes events on 4
        command = (
            f"exec {CHROMIUM} {' '.join(FLAGS)} --remote-debugging-pipe"
            f" --user-data-dir={profile} about:blank 3</dev/fd/{read_end} 4>/dev/fd/{write_end}"
        )
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            pass_fds=(read_end, write_end),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for descriptor in (read_end, write_end):
            os.close(descriptor)
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str, *, width: int, dark: bool = False) -> None:
        self.events.clear()
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def wait(self, condition: str) -> None:
        until = time.monotonic() + 120
        while not self.run(condition):
            assert time.monotonic() < until, condition
            time.sleep(0.05)

    def run(self, expression: str) -> Any:
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def complaints(self) -> list[str]:
        """Give what the console said in anger."""
        found = []
        for event in self.events:
            parameters = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(parameters["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded":
                entry = parameters["entry"]
                if entry["level"] in ("error", "warning"):
                    found.append(f"{entry['text']} {entry.get('url', '')}")
            elif parameters.get("type") in ("error", "assert") and "args" in parameters:
                found.append(str(parameters["args"]))
        return found

    def asked(self) -> list[str]:
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def close(self) -> None:
        self._session = None
        os.write(self._to, b'{"id":0,"method":"Browser.close"}\0')
        self._process.wait(10)
        for descriptor in (self._to, self._from):
            os.close(descriptor)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._from, 1 << 16)
            assert piece, "Chromium ended"
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self.events.append(message)
        return message


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_overview(browser: Browser, address: str, width: int, dark: bool, lang: str) -> None:
    browser.open(f"{address}/ui/?lang={lang}&theme=auto", width=width, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.querySelectorAll('svg.chart').length") >= 6
    assert browser.run(CONTRASTS) == []
    assert browser.run("document.querySelectorAll('code + button').length") >= 2
    assert browser.complaints() == []
    assert [url for url in browser.asked() if not url.startswith(address)] == []


def test_fragment_is_swapped_and_failures_are_said(browser: Browser, address: str) -> None:
    browser.open(f"{address}/ui/?lang=en", width=1280)
    browser.run("document.querySelector('details').open = true")
    browser.run("document.querySelector('h1').textContent = 'old'")
    refresh = "document.dispatchEvent(new Event('visibilitychange'))"
    browser.run(refresh)
    browser.wait("document.querySelector('h1').textContent !== 'old'")
    assert browser.run("document.querySelector('details').open") is True
    assert browser.run("document.getElementById('stale').hidden") is True
    assert browser.complaints() == []
    browser.call("Network.emulateNetworkConditions", offline=True, latency=0,
                 downloadThroughput=-1, uploadThroughput=-1)  # fmt: skip
    browser.run(refresh)
    browser.wait("!document.getElementById('stale').hidden")
    said = browser.run("document.getElementById('stale').textContent")
    assert said.startswith("Could not update. What you see is of 20")
    browser.call("Network.emulateNetworkConditions", offline=False, latency=0,
                 downloadThroughput=-1, uploadThroughput=-1)  # fmt: skip
    browser.run(refresh)
    browser.wait("document.getElementById('stale').hidden")


def test_page_without_scripts_is_whole(browser: Browser, address: str) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{address}/ui/?lang=en", width=390)
        assert "1 model serving" in browser.run("document.querySelector('h1').textContent")
        assert browser.complaints() == []
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize(
    ("path", "ready"),
    [
        ("/docs", "!!document.querySelector('.opblock')"),
        ("/redoc", "!!document.querySelector('[data-section-id]')"),
    ],
)
def test_references_work_without_a_network(
    browser: Browser, address: str, path: str, ready: str
) -> None:
    browser.open(f"{address}{path}", width=1280)
    browser.wait(ready)
    browser.wait("document.body.innerText.includes('Predict late')")
    assert browser.complaints() == []
    beyond = [u for u in browser.asked() if not u.startswith((address, "data:", "blob:"))]
    assert beyond == []


def test_address_answers(address: str) -> None:
    with urllib.request.urlopen(f"{address}/v1") as answer:
        assert answer.status == 200


# every text against the background behind it (WCAG 2.1: 4.5, large text 3)
CONTRASTS = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (c) => (c <= 10 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (c) => 0.2126 * light(c[0]) + 0.7152 * light(c[1]) + 0.0722 * light(c[2]);
  const behind = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const c = rgba(getComputedStyle(n).backgroundColor);
      if (c[3] === 255) return c;
    }
    return rgba("white");
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    const box = node.getBoundingClientRect();
    if (!own || !box.width || ["title", "desc", "SCRIPT"].includes(node.tagName)) continue;
    const style = getComputedStyle(node);
    const ink = node.tagName === "text" ? style.fill : style.color;
    const [a, b] = [luminance(rgba(ink)), luminance(behind(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${node.textContent.trim()} ${ratio.toFixed(2)}`);
  }
  return poor;
})()
"""
