"""The lines that a demo prints, in English and Spanish."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from timonel.clock import AffineClock
from timonel.errors import numbers_in

Language = Literal["en", "es"]

DAYS: dict[Language, tuple[str, ...]] = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "es": ("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
}

TEXTS: dict[str, dict[Language, str]] = {
    # what the city and the story do
    "city": {
        "en": "A city of {ambulances} ambulances begins to call (seed {seed}). A day there lasts "
        "{day_s:.0f} s here.",
        "es": "Una ciudad con {ambulances} ambulancias comienza a llamar (semilla {seed}). Un día "
        "allá dura {day_s:.0f} s acá.",
    },
    "rules_first": {
        "en": "There is no model yet: the rules answer, and say so. The first one is being "
        "trained.",
        "es": "Todavía no hay modelo: responden las reglas, y lo dicen. Se está entrenando el "
        "primero.",
    },
    "early": {
        "en": "{n} calls came before it: {rules} answered by the rules, {model} by a model.",
        "es": "Antes llegaron {n} llamadas: {rules} respondidas por las reglas, {model} por un "
        "modelo.",
    },
    "broken": {
        "en": "Something breaks: the files of {version} are overwritten on disk, and kill -9 ends "
        "{n} predict workers.",
        "es": "Algo se rompe: los archivos de {version} se sobrescriben en el disco y kill -9 "
        "termina {n} procesos de predicción.",
    },
    "rules_again": {
        "en": "They are back, refuse the corrupt files, and the rules answer ({reason}). The first "
        "such answer came {seconds:.1f} s after the damage.",
        "es": "Ya volvieron, rechazan los archivos corruptos y responden las reglas ({reason}). La "
        "primera respuesta así llegó {seconds:.1f} s después del daño.",
    },
    "mended": {
        "en": "The files are put back.",
        "es": "Se reponen los archivos.",
    },
    "healed": {
        "en": "The model answers again, {seconds:.1f} s later; the rules stood in for {n} calls, "
        "and no call went without an answer.",
        "es": "El modelo responde otra vez, {seconds:.1f} s después; las reglas lo suplieron en "
        "{n} llamadas, y ninguna quedó sin respuesta.",
    },
    "accuracy_before": {
        "en": "On ordinary days the model is right in {value:.1%} [{low:.1%}, {high:.1%}] of {n} "
        "calls.",
        "es": "En días comunes el modelo acierta en {value:.1%} [{low:.1%}, {high:.1%}] de {n} "
        "llamadas.",
    },
    "works_begin": {
        "en": "Road works begin all over the city: every kilometre takes longer than the model "
        "learned.",
        "es": "Comienzan obras en toda la ciudad: cada kilómetro toma más de lo que el modelo "
        "aprendió.",
    },
    "accuracy_during": {
        "en": "During the works the old version was right in {value:.1%} [{low:.1%}, {high:.1%}] "
        "of {n} calls.",
        "es": "Durante las obras la versión anterior acertó en {value:.1%} [{low:.1%}, {high:.1%}] "
        "de {n} llamadas.",
    },
    "accuracy_after": {
        "en": "The works go on, and the new version is right in {value:.1%} [{low:.1%}, "
        "{high:.1%}] of {n} calls.",
        "es": "Las obras siguen, y la versión nueva acierta en {value:.1%} [{low:.1%}, "
        "{high:.1%}] de {n} llamadas.",
    },
    "not_repaired": {
        "en": "That is not good enough yet: it learned from too few days of the works. The loop "
        "goes on.",
        "es": "Todavía no alcanza: aprendió de muy pocos días de obras. El ciclo sigue.",
    },
    "rolled_back": {
        "en": "A drill: roll back to {version}. {n_current} of {n_live} workers answer by it; the "
        "last call that got the other one was asked {seconds:.2f} s after the order.",
        "es": "Un simulacro: volver a {version}. {n_current} de {n_live} procesos responden con "
        "ella; la última llamada que recibió la otra se hizo {seconds:.2f} s después de la orden.",
    },
    "forward": {
        "en": "And forward again to {version}: {n_current} of {n_live} workers, {seconds:.2f} s.",
        "es": "Y otra vez adelante, a {version}: {n_current} de {n_live} procesos, {seconds:.2f} "
        "s.",
    },
    "sum_before": {
        "en": "  before  {bar} {value:.1%} [{low:.1%}, {high:.1%}]",
        "es": "  antes   {bar} {value:.1%} [{low:.1%}, {high:.1%}]",
    },
    "sum_during": {
        "en": "  drift   {bar} {value:.1%} [{low:.1%}, {high:.1%}]",
        "es": "  deriva  {bar} {value:.1%} [{low:.1%}, {high:.1%}]",
    },
    "sum_after": {
        "en": "  after   {bar} {value:.1%} [{low:.1%}, {high:.1%}]",
        "es": "  después {bar} {value:.1%} [{low:.1%}, {high:.1%}]",
    },
    "count": {
        "en": "Counted from outside: {n} predictions, {lost} lost, {duplicated} duplicated; "
        "{joined} outcomes joined.",
        "es": "Contado desde afuera: {n} predicciones, {lost} perdidas, {duplicated} duplicadas; "
        "{joined} resultados unidos.",
    },
    "missing": {
        "en": "This did not happen: {arc} ({why}).",
        "es": "Esto no ocurrió: {arc} ({why}).",
    },
    # what the system does
    "promoted": {
        "en": "{version} goes into production, by {who}.",
        "es": "{version} entra en producción, por {who}.",
    },
    "went_back": {
        "en": "{version} is in production again, by {who}.",
        "es": "{version} está otra vez en producción, por {who}.",
    },
    "drift": {
        "en": "Drift seen: what comes in is not what {version} learned from: {columns}",
        "es": "Deriva vista: lo que llega no es aquello de lo que {version} aprendió: {columns}",
    },
    "alert": {
        "en": "ALERT {id}, {severity}: {title}. {seen}",
        "es": "ALERTA {id}, {severity}: {title}. {seen}",
    },
    "alert_over": {
        "en": "Alert {id} has resolved itself: {title}.",
        "es": "La alerta {id} se resolvió sola: {title}.",
    },
    "alert_closed": {
        "en": "Alert {id} was resolved by hand: {title}.",
        "es": "La alerta {id} fue resuelta a mano: {title}.",
    },
    "job": {
        "en": "A retraining begins; its cause: {trigger}.",
        "es": "Comienza un reentrenamiento; su causa: {trigger}.",
    },
    "job_over": {
        "en": "The retraining took {seconds:.1f} s. {said}",
        "es": "El reentrenamiento tomó {seconds:.1f} s. {said}",
    },
    "job_failed": {
        "en": "The retraining failed after {seconds:.1f} s. {said}",
        "es": "El reentrenamiento falló a los {seconds:.1f} s. {said}",
    },
    # a living city
    "day": {
        "en": "A day has passed: {n} calls; the model was right in {value:.1%} [{low:.1%}, "
        "{high:.1%}] of those whose outcome is known.",
        "es": "Pasó un día: {n} llamadas; el modelo acertó en {value:.1%} [{low:.1%}, {high:.1%}] "
        "de aquellas cuyo resultado se conoce.",
    },
    "day_unknown": {
        "en": "A day has passed: {n} calls; of no answer by a model is the outcome known.",
        "es": "Pasó un día: {n} llamadas; de ninguna respuesta del modelo se conoce el resultado.",
    },
    "miles_begin": {
        "en": "A supplier's update: distances now come in miles, under their old name.",
        "es": "Una actualización del proveedor: las distancias llegan en millas, con el mismo "
        "nombre.",
    },
    "usual_again": {
        "en": "The works are over and distances come in kilometres: the city is as it was.",
        "es": "Terminan las obras y las distancias llegan en kilómetros: la ciudad vuelve a ser "
        "la de antes.",
    },
    "strike_begins": {
        "en": "Road works again, and a strike: three of ten ambulances stay at home.",
        "es": "Obras otra vez, y una huelga: tres de cada diez ambulancias no salen.",
    },
}


def line(key: str, lang: Language, **facts: object) -> str:
    """Give one line with its facts filled in, its numbers as the language writes them."""
    return TEXTS[key][lang].format(**numbers_in(facts, lang))


class Timeline:
    """Lines said so far, each with the second and the city's hour at which it was said."""

    def __init__(
        self, lang: Language, clock: AffineClock, zone: ZoneInfo, say: Callable[[str], None]
    ) -> None:
        self.began = time.monotonic()
        self.lines: list[str] = []
        self.lang = lang
        self.clock = clock
        self._zone = zone
        self._say = say

    def say(self, key: str, **facts: object) -> None:
        """Say a line of the catalogue, now."""
        local = datetime.fromtimestamp(self.clock.now_us() / 1e6, UTC).astimezone(self._zone)
        day = DAYS[self.lang][local.weekday()]
        when = f"{time.monotonic() - self.began:6.1f} s  {day} {local:%d/%m %H:%M}"
        text = f"{when}  {line(key, self.lang, **facts)}"
        self.lines.append(text)
        self._say(text)
