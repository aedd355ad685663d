"""A pipeline behind FastAPI as most teams write it: ``fastapi_app.py MODEL PORT``."""

import sys
from typing import Any

import joblib
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import create_model

pipeline = joblib.load(sys.argv[1])
fields: dict[str, Any] = {f"x{at}": (float, ...) for at in range(12)}
fields |= {"gender": (str, ...), "zone": (str, ...), "smokes": (bool, ...), "n": (int, ...)}
Row = create_model("Row", **fields)
app = FastAPI()


@app.post("/predict")
async def predict(row: Row) -> dict[str, float]:  # type: ignore[valid-type]
    table = pd.DataFrame([row.model_dump()])  # type: ignore[attr-defined]
    return {"score": float(pipeline.predict_proba(table)[0, 1])}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
