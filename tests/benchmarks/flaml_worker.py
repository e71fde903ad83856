"""FLAML on the folds of the training benchmark. Runs in an environment of its own and knows nothing of this project."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import pandas as pd
from flaml import AutoML


def main() -> None:
    """Fit on each fold within the budget, and write predictions."""
    folder, budget = Path(sys.argv[1]), float(sys.argv[2])
    description = json.loads((folder / "description.json").read_text(encoding="utf-8"))
    table = pd.read_csv(folder / "customers.csv")
    for name in description["categories"]:
        table[name] = table[name].astype("category")
    target, customers = table[description["target"]], table.drop(columns=description["target"])
    seconds, predictions = [], []
    for train_rows, test_rows in json.loads((folder / "folds.json").read_text(encoding="utf-8")):
        started = time.perf_counter()
        search = AutoML()
        search.fit(
            customers.iloc[train_rows].reset_index(drop=True),
            target.iloc[train_rows].reset_index(drop=True),
            task="classification",
            metric="log_loss",
            time_budget=budget,
            seed=description["seed"],
            verbose=0,
        )
        seconds.append(time.perf_counter() - started)
        predictions.append(search.predict_proba(customers.iloc[test_rows].reset_index(drop=True))[:, 1].tolist())
    result = {
        "seconds": seconds,
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "predictions": predictions,
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
