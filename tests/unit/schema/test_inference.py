"""What is decided about columns: ids, kinds, limits, what gives the target away, on real files."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from timonel.errors import TimonelError
from timonel.project.sources import Csv, Parquet
from timonel.schema.features import Category, Flag, Number, Text, Timestamp
from timonel.schema.inference import Inference, infer
from timonel.schema.recognition import check_digit, words_of
from timonel.schema.suspicion import Suspicion

N = 200
START = datetime.fromisoformat("2024-01-01")


def table(**columns: Sequence[object]) -> pl.DataFrame:
    base: dict[str, Sequence[object]] = {
        "x": [(i * 37) % 101 / 7 for i in range(N)],
        "y": ["si" if i * i % 7 < 3 else "no" for i in range(N)],
    }
    return pl.DataFrame(base | columns)


def only(name: str, values: Sequence[object]) -> Inference:
    return infer(table(**{name: values}), "y")


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("folio", [70_000 + 13 * ((i * 71) % N) for i in range(N)], "id_unique"),
        ("n", list(range(1, N + 1)), "id_sequential"),
        ("customerId", [i % 50 for i in range(N)], "id_named"),
        ("correo", [f"p{i % 90}@correo.cl" for i in range(N)], "id_email"),
        ("fono", [f"+56 9 {1000 + i} {2000 + i}" for i in range(N)], "id_phone"),
        ("telefono", [912_345_678 + i % 70 for i in range(N)], "id_phone"),
        ("u", [f"123e4567-e89b-12d3-a456-{i:012x}" for i in range(N)], "id_uuid"),
        ("orden", [f"OT-{i:05d}" for i in range(N)], "id_unique"),
        ("nombre", [f"Ana {i % 90} Rojas" for i in range(N)], "id_personal"),
        ("k", ["igual"] * N, "constant"),
        ("k", [None] * N, "empty"),
        ("hora", [f"{i % 24:02d}:{i % 60:02d}:00" for i in range(N)], "clock"),
        ("apodo", [f"w{i % 150}" for i in range(N)], "too_many_words"),
    ],
)
def test_what_names_or_says_nothing_is_left_out(
    name: str, values: list[object], reason: str
) -> None:
    decision = only(name, values).decision(name)
    assert decision.reason.code == reason
    assert not decision.used
    assert decision.explain("es") != decision.explain("en")


def test_a_rut_is_recognised_with_and_without_points_and_is_the_best_key() -> None:
    bodies = [7_000_000 + 12_345 * i for i in range(N)]
    dotted = [f"{b:,}".replace(",", ".") + "-" + check_digit(str(b)) for b in bodies]
    plain = [f"{b}-{check_digit(str(b)).lower()}" for b in bodies]
    for values in (dotted, plain):
        inferred = infer(table(cliente=values, n=list(range(N))), "y")
        assert inferred.decision("cliente").reason.code == "id_rut"
        assert inferred.key == "cliente"


@pytest.mark.parametrize(
    ("body", "digit"),
    [("12345678", "5"), ("30686957", "4"), ("6", "K"), ("21", "3"), ("11.111.111", "1")],
)
def test_check_digits(body: str, digit: str) -> None:
    assert check_digit(body) == digit


def test_words_of_names() -> None:
    assert words_of("customerId") == ("customer", "id")
    assert words_of("N° Teléfono móvil") == ("n", "telefono", "movil")


def test_kinds_and_what_is_required() -> None:
    moments = [START + timedelta(hours=i) for i in range(N)]
    inferred = infer(
        table(
            edad=[20 + i % 60 for i in range(N)],
            zona=["sur" if i % 3 else "Norte" for i in range(N)],
            socio=[bool(i % 2) for i in range(N)],
            web=[i % 2 for i in range(N)],
            fecha=moments,
            nota=[f"una frase de varias palabras {i}" for i in range(N)],
            deuda=[None if i % 9 == 0 else i / 3 for i in range(N)],
        ),
        "y",
    )
    schema = inferred.schema
    assert schema["edad"] == Number("edad", ge=0), "no customer is refused for being the oldest"
    assert schema["zona"] == Category("zona", ["Norte", "sur"], unseen="accept")
    assert (schema["socio"], schema["web"]) == (Flag("socio"), Flag("web"))
    assert schema["fecha"] == Timestamp("fecha")
    assert schema["nota"] == Text("nota")
    assert schema["deuda"] == Number("deuda", required=False)
    assert inferred.time == "fecha"
    assert (inferred.task, inferred.positive) == ("binary", "si")


def test_spellings_of_one_word_are_one_category() -> None:
    inferred = only("zona", ["sur", "Sur", "SUR", "norte"] * (N // 4))
    assert len(inferred.schema["zona"].values) == 2  # type: ignore[attr-defined]


def test_rare_words_are_left_to_unseen() -> None:
    values = [f"z{i % 60}" for i in range(20 * N)] + [f"raro{i}" for i in range(300)]
    n = len(values)
    frame = pl.DataFrame({"z": values, "y": [i % 2 for i in range(n)]})
    category = infer(frame, "y").schema["z"]
    assert isinstance(category, Category)
    assert len(category.values) == 200
    assert {f"z{i}" for i in range(60)} <= set(category.values)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([i % 2 for i in range(N)], "binary"),
        (["a", "b"] * (N // 2), "binary"),
        (["a", "b", "c", "d"] * (N // 4), "multiclass"),
        ([1 + i % 5 for i in range(N)], "multiclass"),
        ([i % 40 for i in range(N)], "regression"),
        ([i / 8 for i in range(N)], "regression"),
    ],
)
def test_the_task_is_read_off_the_target(values: list[object], task: str) -> None:
    assert infer(pl.DataFrame({"x": table()["x"], "y": values}), "y").task == task


@pytest.mark.parametrize(
    "values",
    [
        ["a"] * N,
        [None] * N,
        [f"w{i}" for i in range(N)],
        [START + timedelta(days=i % 9) for i in range(N)],
    ],
)
def test_a_target_that_cannot_be_predicted_is_refused(values: list[object]) -> None:
    with pytest.raises(TimonelError) as caught:
        infer(pl.DataFrame({"x": table()["x"], "y": values}), "y")
    assert caught.value.code == "unusable_target"
    assert caught.value.message("es")


def test_rows_without_a_target_are_counted() -> None:
    frame = table().with_columns(
        y=pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise("y")
    )
    inferred = infer(frame, "y")
    assert (inferred.n_rows, inferred.n_dropped) == (180, 20)


def test_an_id_that_repeats_groups_where_no_time_orders() -> None:
    inferred = only("cliente_id", [i % 60 for i in range(N)])
    assert (inferred.group, inferred.key, inferred.time) == ("cliente_id", "cliente_id", None)


# --- what gives the target away


def suspicious(inferred: Inference) -> set[str]:
    return {d.name for d in inferred.decisions if d.kind == "suspicious"}


def reported(inferred: Inference) -> set[str]:
    return {
        d.name
        for d in inferred.decisions
        if any(remark.code.startswith("strong") for remark in d.remarks)
    }


def test_doubles_codings_and_later_moments_are_set_aside() -> None:
    leaves = table()["y"] == "si"
    left = [START + timedelta(days=i) if leaves[i] else None for i in range(N)]
    inferred = infer(
        table(
            codigo_estado=[7 if leaf else 3 for leaf in leaves],
            estado=["BAJA" if leaf else "VIGENTE" for leaf in leaves],
            fecha_baja=left,
            puntaje=[(50 if leaf else 10) + i % 9 for i, leaf in enumerate(leaves)],
        ),
        "y",
    )
    assert suspicious(inferred) == {"codigo_estado", "estado", "fecha_baja", "puntaje"}
    assert inferred.schema.names == ("x",)
    assert inferred.time is None, "a date that only who left has is no event time"


def test_a_kept_column_stays() -> None:
    frame = table(estado=["BAJA" if y == "si" else "VIGENTE" for y in table()["y"]])
    inferred = infer(frame, "y", keep=["estado"])
    assert "estado" in inferred.schema.names


def test_noise_and_unique_words_have_no_power() -> None:
    suspicion = Suspicion(table()["y"], classes=True)
    assert suspicion.power("w", pl.Series([f"w{i}" for i in range(N)])).power <= 0.0
    assert suspicion.power("x", table()["x"]).power < 0.3


REAL = [
    ("obesity/obesity.csv", "NObeyesdad", set(), set()),
    ("taxis/taxis.parquet", "fare", {"total"}, set()),
    ("taxis/taxis.parquet", "total", {"fare"}, set()),
    ("taxis/taxis.parquet", "payment", set(), {"tip"}),
    ("taxis/taxis.parquet", "color", set(), set()),
    ("tweets_hate/tweets_70.parquet", "class_label", {"class"}, {"offensive_language", "neither"}),
    ("ems_dispatch/ems_2010_2018.parquet", "severity", {"determinant", "call_type"}, set()),
    (
        "ems_dispatch/ems_2010_2018.parquet",
        "response_time_in_seconds",
        {"response_time", "arrive_time_in_seconds", "dispatch_time_in_seconds"},
        set(),
    ),
    ("california_housing_drift/reference.parquet", "clf_target", set(), set()),
    ("cdnow/cdnow_sample.csv", "dollars", set(), set()),
    ("obesity/drift_predictions.csv", "y_true", set(), {"y_pred"}),
]


@pytest.mark.parametrize(("file", "target", "aside", "said"), REAL)
def test_real_files(
    file: str, target: str, aside: set[str], said: set[str], data_folder: Path
) -> None:
    source = (Csv if file.endswith(".csv") else Parquet)(data_folder / file)
    inferred = infer(source.read(), target)
    assert suspicious(inferred) == aside
    assert reported(inferred) == said


@pytest.mark.parametrize(
    ("target", "column", "power"),
    [("fare", "total", 0.960), ("fare", "distance", 0.850), ("total", "fare", 0.952)],
)
def test_the_figures_of_the_docstring(
    target: str, column: str, power: float, data_folder: Path
) -> None:
    frame = Parquet(data_folder / "taxis/taxis.parquet").read()
    measured = Suspicion(frame[target], classes=False).power(column, frame[column])
    assert measured.power == pytest.approx(power, abs=0.0006)
