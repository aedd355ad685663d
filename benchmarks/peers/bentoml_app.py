"""A pipeline behind BentoML, one worker; the model's file by ``BENCH_MODEL``."""

import os
from typing import Any

import bentoml
import joblib
import pandas as pd


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Peer:
    def __init__(self) -> None:
        self.pipeline = joblib.load(os.environ["BENCH_MODEL"])

    @bentoml.api
    def predict(self, row: dict[str, Any]) -> dict[str, float]:
        return {"score": float(self.pipeline.predict_proba(pd.DataFrame([row]))[0, 1])}
