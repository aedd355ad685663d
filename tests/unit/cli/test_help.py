"""Help speaks the reader's language: every sentence has its Spanish one, and no more."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from typer import rich_utils
from typer.main import get_command

from timonel.cli import main, phrases
from timonel.cli.phrases.help import HELP_ES, PANELS_ES
from timonel.cli.texts import TEXTS


def sentences(command: Any) -> Iterator[str]:
    yield command.help.strip()
    yield command.get_help_option(command.context_class(command)).help
    yield from (one.help for one in command.params if one.help)
    for inner in getattr(command, "commands", {}).values():
        yield from sentences(inner)


def test_every_sentence_of_the_help_has_a_spanish_one() -> None:
    assert set(sentences(get_command(main.app))) == set(HELP_ES)


def test_no_catalogue_takes_the_place_of_another_ones_sentence() -> None:
    catalogues = [
        found
        for one in pkgutil.iter_modules(phrases.__path__)
        for name, found in vars(import_module(f"{phrases.__name__}.{one.name}")).items()
        if name.endswith("_TEXTS")
    ]
    assert len(catalogues) > 5
    for found in catalogues:
        assert {key: TEXTS[key] for key in found} == found


@pytest.mark.parametrize("words", [[], ["alerts", "channel", "add"], ["register"]])
def test_help_in_spanish(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*PANELS_ES, "highlighter"):  # so that they are put back
        monkeypatch.setattr(rich_utils, name, getattr(rich_utils, name))
    monkeypatch.setattr("sys.argv", ["timonel", *words, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    said = {}
    for lang in ("en_US.UTF-8", "es_CL.UTF-8"):
        monkeypatch.setenv("LC_ALL", lang)
        monkeypatch.delenv("TIMONEL_LANGUAGE", raising=False)
        with pytest.raises(SystemExit):
            main.main()
        said[lang[:2]] = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Show this message and exit." in said["en"]
    assert "Muestra esta ayuda y termina." in said["es"]
    assert "Opciones" in said["es"]
    assert not [one for one in HELP_ES if len(one) > 25 and one in said["es"]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("foo", "No hay comando 'foo'."),
        ("alerts lst", "No hay comando 'lst'. ¿Quiso decir 'list'?"),
        ("alerts list --all", "No hay opción --all"),
        ("predict", "Falta el argumento 'model'."),
        ("drift a b c", "Sobran argumentos: b c"),
        ("up --port abc", "Valor inválido de '--port': se espera un número entero"),
        ("experiment share x 110", "Valor inválido de 'percent': se espera a lo más 100"),
        ("up --port", "La opción '--port' necesita un valor."),
    ],
)
def test_wrong_usage_is_told_in_spanish(
    words: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*PANELS_ES, "highlighter"):
        monkeypatch.setattr(rich_utils, name, getattr(rich_utils, name))
    monkeypatch.setattr("sys.argv", ["timonel", *words.split()])
    monkeypatch.setenv("TIMONEL_LANGUAGE", "es")
    with pytest.raises(SystemExit) as ended:
        main.main()
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert ended.value.code == 2
    assert expected in said
    assert "Error" in said
