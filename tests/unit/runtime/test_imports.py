"""What serving imports to load a compiled model, listed from a fresh process."""

import subprocess
import sys

HEAVY = {
    "cloudpickle",
    "lightgbm",
    "onnx",
    "pandas",
    "polars",
    "pydantic",
    "scipy",
    "skl2onnx",
    "sklearn",
    "skops",
    "sqlalchemy",
    "xgboost",
}


def imported(code: str) -> set[str]:
    code += "\nimport sys; print(' '.join(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_linear_model_needs_no_onnxruntime() -> None:
    found = imported("import timonel.runtime.predictors, timonel.runtime.linear")
    assert HEAVY.isdisjoint(found)
    assert "onnxruntime" not in found


def test_a_compiled_model_needs_onnxruntime_and_nothing_heavy() -> None:
    found = imported("import timonel.runtime.predictors, timonel.runtime.graphs")
    assert HEAVY.isdisjoint(found)
    assert "onnxruntime" in found
