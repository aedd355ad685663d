"""The examples, trained as a user trains them: the figures that their READMEs state."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from timonel.project.project import load_project
from timonel.simulate.examples import example_folder
from timonel.training.train import TrainedVersion, train


def trained(project_name: str, model_name: str) -> TrainedVersion:
    project = load_project(example_folder(project_name))
    model = project.models[model_name]
    return train(
        model,
        project=project.name,
        timezone=project.timezone,
        rules=project.rules_source(model),
    )


@pytest.fixture(scope="module")
def real_obesity(data_folder: Path) -> Iterator[None]:
    before = os.environ.get("TIMONEL_TEST_DATA")
    os.environ["TIMONEL_TEST_DATA"] = str(data_folder)
    yield
    if before is None:
        del os.environ["TIMONEL_TEST_DATA"]
    else:
        os.environ["TIMONEL_TEST_DATA"] = before


@pytest.mark.slow
def test_dispatch_passes_its_own_gate_and_beats_its_rules() -> None:
    version = trained("dispatch", "dispatch")
    report = version.report
    assert report.main.name == "accuracy"
    assert report.main.value == pytest.approx(0.91, abs=0.02)
    assert report.detail["measures"]["roc_auc"]["value"] > 0.94
    assert report.rules == pytest.approx(0.80, abs=0.03)
    assert report.baseline == pytest.approx(0.66, abs=0.04)
    assert not version.failed_gates
    assert version.manifest.predictor == "onnx"


@pytest.mark.usefixtures("real_obesity")
def test_obesity_with_all_inputs() -> None:
    version = trained("obesity", "obesity")
    assert version.report.main.value == pytest.approx(0.96, abs=0.02)
    assert version.report.rules == pytest.approx(0.91, abs=0.02)
    assert version.report.baseline == pytest.approx(0.17, abs=0.02)
    assert not version.failed_gates
    assert version.manifest.predictor == "onnx"


@pytest.mark.slow
@pytest.mark.usefixtures("real_obesity")
def test_obesity_without_weight_and_height() -> None:
    version = trained("obesity", "obesity_habits")
    assert version.report.main.value == pytest.approx(0.855, abs=0.025)
    assert version.report.rules is None
    assert not version.failed_gates
