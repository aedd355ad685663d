"""What Typer says of a command that was not understood, in Spanish."""

import re

_PATTERNS = tuple(
    (re.compile(english), spanish)
    for english, spanish in (
        (r"^Usage: ", "Uso: "),
        (r"\[OPTIONS\]", "[OPCIONES]"),
        (r"\bCOMMAND \[ARGS\]\.\.\.", "COMANDO [ARGUMENTOS]..."),
        (r"^No such option: (\S+?)(?=\.| |$)", r"No hay opción \1"),
        (r"^No such command ('.*?')\.", r"No hay comando \1."),
        (r"^Missing command\.", "Falta el comando."),
        (r"^Missing argument (.+?)\.(?= |$)", r"Falta el argumento \1."),
        (r"^Missing option (.+?)\.(?= |$)", r"Falta la opción \1."),
        (r"^Got unexpected extra argument\(s\) \((.*)\)$", r"Sobran argumentos: \1"),
        (r"^Option (\S+) requires an argument\.?$", r"La opción \1 necesita un valor."),
        (r"^Option (\S+) does not take a value\.?$", r"La opción \1 no lleva valor."),
        (r"^Invalid value for (.+?): ", r"Valor inválido de \1: "),
        (r"^Invalid value: ", "Valor inválido: "),
        (r"\(Possible options: (.*)\)$", r"(¿quizás \1?)"),
        (r"Did you mean (.*)\?$", r"¿Quiso decir \1?"),
        (r"(?:File|Path|Directory) ('.*') does not exist\.", r"\1 no existe."),
        (r"Value (.*) is not a valid .*\.$", r"\1 no vale aquí."),
        (r"Input should be a valid integer.*$", "se espera un número entero"),
        (r"Input should be a valid number.*$", "se espera un número"),
        (r"Input should be greater than or equal to (.*)$", r"se espera al menos \1"),
        (r"Input should be greater than (.*)$", r"se espera más de \1"),
        (r"Input should be less than or equal to (.*)$", r"se espera a lo más \1"),
        (r"Input should be less than (.*)$", r"se espera menos de \1"),
        (r"Input should be (.*) or (.*)$", r"se espera \1 o \2"),
    )
)


def usage_es(words: str) -> str:
    """Give what Typer says in Spanish; what is not known here stays as it is.

    Examples
    --------
    >>> usage_es("No such option: --al (Possible options: --all)")
    'No hay opción --al (¿quizás --all?)'
    """
    for pattern, spanish in _PATTERNS:
        words = pattern.sub(spanish, words)
    return words
