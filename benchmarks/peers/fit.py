"""The one model that all servers of the comparison answer with: ``fit.py ROWS.csv TREES FILE``."""

import sys

import joblib
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

NUMBERS = [*(f"x{at}" for at in range(12)), "n"]
CATEGORIES = ["gender", "zone"]


def main(rows: str, trees: str, file: str) -> None:
    table = pd.read_csv(rows)
    pipeline = Pipeline(
        [
            (
                "features",
                ColumnTransformer(
                    [
                        ("number", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
                        ("category", OneHotEncoder(handle_unknown="ignore"), CATEGORIES),
                        ("flag", "passthrough", ["smokes"]),
                    ]
                ),
            ),
            ("trees", XGBClassifier(n_estimators=int(trees), max_depth=6, n_jobs=1)),
        ]
    )
    pipeline.fit(table.drop(columns="y"), (table["y"] == "yes").astype(int))
    joblib.dump(pipeline, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
