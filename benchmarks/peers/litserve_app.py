"""A pipeline behind LitServe, one worker: ``litserve_app.py MODEL PORT``."""

import sys
from typing import Any

import joblib
import litserve
import pandas as pd


class Peer(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.pipeline = joblib.load(sys.argv[1])

    def decode_request(self, request: dict[str, Any]) -> pd.DataFrame:
        return pd.DataFrame([request])

    def predict(self, x: pd.DataFrame) -> float:
        return float(self.pipeline.predict_proba(x)[0, 1])

    def encode_response(self, output: float) -> dict[str, float]:
        return {"score": output}


if __name__ == "__main__":
    server = litserve.LitServer(Peer(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error"
    )
