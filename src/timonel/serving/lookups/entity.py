"""Predicting for an entity: a row that is found, and what the request's body overrides."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from timonel.schema.errors import InvalidRow
from timonel.schema.validation import Row, read_key
from timonel.schema.validation_fields import Fault
from timonel.serving.errors import LookupUnusable, NoLookup
from timonel.serving.lookups.lookup import Found, Lookups
from timonel.serving.routes.fallback import tell
from timonel.serving.routes.requests import PredictRequest
from timonel.serving.versions.snapshot import ServedModel, ServedVersion
from timonel.wire.answer import Reason
from timonel.wire.errors import InvalidRequest


class EntityRow:
    """A request for one entity, as `Predictions.answer` takes it.

    Parameters
    ----------
    lookups : Lookups
    model : ServedModel
    entity : str
        As it stands in the path.
    body : bytes
        Empty, or ``inputs`` that override what is found, ``unit_id`` and ``prediction_id``.

    Raises
    ------
    NoLookup
        If the model declares none.
    InvalidRequest
        If the entity is no key: 1 to 256 printable characters.
    """

    def __init__(self, lookups: Lookups, model: ServedModel, entity: str, body: bytes) -> None:
        declared = model.declaration
        plan = None if declared is None else declared.manifest.lookup
        if plan is None:
            raise NoLookup(model=model.name)
        try:
            self._entity = read_key(entity) or ""
        except Fault as fault:
            raise InvalidRequest(
                field="entity",
                found=fault.found,
                expected=fault.expected,
                route=f"/v1/models/{model.name}/predict/{{entity}}",
                example="{}",
            ) from None
        self._model = model.name
        self._lookups = lookups
        self._plan = plan
        self._body = body

    async def filled(
        self, version: ServedVersion, at: int
    ) -> tuple[PredictRequest, Reason | None, int | None]:
        """Give the whole request, why its row is not whole (None: it is), and its data's age.

        Parameters
        ----------
        version : ServedVersion
            Whose schema the row must fit.
        at : int
            Event time of the request, in microseconds.

        Raises
        ------
        TimonelError
            If the body breaks its form, or what only the body can give is missing.
        """
        sent = version.requests.overrides(self._body)
        decoder = version.decoder
        given = decoder.partial(sent.inputs)
        if not isinstance(given, Row):
            raise InvalidRow(model=self._model, errors=given)
        reason, age_ms = None, None
        if not all(name in sent.inputs for name in decoder.names):
            found = await self._find(version, at)
            reason, age_ms = found.reason, found.age_ms
            if found.row is not None:
                whole = self._joined(version, found.row, sent.inputs)
                if whole is None:
                    reason, age_ms = Reason.LOOKUP_FAILED, None
                else:
                    given = whole
        key = given.key
        if decoder.key is not None and key is None:
            key = self._entity
        unit = sent.unit_id or self._entity
        row = Row(given.values, key)
        return PredictRequest([row], True, unit, sent.prediction_id), reason, age_ms

    async def _find(self, version: ServedVersion, at: int) -> Found:
        try:
            lookup = self._lookups.of(self._model, self._plan)
        except LookupUnusable as error:
            tell(version, str(error))
            return Found(None, reason=Reason.LOOKUP_FAILED)
        return await lookup.find(self._entity, at, ZoneInfo(version.manifest.timezone))

    def _joined(
        self, version: ServedVersion, row: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> Row | None:
        """Lay the body over the row; None where the database's own values do not fit.

        Raises
        ------
        InvalidRow
            If a field is in neither: the client has to send it.
        """
        decoder = version.decoder
        # databases fold the case of names that are not quoted
        folded = {name.casefold(): value for name, value in row.items()}
        found = {
            name: row[name] if name in row else folded[name.casefold()]
            for name in decoder.names
            if name in row or name.casefold() in folded
        }
        checked = decoder.check({**found, **inputs})
        if isinstance(checked, Row):
            return checked
        unfit = [error for error in checked if error["field"] in found]
        if unfit:
            fields = ", ".join(f"{error['field']} ({error['code']})" for error in unfit[:8])
            tell(version, f"the row that its look-up found does not fit the schema: {fields}")
            return None
        raise InvalidRow(model=self._model, errors=checked)
