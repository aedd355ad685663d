"""Why a version answers what it answers; for the control process and commands only.

Versions are loaded as predict workers load them, and answer first: what is explained is the answer
that serving gives, by whoever gives it. A model without a compiled form is asked in this process,
by its own library; no predict worker imports this module.
"""

import linecache
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from timonel.registry.catalogue import ModelVersion
from timonel.registry.registry import Registry
from timonel.runtime.errors import NoExplanation
from timonel.runtime.explain.explain import Explainer
from timonel.runtime.explain.explanation import Explanation
from timonel.schema.errors import InvalidRow
from timonel.schema.validation import MOST_ERRORS, Row, Values
from timonel.serving.errors import AnsweredElsewhere, NotTheLoggedAnswer
from timonel.serving.routes.fallback import Given, by_model, by_rules, instead
from timonel.serving.rule_limit import Overdue
from timonel.serving.versions.snapshot import CHAMPION, DECLARATION, ServedVersion, load_version
from timonel.store.lean import ServingRow
from timonel.store.reads import PredictionRow
from timonel.wire.answer import Reason, Source
from timonel.wire.strict_json import read_json

MOST_ROWS = 100
_KEPT = 4
_MOST_LINES = 50
_MOST_STEPS = 100_000
_TOLERANCE = 1e-4
Document = dict[str, Any]
ArtifactGetter = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class _Loaded:
    version: ServedVersion
    explainer: Explainer | None  # None: there is no model to ask


class Explanations:
    """Explains answers of one project's versions. Safe to use from several threads.

    Parameters
    ----------
    registry : Registry
    artifact : callable
        From sha256 (hex) to verified bytes.
    """

    def __init__(self, registry: Registry, artifact: ArtifactGetter) -> None:
        self._registry = registry
        self._artifact = artifact
        self._kept: OrderedDict[str, _Loaded] = OrderedDict()
        self._lock = Lock()

    def explain(self, model: str, body: bytes) -> Document:
        """Explain what a model answers to rows, sent as for predict; nothing is logged.

        Returns
        -------
        dict
            Of one row, or of many under ``explanations``.

        Raises
        ------
        TimonelError
            As predict refuses the same body; `NotAdditive` where no explanation holds.
        """
        loaded = self._served(model)
        version = loaded.version
        request = version.requests.read(body, MOST_ROWS)
        errors = [error for row in request.rows if not isinstance(row, Row) for error in row]
        if errors:
            raise InvalidRow(model=model, errors=errors[:MOST_ERRORS])
        found = [_of_row(loaded, row.values) for row in request.rows if isinstance(row, Row)]
        head = {"model": model, "version": version.version}
        return head | (found[0] if request.single else {"explanations": found})

    def explain_logged(self, row: PredictionRow) -> Document:
        """Explain a logged answer by the version that gave it.

        Raises
        ------
        AnsweredElsewhere
            If it was recorded from outside.
        NotTheLoggedAnswer
            If the version no longer says what was logged.
        """
        if row.source == Source.EXTERNAL:
            raise AnsweredElsewhere(prediction_id=str(row.prediction_id), model=row.model)
        loaded = (
            self._numbered(row.model, row.version) if row.version else self._declared(row.model)
        )
        version = loaded.version
        checked = version.decoder.check(read_json(row.features.encode()), whole=False)
        if not isinstance(checked, Row):
            raise InvalidRow(model=row.model, errors=checked)
        values = checked.values
        if row.source == Source.MODEL and version.predictor is not None:
            given = Given(version.predictor.predict_row(values), row.source, row.reason)
        else:
            given = _stood_in(version, values, row)
        found = {
            "prediction_id": str(row.prediction_id),
            "model": row.model,
            "version": row.version,
        }
        document = _of_answer(loaded, values, given)
        _require_logged(document, row)
        return found | document

    def _served(self, model: str) -> _Loaded:
        champion = self._registry.champion(model)
        return self._declared(model) if champion is None else self._of(champion)

    def _numbered(self, model: str, version: str) -> _Loaded:
        return self._of(self._registry.get(model, version))

    def _of(self, version: ModelVersion) -> _Loaded:
        return self._loaded(
            version.digest,
            lambda: ServingRow(
                version.model,
                CHAMPION,
                version.version,
                version.digest,
                self._registry.manifest(version.model, version.version).encode().decode(),
            ),
        )

    def _declared(self, model: str) -> _Loaded:
        row = self._registry.declaration(model)
        return self._loaded(
            row.digest, lambda: ServingRow(row.model, DECLARATION, "", row.digest, row.manifest)
        )

    def _loaded(self, digest: str, row: Callable[[], ServingRow]) -> _Loaded:
        with self._lock:  # loading twice at once would only take longer
            loaded = self._kept.get(digest)
            if loaded is None:
                loaded = _load(row(), self._artifact)
                self._kept[digest] = loaded
            self._kept.move_to_end(digest)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return loaded


def _load(row: ServingRow, artifact: ArtifactGetter) -> _Loaded:
    version = load_version(row, artifact, native=True)
    if version.manifest.predictor == "http":
        raise NoExplanation(model=row.model, version=row.version)
    if version.native:
        from timonel.runtime.native import NativePredictor

        native = NativePredictor.load(version.manifest, artifact)
        version = replace(version, predictor=native, native=False)
    if version.predictor is None:
        return _Loaded(version, None)
    return _Loaded(version, Explainer(version.manifest, artifact, version.predictor))


def _of_row(loaded: _Loaded, values: Values) -> Document:
    with _traced() as path:
        given = by_model(loaded.version, values)
    return _of_answer(loaded, values, given, path)


def _stood_in(version: ServedVersion, values: Values, row: PredictionRow) -> Given:
    """Answer again as what stood in for the model did."""
    if row.source == Source.RULES:
        ruled = by_rules(version, values)
        if ruled is not None:
            return Given(ruled, row.source, row.reason)
    return instead(replace(version, rules=None), values, Reason(row.reason))


def _of_answer(
    loaded: _Loaded, values: Values, given: Given, path: list[str] | None = None
) -> Document:
    answer = given.answer
    found = Explanation(given.source)
    if given.source == Source.MODEL and loaded.explainer is not None:
        found = loaded.explainer.explain(values, answer)
    elif given.source == Source.RULES:
        if path is None:
            with _traced() as path:
                by_rules(loaded.version, values)
        found = Explanation(given.source, path=tuple(path))
    return {
        "source": given.source,
        "reason": given.reason,
        "prediction": answer.prediction,
        "score": answer.score,
        "explanation": found.document() | {"text": answer.explanation},
    }


def _require_logged(document: Document, row: PredictionRow) -> None:
    """Refuse to explain another answer than the one that was given."""
    logged = read_json(row.prediction.encode())
    now = document["prediction"]
    same = _near(now, logged) and _near(document["score"], row.score)
    if not same:
        raise NotTheLoggedAnswer(
            prediction_id=str(row.prediction_id),
            model=row.model,
            found=f"{now} ({document['score']})",
            expected=f"{logged} ({row.score})",
        )


def _near(found: Any, logged: Any) -> bool:
    numbers = isinstance(found, int | float) and isinstance(logged, int | float)
    if not numbers or isinstance(found, bool):
        return bool(found == logged)
    return bool(abs(found - logged) <= _TOLERANCE * max(1.0, abs(logged)))


@contextmanager
def _traced() -> Iterator[list[str]]:
    """Gather the lines of rules that run in this thread, as they are written, in order."""
    lines: list[str] = []
    n_steps = 0

    def step(frame: Any, event: str, _argument: Any) -> Any:
        nonlocal n_steps
        if event == "line":
            n_steps += 1
            if n_steps > _MOST_STEPS:
                raise Overdue
            if len(lines) < _MOST_LINES:
                text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
                lines.append(f"{frame.f_lineno}: {text}")
        return step

    def call(frame: Any, _event: str, _argument: Any) -> Any:
        # modules of rules have names of our own (timonel.serving.rules)
        named = str(frame.f_globals.get("__name__", "")).startswith("timonel_rules_")
        return step if named and frame.f_code.co_name != "<module>" else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield lines
    finally:
        sys.settrace(before)
