"""Thresholds keep every float32 on its side; missing values go where the estimator sends them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timonel.runtime.graphs import session
from timonel.runtime.trees import Ensemble, Tree, graph, thresholds_f32


@given(st.floats(-(2.0**100), 2.0**100, width=32), st.floats(-1e30, 1e30))
def test_rounded_thresholds_decide_alike(x: float, threshold: float) -> None:
    given_threshold = np.array([threshold])
    below = float(thresholds_f32(given_threshold, strict=False)[0])
    above = float(thresholds_f32(given_threshold, strict=True)[0])
    assert (x <= threshold) == (x <= below)
    assert (x < threshold) == (x < above)


def test_the_largest_threshold_lets_every_number_pass() -> None:
    rounded = thresholds_f32(np.array([np.finfo(np.float64).max]), strict=False)
    assert rounded[0] == np.finfo(np.float32).max


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("missing_left", [False, True])
def test_a_graph_decides_as_its_tree_says(strict: bool, missing_left: bool) -> None:
    tree = Tree(
        feature=[0, -1, -1],
        threshold=[1.5, 0.0, 0.0],
        left=[1, 0, 0],
        right=[2, 0, 0],
        missing_left=[missing_left, False, False],
        leaves={1: [(0, 10.0), (1, 1.0)], 2: [(0, 20.0)]},
    )
    run = session(graph(Ensemble([tree, tree], [0.5, 0.0], "identity", strict=strict), 1)).run
    x = np.array([[1.0], [1.5], [2.0], [np.nan]], dtype=np.float32)
    found = run(["y"], {"x": x})[0]
    left = [True, not strict, False, missing_left]
    assert found[:, 0].tolist() == [20.5 if side else 40.5 for side in left]
    assert found[:, 1].tolist() == [2.0 if side else 0.0 for side in left]
