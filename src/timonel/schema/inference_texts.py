"""What decisions say to a person, in English and Spanish; equal keys and fields (tested)."""

from collections.abc import Mapping
from typing import Any

TEXTS: dict[str, dict[str, str]] = {
    "target_classes": {
        "en": "What is predicted: {task}, {n_classes} classes ({shown}).",
        "es": "Lo que se predice: {task}, {n_classes} clases ({shown}).",
    },
    "target_number": {
        "en": "What is predicted: a number, {low:.12g} to {high:.12g} in {n} rows.",
        "es": "Lo que se predice: un número, de {low:.12g} a {high:.12g} en {n} filas.",
    },
    "rare_classes": {
        "en": "WARNING: fewer than 10 rows of: {labels}.",
        "es": "ATENCIÓN: menos de 10 filas de: {labels}.",
    },
    "number": {
        "en": "Numbers from {low:.12g} to {high:.12g}, seen but not enforced.",
        "es": "Números de {low:.12g} a {high:.12g}; observados, no exigidos.",
    },
    "number_whole": {
        "en": "Whole numbers from {low:.12g} to {high:.12g} ({n_unique} different), seen but not "
        "enforced.",
        "es": "Números enteros de {low:.12g} a {high:.12g} ({n_unique} distintos); observados, no "
        "exigidos.",
    },
    "physical": {
        "en": "Refused outside {limits}, which nature sets.",
        "es": "Se rechaza fuera de {limits}, que pone la naturaleza.",
    },
    "flag": {
        "en": "Yes or no; yes in {n_true} of {n} rows.",
        "es": "Sí o no; sí en {n_true} de {n} filas.",
    },
    "flag_01": {
        "en": "Only 0 and 1, read as no and yes; 1 in {n_true} of {n} rows. If it counts "
        "something, make it a Number.",
        "es": "Solo 0 y 1, leídos como no y sí; 1 en {n_true} de {n} filas. Si cuenta algo, "
        "hágalo Number.",
    },
    "category": {
        "en": "{n_unique} different words ({shown}); a new word is accepted and counted as unseen.",
        "es": "{n_unique} palabras distintas ({shown}); una palabra nueva se acepta y se cuenta "
        "como no vista.",
    },
    "rare_words": {
        "en": "The {n_listed} most frequent are listed; {n_rare} rarer ones count as unseen.",
        "es": "Se listan las {n_listed} más frecuentes; {n_rare} más raras cuentan como no vistas.",
    },
    "timestamp": {
        "en": "Moments from {low} to {high}; without an offset they are in the project's time "
        "zone.",
        "es": "Momentos de {low} a {high}; sin desfase horario están en la zona horaria del "
        "proyecto.",
    },
    "text": {
        "en": "Free text of {words:.1f} words on average ({n_unique} different in {n} rows).",
        "es": "Texto libre de {words:.1f} palabras en promedio ({n_unique} distintos en {n} "
        "filas).",
    },
    "some_missing": {
        "en": "Missing in {n_missing} rows ({share:.1%}): a request may leave it out.",
        "es": "Falta en {n_missing} filas ({share:.1%}): una petición puede omitirla.",
    },
    "mostly_missing": {
        "en": "WARNING: missing in {n_missing} rows ({share:.0%}); consider leaving it out.",
        "es": "ATENCIÓN: falta en {n_missing} filas ({share:.0%}); considere dejarla fuera.",
    },
    "empty": {
        "en": "Left out: it has no values.",
        "es": "Se deja fuera: no tiene valores.",
    },
    "constant": {
        "en": "Left out: always {value}.",
        "es": "Se deja fuera: siempre {value}.",
    },
    "clock": {
        "en": "Left out: a time of day or a duration as text ({example}); give it as a number "
        "(hours, seconds) to use it.",
        "es": "Se deja fuera: una hora o una duración como texto ({example}); entréguela como "
        "número (horas, segundos) para usarla.",
    },
    "too_many_words": {
        "en": "Left out: {n_unique} different words in {n} rows, too many for a category and too "
        "short for a text.",
        "es": "Se deja fuera: {n_unique} palabras distintas en {n} filas, demasiadas para una "
        "categoría y muy breves para un texto.",
    },
    "id_rut": {
        "en": "Left out: a RUT ({example}, check digits agree); it identifies, it does not "
        "describe.",
        "es": "Se deja fuera: un RUT ({example}, los dígitos verificadores calzan); identifica, "
        "no describe.",
    },
    "id_email": {
        "en": "Left out: e-mail addresses ({example}), personal data.",
        "es": "Se deja fuera: direcciones de correo ({example}), datos personales.",
    },
    "id_phone": {
        "en": "Left out: phone numbers ({example}), personal data.",
        "es": "Se deja fuera: números de teléfono ({example}), datos personales.",
    },
    "id_personal": {
        "en": "Left out: names or addresses of persons ({example}), personal data.",
        "es": "Se deja fuera: nombres o direcciones de personas ({example}), datos personales.",
    },
    "id_uuid": {
        "en": "Left out: UUIDs, identifiers ({n_unique} different).",
        "es": "Se deja fuera: UUID, identificadores ({n_unique} distintos).",
    },
    "id_sequential": {
        "en": "Left out: a running number ({n_unique} different in {n} rows).",
        "es": "Se deja fuera: un número correlativo ({n_unique} distintos en {n} filas).",
    },
    "id_unique": {
        "en": "Left out: an identifier, another one in every row ({example}).",
        "es": "Se deja fuera: un identificador, otro en cada fila ({example}).",
    },
    "id_named": {
        "en": "Left out: an identifier by its name ({n_unique} different in {n} rows).",
        "es": "Se deja fuera: un identificador por su nombre ({n_unique} distintos en {n} filas).",
    },
    "excluded": {"en": "Left out, as asked.", "es": "Se deja fuera, como se pidió."},
    "kept": {"en": "Kept, as asked.", "es": "Se conserva, como se pidió."},
    "suspicious_classes": {
        "en": "SET ASIDE: alone it predicts the target with {accuracy:.1%} accuracy (the greatest "
        "class has {base:.1%}), as only its double or a later fact does. If it is really known "
        "before, keep it.",
        "es": "APARTADA: sola predice el objetivo con {accuracy:.1%} de exactitud (la clase mayor "
        "tiene {base:.1%}), como solo lo hace su doble o un hecho posterior. Si de verdad se "
        "conoce antes, consérvela.",
    },
    "suspicious_number": {
        "en": "SET ASIDE: alone it explains {power:.1%} of the target (R2), as only a part of it "
        "or a later fact does. If it is really known before, keep it.",
        "es": "APARTADA: sola explica {power:.1%} del objetivo (R2), como solo lo hace una parte "
        "de él o un hecho posterior. Si de verdad se conoce antes, consérvela.",
    },
    "suspicious_pair": {
        "en": "SET ASIDE: the target is {pair} in {share:.1%} of the rows, so one of the two is "
        "known only with it. Keep the one that is known before.",
        "es": "APARTADA: el objetivo es {pair} en {share:.1%} de las filas, así que una de las dos "
        "se conoce solo con él. Conserve la que se conoce antes.",
    },
    "strong_classes": {
        "en": "WARNING: alone it predicts the target with {accuracy:.1%} accuracy (the greatest "
        "class has {base:.1%}): make sure that it is known before.",
        "es": "ATENCIÓN: sola predice el objetivo con {accuracy:.1%} de exactitud (la clase mayor "
        "tiene {base:.1%}): asegúrese de que se conoce antes.",
    },
    "strong_number": {
        "en": "WARNING: alone it explains {power:.1%} of the target (R2): make sure that it is "
        "known before.",
        "es": "ATENCIÓN: sola explica {power:.1%} del objetivo (R2): asegúrese de que se conoce "
        "antes.",
    },
    "date_settled": {
        "en": "Dates read as {format}, as column {by!r} proves.",
        "es": "Fechas leídas como {format}, como prueba la columna {by!r}.",
    },
    "decimal_settled": {
        "en": "{found!r} read with the decimal mark {mark!r}, as column {by!r} proves.",
        "es": "{found!r} leído con el signo decimal {mark!r}, como prueba la columna {by!r}.",
    },
    "numbers_and_words": {
        "en": "Mostly numbers, but with the words {words}: read as words. If they mean 'missing', "
        "say --missing.",
        "es": "Casi todo números, pero con las palabras {words}: leída como palabras. Si "
        "significan 'sin dato', diga --missing.",
    },
}


def sentence(code: str, lang: str, facts: Mapping[str, Any]) -> str:
    """Give the sentence of a code in a language, filled with its facts."""
    texts = TEXTS[code]
    return texts.get(lang, texts["en"]).format(**facts)
