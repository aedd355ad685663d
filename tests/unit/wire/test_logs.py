"""Log lines as JSON, and what is kept out of them."""

import json
import subprocess
import sys

from timonel.logging import relayed, words_of

CHILD = """
import logging, sys
import timonel
from timonel.logging import configure

configure("json", "info", "worker-0")
log = timonel.get_logger("prices")
log.debug("not asked for")
known = {"model": "churn", "version": "1.4.0", "request_id": "r1"}
log.info("stale since %s", "Monday", extra=known)
logging.getLogger("httpx").info("POST https://hooks.example/secret")
log.warning("tml_abc-DEF_123 and postgresql://ana:geheim@db/x", extra={"odd": object})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("two\\nlines")
print(sorted({m.split(".")[0] for m in sys.modules} & {"pydantic", "sqlalchemy", "numpy", "typer"}))
"""


def test_lines_hold_context_and_no_secret_and_the_import_is_light() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    first, second, third = map(json.loads, done.stderr.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "INFO",
        "logger": "timonel.project.prices",
        "message": "stale since Monday",
        "process": "worker-0",
        "model": "churn",
        "version": "1.4.0",
        "request_id": "r1",
    }
    assert second["message"] == "*** and postgresql://***@db/x"
    assert second["odd"] == "<class 'object'>"
    assert third["message"] == "two\nlines"
    assert "ZeroDivisionError" in third["error"]
    assert done.stdout == "[]\n"


def test_what_a_child_prints_becomes_a_line_and_its_own_lines_stay() -> None:
    own = relayed("worker-0", "Segmentation fault of tml_0123456789")
    said = json.loads(own)
    assert (said["message"], said["process"]) == ("Segmentation fault of ***", "worker-0")
    assert relayed("supervisor", own) == own
    assert words_of(own) == said["message"]
    assert words_of(own[:40]) == own[:40]
    cut = json.loads(relayed("worker-0", own[:40]))
    assert cut["message"] == own[:40]
