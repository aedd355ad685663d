"""Recognise columns that name things rather than describe them: ids, RUTs, e-mails, phones."""

import re
import unicodedata

import polars as pl

_ALMOST_ALL = 0.95
_ENOUGH = 20  # rows before uniqueness means anything
_RUT = r"^(\d{1,3}(?:\.?\d{3}){1,2})-?([\dkK])$"
_PATTERNS = {
    "email": r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$",
    "uuid": r"^(?i:[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})$",
    "phone": r"^(?:\+\d{1,3}[ \-]?)(?:\(?\d{1,4}\)?[ \-]?)?\d{3,4}[ \-]?\d{3,4}$|^\+\d{8,14}$",
}
_CLOCK = r"^(?:(\d+) days?,? )?(\d{1,3}):(\d{2})(?::(\d{2}(?:[.,]\d+)?))?$"
_ID_WORDS = frozenset({"id", "ids", "rut", "run", "dni", "cedula", "uuid", "guid", "pk", "folio"})
_CODE_WORDS = frozenset({"codigo", "cod", "code", "nro", "numero", "number", "ticket", "clave"})
_PHONE_WORDS = frozenset({"fono", "telefono", "phone", "celular", "movil", "mobile", "whatsapp"})
_PERSONAL_WORDS = frozenset(
    {
        *("nombre", "nombres", "apellido", "apellidos", "direccion", "domicilio", "address"),
        *("firstname", "lastname", "surname", "fullname"),
    }
)
_BIRTH_WORDS = frozenset({"nacimiento", "nac", "birth", "birthday", "birthdate", "born", "dob"})
_NEVER_NEGATIVE = frozenset(
    {
        *("age", "edad", "peso", "weight", "altura", "height", "estatura", "talla", "antiguedad"),
        *("distance", "distancia", "duracion", "duration", "tenure"),
    }
)
_CALENDAR_WORDS = frozenset({"ano", "anio", "year", "mes", "month", "dia", "day", "semana", "week"})


def words_of(name: str) -> tuple[str, ...]:
    """Split a column name into lower-case words without accents: "customerId" -> customer, id."""
    plain = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    plain = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", plain)
    return tuple(re.findall(r"[a-z]+", plain.lower()))


def check_digit(body: str) -> str:
    """Give the check digit of a Chilean RUT (modulus 11): "12345678" -> "5"."""
    total = sum(
        int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(body.replace(".", "")))
    )
    return {10: "K", 11: "0"}.get(11 - total % 11, str(11 - total % 11))


def identity(name: str, column: pl.Series, *, n_unique: int) -> str | None:
    """Tell what kind of identifier a column is.

    Parameters
    ----------
    name : str
    column : polars.Series
        Without missing values, in the order of the rows.
    n_unique : int

    Returns
    -------
    str or None
        "rut", "email", "phone", "uuid", "sequential", "unique", "named" (an id by its name, whose
        values repeat), "personal"; None: it describes rather than names.
    """
    words = set(words_of(name))
    if column.dtype == pl.String:
        return _text_identity(words, column, n_unique)
    if column.dtype == pl.Int64:
        return _whole_identity(words, column, n_unique)
    return None


def _text_identity(words: set[str], column: pl.Series, n_unique: int) -> str | None:
    n = len(column)
    if _is_rut(column):
        return "rut"
    for kind, pattern in _PATTERNS.items():
        if column.str.contains(pattern).mean() >= _ALMOST_ALL:  # type: ignore[operator]
            return kind
    if words & _PHONE_WORDS and n_unique > _ENOUGH:
        return "phone"
    if n < _ENOUGH:
        return None
    if words & _PERSONAL_WORDS and n_unique > 0.2 * n:
        return "personal"
    spaced = float(column.str.contains(r"\s").mean() or 0)  # type: ignore[arg-type]
    if n_unique >= 0.98 * n and spaced < 0.05:
        return "unique"
    if words & _ID_WORDS and n_unique > _ENOUGH:
        return "named"
    return None


def _is_rut(column: pl.Series) -> bool:
    sample = column.head(2_000)
    parts = sample.str.extract_groups(_RUT).struct.unnest().drop_nulls()
    if parts.height < _ALMOST_ALL * len(sample):
        return False
    dashed = float(sample.str.contains("-", literal=True).mean() or 0)  # type: ignore[arg-type]
    right = sum(check_digit(body) == digit.upper() for body, digit in parts.iter_rows())
    return bool(right >= (0.8 if dashed > _ALMOST_ALL else _ALMOST_ALL) * parts.height)


def _whole_identity(words: set[str], column: pl.Series, n_unique: int) -> str | None:
    n = len(column)
    if words & _PHONE_WORDS and int(column.min() or 0) >= 10**7:  # type: ignore[arg-type]
        return "phone"
    if n < _ENOUGH:
        return None
    unique = n_unique == n
    if unique and not words & _CALENDAR_WORDS:
        span = int(column.max()) - int(column.min()) + 1  # type: ignore[arg-type]
        rising = bool((column.diff().drop_nulls() > 0).all())
        if rising and span <= 3 * n:
            return "sequential"
        if words & (_ID_WORDS | _CODE_WORDS):
            return "unique"
    if words & _ID_WORDS and n_unique > _ENOUGH:
        return "named"
    if words & _CODE_WORDS and n_unique > 0.5 * n:
        return "named"
    return None


def is_clock(column: pl.Series) -> bool:
    """Say whether text is times of day or durations ("06:51:33", "1 days 00:00:00")."""
    if column.dtype != pl.String:
        return False
    share = column.str.contains(_CLOCK).mean()
    return isinstance(share, float) and share >= _ALMOST_ALL


def clock_seconds(column: pl.Series) -> pl.Series:
    """Read times of day or durations as seconds, Float64; null where a cell is none."""
    groups = column.str.extract_groups(_CLOCK).struct.unnest()
    days, hours, minutes, seconds = (
        groups[name].str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
        for name in groups.columns
    )
    whole = days.fill_null(0.0) * 86_400 + hours * 3600 + minutes * 60
    return whole + seconds.fill_null(0.0)


def is_birth(name: str) -> bool:
    """Say whether a date column is of birth rather than of an event."""
    return bool(set(words_of(name)) & _BIRTH_WORDS)


def physical_limits(name: str, low: float, high: float) -> tuple[float | None, float | None]:
    """Give the limits that nature sets to a quantity of this name, if the data keep them.

    Only what cannot be otherwise: an age or a weight is not negative, a latitude is within 90
    degrees. The greatest value seen is never a limit: the next customer may be older.
    """
    words = set(words_of(name))
    limits: tuple[float | None, float | None] = (None, None)
    if words & _NEVER_NEGATIVE:
        limits = (0.0, None)
    elif words & {"latitude", "latitud", "lat"}:
        limits = (-90.0, 90.0)
    elif words & {"longitude", "longitud", "lon", "lng"}:
        limits = (-180.0, 180.0)
    low_ok = limits[0] is None or low >= limits[0]
    high_ok = limits[1] is None or high <= limits[1]
    return limits if low_ok and high_ok else (None, None)
