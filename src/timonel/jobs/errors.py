"""What can go wrong with work that is queued, scheduled or executed."""

from timonel.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    ProjectFault,
    Text,
    Unavailable,
    closest,
)


class JobActive(Conflict):
    """A job of the same purpose has not ended yet; ``context["job_id"]`` names it."""

    code = "job_active"
    texts = {
        "en": Text(
            "Cannot start another job {unique_key}: job {job_id} is {state}, and only one at a "
            "time is allowed.",
            "Wait for it (`timonel jobs show {job_id}`), or stop it with "
            "`timonel jobs cancel {job_id}`.",
        ),
        "es": Text(
            "No se puede iniciar otro trabajo {unique_key}: el trabajo {job_id} está en estado "
            "{state}, y solo se permite uno a la vez.",
            "Espere a que termine (`timonel jobs show {job_id}`), o deténgalo con "
            "`timonel jobs cancel {job_id}`.",
        ),
    }


class UnknownJob(NotFound):
    """No job of this project has the id."""

    code = "unknown_job"
    texts = {
        "en": Text(
            "Cannot find the job {job_id}: this project has none of that id.",
            "Run `timonel jobs` to list them.",
        ),
        "es": Text(
            "No se encuentra el trabajo {job_id}: este proyecto no tiene ninguno con ese id.",
            "Ejecute `timonel jobs` para listarlos.",
        ),
    }


class JobEnded(Conflict):
    """The job has ended, so it cannot be cancelled."""

    code = "job_ended"
    texts = {
        "en": Text(
            "Cannot cancel the job {job_id}: it has ended, as {state}.",
            "Nothing is left to stop; `timonel jobs show {job_id}` shows what it did.",
        ),
        "es": Text(
            "No se puede cancelar el trabajo {job_id}: ya terminó, en estado {state}.",
            "No queda nada que detener; `timonel jobs show {job_id}` muestra lo que hizo.",
        ),
    }


class LeaseLost(Conflict):
    """The job is another worker's by now, or has ended: what this one did is not written."""

    code = "lease_lost"
    texts = {
        "en": Text(
            "Cannot write for the job {job_id}: {worker_id} no longer holds it.",
            "Nothing is to be done: the worker that holds it goes on from the last finished step. "
            "If this repeats, see that the database answers and the host is not asleep.",
        ),
        "es": Text(
            "No se puede escribir en el trabajo {job_id}: {worker_id} ya no lo tiene.",
            "No hay nada que hacer: el proceso que lo tiene sigue desde el último paso terminado. "
            "Si se repite, revise que la base de datos responda y que el equipo no se suspenda.",
        ),
    }


class JobCancelled(Conflict):
    """Somebody asked that the running job be stopped."""

    code = "job_cancelled"
    texts = {
        "en": Text(
            "Cannot go on with the job {job_id}: it was cancelled.",
            "Start it again if it is still wanted.",
        ),
        "es": Text(
            "No se puede continuar con el trabajo {job_id}: fue cancelado.",
            "Inícielo de nuevo si todavía lo necesita.",
        ),
    }


class WorkerDied(Unavailable):
    """The lease of a running job ended: its worker was killed, or hung, or lost the database."""

    code = "worker_died"
    texts = {
        "en": Text(
            "Cannot finish the job {job_id}: its worker died {n_deaths} times, the last time in "
            "{worker_id}, in {attempts} of at most {max_attempts} attempts.",
            "See that worker's log and the memory of its host, then start the job again.",
        ),
        "es": Text(
            "No se puede terminar el trabajo {job_id}: su proceso murió {n_deaths} veces, la "
            "última en {worker_id}, en {attempts} de {max_attempts} intentos como máximo.",
            "Revise el registro de ese proceso y la memoria de su equipo, y luego inicie de nuevo "
            "el trabajo.",
        ),
    }


class StepFailed(ProjectFault):
    """A step raised what no part of Timonel raises: its code, or the user's, has a defect."""

    code = "step_failed"
    texts = {
        "en": Text(
            "Cannot finish step {step} of the job {job_id}: {detail}.",
            "The worker's log holds the full trace. Mend the cause and start the job again.",
        ),
        "es": Text(
            "No se puede terminar el paso {step} del trabajo {job_id}: {detail}.",
            "El registro del proceso contiene la traza completa. Corrija la causa e inicie de "
            "nuevo el trabajo.",
        ),
    }


class StepTimedOut(ProjectFault):
    """A step took longer than it may."""

    code = "step_timed_out"
    texts = {
        "en": Text(
            "Cannot finish step {step} of the job {job_id}: it still ran after {timeout_s:g} s, "
            "the most it may take.",
            "See where it hangs (a source that does not answer, a recipe that never ends), or "
            "give it less data; then start the job again.",
        ),
        "es": Text(
            "No se puede terminar el paso {step} del trabajo {job_id}: seguía en marcha después "
            "de {timeout_s:g} s, lo máximo permitido.",
            "Revise dónde se detiene (una fuente que no responde, una receta que no termina), o "
            "dele menos datos; luego inicie de nuevo el trabajo.",
        ),
    }


class StepsChanged(ProjectFault):
    """A job was begun by a version of the code whose steps were others."""

    code = "steps_changed"
    texts = {
        "en": Text(
            "Cannot resume the job {job_id}: it was begun with the steps {found}, and a job of "
            "kind {kind} now has the steps {expected}.",
            "Start a new job; this one belongs to another version of Timonel.",
        ),
        "es": Text(
            "No se puede retomar el trabajo {job_id}: se inició con los pasos {found}, y un "
            "trabajo de tipo {kind} ahora tiene los pasos {expected}.",
            "Inicie un trabajo nuevo; este pertenece a otra versión de Timonel.",
        ),
    }


class NotJson(ProjectFault):
    """A payload or an output that JSON cannot hold (an array, a NaN, an object)."""

    code = "not_json"
    texts = {
        "en": Text(
            "Cannot store {what}: {detail}.",
            "Give plain texts, numbers, lists and objects; put a large value into the artifact "
            "store and give its reference.",
        ),
        "es": Text(
            "No se puede guardar {what}: {detail}.",
            "Entregue textos, números, listas y objetos simples; guarde un valor grande en el "
            "almacén de artefactos y entregue su referencia.",
        ),
    }


class UnknownFunction(ProjectFault):
    """A function's path leads nowhere that another process could find it."""

    code = "unknown_function"
    texts = {
        "en": Text(
            "Cannot execute {function}: {detail}.",
            'Name a function at the top level of a module that can be imported: "module:function".',
        ),
        "es": Text(
            "No se puede ejecutar {function}: {detail}.",
            "Indique una función del nivel superior de un módulo que se pueda importar: "
            '"módulo:función".',
        ),
    }


class TaskFailed(ProjectFault):
    """A function raised, in whatever process it ran; ``context["trace"]`` says where."""

    code = "task_failed"
    texts = {
        "en": Text(
            "Cannot execute {function}: {detail}.",
            "Mend the function; the trace in the log shows the line.",
        ),
        "es": Text(
            "No se puede ejecutar {function}: {detail}.",
            "Corrija la función; la traza en el registro muestra la línea.",
        ),
    }


class TaskEnded(Unavailable):
    """The process of a function ended without an answer: killed, or out of memory."""

    code = "task_ended"
    texts = {
        "en": Text(
            "Cannot execute {function}: its process ended with {ending} before it answered.",
            "See the memory and the log of its host; it is tried again where attempts are left.",
        ),
        "es": Text(
            "No se puede ejecutar {function}: su proceso terminó con {ending} antes de responder.",
            "Revise la memoria y el registro de su equipo; se reintenta si quedan intentos.",
        ),
    }


class InvalidCron(InvalidInput):
    """A schedule's expression that cannot be read, or that never comes."""

    code = "invalid_cron"
    texts = {
        "en": Text(
            "Cannot use {cron!r} as a schedule: {detail_en}.",
            'Give five fields, minute hour day month weekday: "0 2 * * *" is daily at 02:00, '
            '"*/15 * * * *" every quarter of an hour; or @hourly, @daily, @weekly, @monthly.',
        ),
        "es": Text(
            "No se puede usar {cron!r} como horario: {detail_es}.",
            'Indique cinco campos, minuto hora día mes día-de-semana: "0 2 * * *" es a diario a '
            'las 02:00, "*/15 * * * *" cada cuarto de hora; o @hourly, @daily, @weekly, @monthly.',
        ),
    }


class UnknownSchedule(NotFound):
    """No schedule of this project has the name."""

    code = "unknown_schedule"
    texts = {
        "en": Text(
            "Cannot find the schedule {name}: this project has {known_text}.",
            "Correct the name.",
        ),
        "es": Text(
            "No se encuentra el horario {name}: este proyecto tiene {known_text}.",
            "Corrija el nombre.",
        ),
    }

    def __init__(self, *, name: str, known: list[str], **_: str) -> None:
        super().__init__(name=name, known=known, known_text=closest(name, known))
