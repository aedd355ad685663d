import socket
import string

import pytest

from timonel.simulate.demo import DemoOptions, once
from timonel.simulate.errors import DemoServerNotReady
from timonel.simulate.texts import TEXTS, line


@pytest.mark.parametrize("key", TEXTS)
def test_a_line_says_the_same_facts_in_both_languages(key: str) -> None:
    fields = {
        lang: {name for _, name, _, _ in string.Formatter().parse(text) if name}
        for lang, text in TEXTS[key].items()
    }
    assert set(fields) == {"en", "es"}
    assert fields["es"] == fields["en"]


def test_a_line_rounds_shares_and_times() -> None:
    said = line("accuracy", "es", value=0.9123, low=0.88, high=0.94, n=400, baseline=0.65)
    assert said == (
        "El modelo acertó en 91.2% [88.0%, 94.0%] de 400 llamadas; responder siempre lo más común: "
        "65.0%."
    )


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as held:  # bound, not listening: nobody answers, and nobody takes the port
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(DemoServerNotReady, match=url):
            once(url, DemoOptions(ready_wait_s=0.3))
