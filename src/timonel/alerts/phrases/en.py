"""What alerts say, in English."""

from timonel.alerts.phrases.form import Phrases
from timonel.signals import Kind

_UNUSUAL = (
    "{series} of {model} is unlike what it was at this hour",
    "{series} is {observed}, usually {usual} ({z} spreads away, in {minutes_out} of the last 5 "
    "minutes).",
    "About {usual}, as in the same hours before.",
)
"""Of an anomaly: title, what was seen, what was expected."""

PHRASES: dict[Kind, Phrases] = {
    Kind.DRIFT_DETECTED: Phrases(
        title=(
            "Drill: simulated drift of {column} in {model} ({simulated})",
            "Concept drift: the answers of {model} are worth less ({concept})",
            "Drift in {column} of {model}",
            "Drift in what {model} is asked",
            "Drift in what a model is asked",
        ),
        seen=(
            "`timonel drift simulate` ({simulated}) moved {column} by {effect} in {n} rows held "
            "back at training. No request was touched.",
            "On {n} outcomes {concept} is {realised}; the scores promised {estimate} [{lower}, "
            "{upper}] (p = {p_value}).",
            "In the stream of outcomes the errors rose from {before:%} to {after:%} ({concept}).",
            "The errors rose in the stream of outcomes ({concept}).",
            "Against its reference, {column} moved by {effect} ({test}, p = {p_value}) in {n} "
            "rows. It looks like {looks_like}.",
            "Against its reference, {column} moved by {effect} ({test}, p = {p_value}) in {n} "
            "rows.",
            "Against its reference, {column} moved by {effect} in {n} rows.",
            "{column} is no longer distributed as in its reference.",
            "What comes in is no longer distributed as in its reference.",
        ),
        expected=(
            "Outcomes that keep what the scores promise: {concept} at most {floor} worse.",
            "An effect of at most {floor}, or one that chance explains.",
            "The distribution of the data the version was trained on.",
        ),
        steps=(
            "Nothing is wrong: resolve this alert ({simulated}). In earnest you would:",
            "Ask whoever delivers {column} whether its source, unit or coding changed: a fault in "
            "the data is mended there, not by training.",
            "See which windows, and whether inputs moved too: `timonel performance {model}` "
            "({concept}).",
            "See whether the answers of {column} became worse: `timonel drift {model}`. Drift of "
            "inputs alone is no reason to retrain.",
            "If the world changed and the answers suffer, run `timonel retrain {model}`.",
            "If nothing is wrong, resolve the alert and say why.",
        ),
    ),
    Kind.PERFORMANCE_DEGRADATION: Phrases(
        title=(
            "{model} seems to answer worse than it did (estimated {metric} {estimate})",
            "{model} answers worse than it did",
            "A model answers worse than it did",
        ),
        seen=(
            "{metric} is estimated at {estimate} [{lower}, {upper}] on {n} answers whose outcomes "
            "have not come; it was {baseline} on rows the version never saw. Nothing is confirmed.",
            "{metric} is {value} [{lower}, {upper}] on {n} outcomes; it was {baseline} on rows "
            "the version never saw.",
            "{metric} is {value} on {n} outcomes; it was {baseline} on rows the version never saw.",
            "{metric} is {value}.",
            "The outcomes contradict the answers more often than they did.",
        ),
        expected=(
            "{metric} no more than {threshold} away from {baseline}.",
            "The quality the version had when it was trained.",
        ),
        steps=(
            "An estimate {estimate} follows the scores: wait for outcomes, or hasten them, before "
            "you retrain. See `timonel performance {model}`.",
            "See whether inputs drift at the same time: `timonel alerts list --model {model}`.",
            "If it began with a new version, go back: `timonel rollback {model}`.",
            "Otherwise train on what happened since: `timonel retrain {model}`.",
            "Check that the outcomes themselves are right before acting on them.",
        ),
    ),
    Kind.SERVICE_DOWN: Phrases(
        title=(
            "{model} is not served",
            "The service is not healthy: {dimension}",
            "The service does not answer",
        ),
        seen=("{dimension}: {reason}.", "{reason}.", "The service is not healthy."),
        expected=("Every part of the service answers.",),
        steps=(
            "See what stands and what does not: `timonel doctor`, or `GET /health`.",
            "Read the log of `timonel serve`, and start it again if it ended.",
        ),
    ),
    Kind.HIGH_FALLBACK_RATE: Phrases(
        title=(_UNUSUAL[0], "Rules answer for {model} too often", "Rules answer too often"),
        seen=(
            _UNUSUAL[1],
            "Rules or baseline answered {n_fallback} of {n} predictions ({rate:%}): {reasons}.",
            "Rules or baseline answered {n_fallback} of {n} predictions ({rate:%}).",
            "Rules or baseline answered {rate:%} of the predictions.",
            "Rules or baseline answer in the model's place.",
        ),
        expected=(_UNUSUAL[2], "At most {threshold:%}.", "The model answers nearly always."),
        steps=(
            "Look at the reasons: timeout asks for more time or workers, low_confidence for "
            "another model, model_error for the log.",
            "If it began with a new version, go back: `timonel rollback {model}`.",
        ),
    ),
    Kind.LOW_CONFIDENCE: Phrases(
        title=(_UNUSUAL[0], "{model} is unsure too often", "A model is unsure too often"),
        seen=(
            _UNUSUAL[1],
            "The mean confidence of {n} answers is {value}.",
            "{rate:%} of {n} answers were of low confidence.",
            "The scores lie nearer to a coin's toss than they did.",
        ),
        expected=(
            _UNUSUAL[2],
            "At least {threshold}.",
            "The confidence the version had at training.",
        ),
        steps=(
            "See whether inputs drift: `timonel drift {model}`.",
            "When outcomes are there, compare its accuracy with that of training.",
        ),
    ),
    Kind.DATA_QUALITY: Phrases(
        title=(
            "Bad data in {column} of {model}",
            "Rows that stand out are sent to {model} ({n_outliers} of {n})",
            "{model} is declared with another schema than {trained} was trained on",
            "Bad data is sent to {model}",
            "Bad data comes in",
        ),
        seen=(
            "{rate:%} of {n} rows break a rule of {column}: {reason}.",
            "{n_outliers} of {n} rows stand out ({rate:%}; of ordinary rows {usual:%} do), most "
            "by: {columns}.",
            "{trained} was trained on another schema. Fields that differ: {differs}.",
            "{n_refused} of {n} rows were refused ({rate:%}), by field: {fields}.",
            "{n_refused} of {n} rows were refused ({rate:%}).",
            "{reason}.",
            "Rows break the rules of the schema.",
        ),
        expected=(
            "At most {threshold:%}.",
            "The schema that {trained} was trained on.",
            "Rows that keep to the declared schema.",
        ),
        steps=(
            "Requests are held to the schema of {trained} until another version serves: "
            "`timonel train {model}`. `timonel doctor` says what differs.",
            "See what is wrong with them: the errors of the refused requests name field, value and "
            "what was expected; `timonel drift {model}` counts them by field ({fields}).",
            "Look at such rows of that time: see whether {columns} came in another unit, order or "
            "coding, or from another source.",
            "Ask whoever delivers {column} what changed.",
            "If the new values are right, correct the schema in model.py and train again.",
        ),
    ),
    Kind.MEMORY_USAGE: Phrases(
        title=(
            "The process {process} of {host} uses too much memory",
            "Memory runs short on {host}",
            "A process uses too much memory",
        ),
        seen=(
            "{process} (process {pid}) uses {used_mb} MB.",
            "{used_mb} of {total_mb} MB are in use on {host}.",
            "Memory runs short.",
        ),
        expected=("At most {allowed_mb} MB.", "Memory use that stays level."),
        steps=(
            "If `kill {restarted}` frees it, the process grows with time: it is started again, "
            "predictions in its spool are kept.",
            "Lower `workers` or `native_processes`, or give the host more memory.",
            "If that much is usual, raise `memory_mb` (of a process) or `memory_share` (of the "
            "machine) in timonel.toml.",
        ),
    ),
    Kind.DISK_FULL: Phrases(
        title=("The disk of {host} is nearly full", "A disk is nearly full"),
        seen=("{free_mb} of {total_mb} MB are free.", "Little is free."),
        expected=("At least 2 GB free, or a tenth of a smaller disk.",),
        steps=(
            "Free or add room: without it predictions are refused, or answered unlogged "
            "(`spool_full`).",
            "See what holds it: `timonel doctor`, and `du -sh` on the state folder.",
        ),
    ),
    Kind.DATABASE_ERROR: Phrases(
        title=("The database does not answer as it should",),
        seen=(
            "It could not be read for {away_s} s, until now.",
            "{dimension}: {reason}.",
            "{reason}.",
            "Reads or writes of the database fail.",
        ),
        expected=("A database that can be read and written.",),
        steps=(
            "Check it with `timonel doctor`: address, rights, free disk.",
            "Predictions go on meanwhile and wait in the spool; see that its disk has room.",
        ),
    ),
    Kind.NO_DATA: Phrases(
        title=(_UNUSUAL[0], "Nobody asks {model}", "No traffic"),
        seen=(
            _UNUSUAL[1],
            "No prediction for {minutes} minutes.",
            "No prediction came.",
        ),
        expected=(
            _UNUSUAL[2],
            "About {usual_per_minute} a minute, as usual at this time.",
            "Traffic as usual.",
        ),
        steps=(
            "Check that the callers run and reach this server: `GET /readyz` from their side.",
            "If the silence is intended, silence this alert for as long as it lasts.",
        ),
    ),
    Kind.SLOW_RESPONSE: Phrases(
        title=(_UNUSUAL[0], "{model} answers slowly", "Answers are slow"),
        seen=(
            _UNUSUAL[1],
            "{metric} is {value} ms on {n} answers.",
            "Answers take {value} ms.",
            "Slow.",
        ),
        expected=(_UNUSUAL[2], "At most {threshold} ms.", "Answers as fast as usual."),
        steps=(
            "See whether the host is busy with something else.",
            "Raise `workers`, or compare with the version before: `timonel versions {model}`.",
        ),
    ),
    Kind.EXPERIMENT_HARM: Phrases(
        title=("An experiment harms {model}", "An experiment does harm"),
        seen=(
            "{metric} is {value} against {baseline}, on {n} units.",
            "The variant is worse than the control.",
        ),
        expected=("No loss beyond {threshold}.", "A variant that does no harm."),
        steps=("Stop the experiment; then look at what differs.",),
    ),
    Kind.JOB_FAILED: Phrases(
        title=(
            "The job {job_kind} of {model} failed",
            "The job {job_kind} failed",
            "A job failed",
        ),
        seen=(
            "Step {step} ended with: {error}",
            "It ended with: {error}",
            "It did not come to its end.",
        ),
        expected=("A job that ends well; the champion serves on meanwhile.",),
        steps=(
            "{remedy}",
            "See every step with `timonel jobs show {job_id}`.",
            "When the cause is mended, start it again; finished steps are not repeated.",
        ),
    ),
    Kind.APPROVAL_PENDING: Phrases(
        title=(
            "{model}@{candidate} waits for a person",
            "A retrained version of {model} waits for a person",
            "A retrained version waits for a person",
        ),
        seen=("{why}", "It was retrained, and is not promoted by itself."),
        expected=("Somebody puts it into production, or archives it.",),
        steps=(
            "Read what was found: `timonel jobs show {job_id}`.",
            "Put it into production: `timonel promote {model} {candidate}`.",
            "Leave it as it is: the next retraining takes its place, and this notice ends.",
        ),
    ),
    Kind.METRIC_ANOMALY: Phrases(
        title=(
            "{series} is unlike what it was at this hour",
            "A metric of the project is unlike what it was",
        ),
        seen=(
            "Its mean is {observed} a minute, usually {usual} ({z} spreads away, in {minutes_out} "
            "of the last 5 minutes).",
            "Its newest minutes are unlike those before.",
        ),
        expected=(_UNUSUAL[2], "Values as in the same hours before."),
        steps=(
            "See what it is now: `timonel metrics`.",
            "Ask whoever owns the code that records it what changed.",
            "If nothing is wrong, resolve the alert and say why.",
        ),
    ),
    Kind.CHECK_FAILED: Phrases(
        title=(
            "The check {monitor} of {model} fails",
            "The check {monitor} fails",
            "A check fails",
        ),
        seen=("It ended with: {error}", "{reason}.", "It did not come to a verdict."),
        expected=("A verdict; until then nobody watches this.",),
        steps=(
            "{remedy}",
            "Read the log of the worker; the other checks go on.",
        ),
    ),
    Kind.NOTIFIER_FAILED: Phrases(
        title=("The channel {channel} does not deliver", "A channel does not deliver"),
        seen=(
            "{attempts} attempts failed; the last one: {error}. {waiting} messages wait.",
            "The last attempt failed: {error}.",
            "Messages do not arrive.",
        ),
        expected=("Every message arrives; none is lost, they wait in the outbox.",),
        steps=(
            "Check the receiver and the environment variable that holds its address.",
            "Run `timonel alerts channel test {channel}`: when it succeeds, what waits is sent.",
        ),
    ),
}
