"""What can become of a row of an outcome file, and how it is said."""

from collections.abc import Mapping
from enum import StrEnum


class Fate(StrEnum):
    """What became of a row."""

    JOINED = "joined"
    REVISED = "revised"
    IDENTICAL = "identical"
    EARLY = "early"  # kept, waits for its prediction
    UNKNOWN = "unknown"  # kept, but its key was never predicted
    INVALID = "invalid"


REASONS = {
    "en": {
        "unknown": "no prediction was ever made for the key {found}",
        "early": "no prediction of the key {found} is known before its time and within the "
        "horizon; it waits",
        "early_id": "the prediction is not known yet; it waits",
        "no_value": "no value",
        "not_a_class": "found {found}, expected one of {expected}",
        "not_a_number": "found {found}, expected a finite number",
        "not_an_id": "found {found}, expected a prediction id",
        "bad_key": "found {found}, expected a key of 1 to 256 characters",
        "bad_time": "found {found}, expected a date or a time such as 2026-03-31T18:00",
        "no_key": "the model declares no key, so {found} names no prediction",
        "other_model": "the prediction is of model {found}, expected {expected}",
    },
    "es": {
        "unknown": "nunca se hizo una predicción para la llave {found}",
        "early": "no se conoce una predicción de la llave {found} anterior a su fecha y dentro "
        "del horizonte; queda en espera",
        "early_id": "la predicción aún no se conoce; queda en espera",
        "no_value": "sin valor",
        "not_a_class": "hay {found}, se esperaba uno de {expected}",
        "not_a_number": "hay {found}, se esperaba un número finito",
        "not_an_id": "hay {found}, se esperaba un id de predicción",
        "bad_key": "hay {found}, se esperaba una llave de 1 a 256 caracteres",
        "bad_time": "hay {found}, se esperaba una fecha u hora como 2026-03-31T18:00",
        "no_key": "el modelo no declara una llave, así que {found} no nombra ninguna predicción",
        "other_model": "la predicción es del modelo {found}, se esperaba {expected}",
    },
}

WORDS = {
    "en": {
        "rows": "{n} row(s) read",
        Fate.JOINED: "  {n} joined to their prediction",
        Fate.REVISED: "  {n} revised an earlier truth",
        Fate.IDENTICAL: "  {n} known already, nothing changed",
        Fate.EARLY: "  {n} early: kept, they wait for their prediction",
        Fate.UNKNOWN: "  {n} unknown: their key was never predicted",
        Fate.INVALID: "  {n} invalid",
        "row": "  row {row}: {reason}",
        "more": "  and {n} more",
        "rejected": "Unknown and invalid rows, with reasons: {path}",
    },
    "es": {
        "rows": "{n} fila(s) leídas",
        Fate.JOINED: "  {n} unidas a su predicción",
        Fate.REVISED: "  {n} corrigen un resultado anterior",
        Fate.IDENTICAL: "  {n} ya se conocían, nada cambió",
        Fate.EARLY: "  {n} anticipadas: se guardan y esperan su predicción",
        Fate.UNKNOWN: "  {n} desconocidas: su llave nunca se predijo",
        Fate.INVALID: "  {n} no válidas",
        "row": "  fila {row}: {reason}",
        "more": "  y {n} más",
        "rejected": "Filas desconocidas y no válidas, con sus motivos: {path}",
    },
}


def counted(n_rows: int, counts: Mapping[Fate, int], lang: str) -> list[str]:
    """Say how many rows were read, and what became of them, a part each."""
    words = WORDS["es" if lang == "es" else "en"]
    parts = [words["rows"].format(n=n_rows)]
    return parts + [words[fate].format(n=counts[fate]) for fate in Fate if counts.get(fate)]
