"""Clients nobody here wrote, with their defaults, against a worker on a real socket."""

import asyncio
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from tests.http import protocols

from timonel import __version__
from timonel.serving.application import build
from timonel.serving.config import WorkerConfig
from timonel.testing.builders import open_registry
from timonel.testing.serving import ServingWorld, declared_manifest

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerConfig]:
    folder = tmp_path_factory.mktemp("world")
    url = f"sqlite:///{folder / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        world: ServingWorld = protocols.open_world(folder, url, registry)
        yield world.config()


@contextmanager
def listening(config: WorkerConfig) -> Iterator[int]:
    """Serve in a thread of its own, as these clients block; gives the port."""
    app = build(config)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none")
    )

    async def serve() -> None:
        await app.start()
        await server.serve()
        await app.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port(config: WorkerConfig) -> Iterator[int]:
    with listening(config) as port:
        yield port


@pytest.fixture
def triton(port: int) -> Iterator[Any]:
    http = pytest.importorskip("tritonclient.http", reason="pip install 'tritonclient[http]'")
    with http.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield client


def triton_inputs(n: int = 2) -> list[Any]:
    from tritonclient.http import InferInput

    columns = {
        "visits": ("FP64", np.linspace(0, 3, n)),
        "calls": ("INT64", np.full(n, 2, np.int64)),
        "port": ("BYTES", np.array(["Arica"] * n, object)),
        "open": ("BOOL", np.full(n, True)),
    }
    inputs = []
    for name, (datatype, column) in columns.items():
        inputs.append(InferInput(name, [n, 1], datatype))
        inputs[-1].set_data_from_numpy(column.reshape(n, 1))
    return inputs


def test_tritonclient_asks_what_is_served(triton: Any) -> None:
    from tritonclient.utils import InferenceServerException

    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("churn")
    assert triton.is_model_ready("churn", "1.0.0")
    assert not triton.is_model_ready("nobody")
    assert not triton.is_model_ready("bare")
    assert triton.get_server_metadata()["name"] == "timonel"
    metadata = triton.get_model_metadata("churn")
    assert [one["name"] for one in metadata["inputs"]][:3] == ["visits", "calls", "port"]
    assert metadata == triton.get_model_metadata("churn", "1.0.1")
    index = triton.get_model_repository_index()
    assert {"name": "churn", "version": "1.0.1", "state": "READY", "reason": ""} in index
    triton.load_model("churn")
    with pytest.raises(InferenceServerException, match="promote"):
        triton.unload_model("churn")
    with pytest.raises(InferenceServerException, match="expected one of"):
        triton.get_model_config("churn")


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_tritonclient_infers_with_its_defaults(triton: Any, n: int) -> None:
    """Its defaults are binary tensors, in and out."""
    result = triton.infer("churn", triton_inputs(n), request_id="r-1")
    assert result.get_response()["id"] == "r-1"
    expected = 1 / (1 + np.exp(np.linspace(0, 3, n) - 2))
    assert result.as_numpy("score") == pytest.approx(expected.reshape(n, 1))
    assert result.as_numpy("prediction").dtype == np.int64
    assert result.as_numpy("probabilities").shape == (n, 2)
    assert result.as_numpy("source").tolist() == [[b"model"]] * n
    ids = result.as_numpy("prediction_id").ravel().tolist()
    assert len({len(one) for one in ids}) == 1
    assert len(set(ids)) == n


def test_tritonclient_as_json_by_version_compressed_and_async(triton: Any) -> None:
    from tritonclient.http import InferInput, InferRequestedOutput

    inputs = [InferInput("visits", [1], "FP32"), InferInput("calls", [1], "INT32")]
    inputs[0].set_data_from_numpy(np.array([3.5], np.float32), binary_data=False)
    inputs[1].set_data_from_numpy(np.array([2], np.int32), binary_data=False)
    inputs.append(InferInput("port", [1], "BYTES"))
    inputs[2].set_data_from_numpy(np.array(["Arica"], object), binary_data=False)
    wanted = [
        InferRequestedOutput("score", binary_data=False),
        InferRequestedOutput("version"),
    ]
    result = triton.infer(
        "churn",
        inputs,
        model_version="1.0.0",
        outputs=wanted,
        request_compression_algorithm="gzip",
        response_compression_algorithm="gzip",
    )
    assert result.as_numpy("score")[0, 0] > 0.9
    assert result.as_numpy("version").tolist() == [[b"1.0.0"]]
    assert result.as_numpy("source") is None
    later = [triton.async_infer("churn", triton_inputs(3)) for _ in range(4)]
    assert {one.get_result().as_numpy("score").shape for one in later} == {(3, 1)}


def test_tritonclient_is_told_what_is_wrong(triton: Any) -> None:
    from tritonclient.http import InferRequestedOutput
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException, match="port"):
        triton.infer("churn", triton_inputs()[:2])
    with pytest.raises(InferenceServerException, match=r"1\.0\.1"):
        triton.infer("churn", triton_inputs(), model_version="9")
    with pytest.raises(InferenceServerException, match="no output of this name"):
        triton.infer("churn", triton_inputs(), outputs=[InferRequestedOutput("OUTPUT0")])
    wanted = [InferRequestedOutput("score", class_count=2)]
    with pytest.raises(InferenceServerException, match="classification"):
        triton.infer("churn", triton_inputs(), outputs=wanted)
    with pytest.raises(InferenceServerException, match="nobody"):
        triton.infer("nobody", triton_inputs())


def test_mlflows_client_scores_with_its_defaults(tmp_path: Path) -> None:
    """Its frames carry the literals NaN and NaT, and an index."""
    pd = pytest.importorskip("pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        scoring = pytest.importorskip(
            "mlflow.pyfunc.scoring_server.client", reason="pip install mlflow-skinny pandas"
        )
    frame = pd.DataFrame(
        {
            "visits": [3.5, 0.5, 1.0],
            "calls": [2.0, 2.0, 2.0],
            "port": ["Arica", "Quintero", "ARICA"],
            "open": [True, None, np.nan],
            "since": pd.to_datetime(["2026-03-01", None, "2026-03-02"]),
        },
        index=[7, 8, 9],
    )
    url = f"sqlite:///{tmp_path / 'timonel.db'}"
    with open_registry(url) as (_, registry):
        world = ServingWorld(tmp_path, url, registry)
        registry.declare(declared_manifest())
        world.promote()
        with listening(world.config()) as port:
            client = scoring.ScoringServerClient("127.0.0.1", port)
            client.wait_server_ready(timeout=5)
            assert client.get_version() == __version__
            answer = client.invoke(frame)
            assert answer.get_predictions(predictions_format="ndarray").tolist() == [0, 1, 1]
            assert answer.get_predictions().shape == (3, 1)
            rows = frame.drop(columns=["port"])
            with pytest.raises(Exception, match=r"error code 400.*INVALID_PARAMETER_VALUE.*port"):
                client.invoke(rows)


def test_the_example_of_the_documentation_runs(
    triton: Any, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).parents[2] / "docs" / "protocols.md"
    code = page.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    exec(code.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), {})
    assert "b'model'" in capsys.readouterr().out
