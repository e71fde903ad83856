"""What a run computes, in a form that can be recorded and compared: predictions, metrics, figures.

`python -m tests.end_to_end.recorded_results FOLDER NAME USE_CASE` records the outputs in a project folder under a name.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.image import imread

RECORDED = Path(__file__).with_name("recorded_results.json")
# What differs from run to run.
_VARYING = ("model_version", "scored_at")
# Figures are compared as so many rows and columns of mean brightness.
_CELLS = 12


def summarise_outputs(project: Path, use_case: str) -> dict[str, Any]:
    """Summarise the outputs of the main job.

    Args:
        project: Folder of the project.
        use_case: Use case that ran.

    Returns:
        ``splits``: digests of the three parts; ``metrics``: each metric with its interval; ``assessment``: how many
        numbers each section has, and their sum; ``predictions``: of each column, mean and spread of its numbers or
        counts of its values; ``figures``: brightness of a coarse grid, 0 to 255, as hexadecimal digits.
    """
    reporting = project / "data/08_reporting" / use_case
    splits = json.loads((project / f"data/05_model_input/{use_case}/split_manifest.json").read_text(encoding="utf-8"))
    evaluation = json.loads((reporting / "evaluation.json").read_text(encoding="utf-8"))
    table = pd.read_csv(project / f"data/07_model_output/{use_case}/predictions.csv")
    return {
        "splits": {part: splits[part]["digest"] for part in ("train", "validation", "test")},
        "metrics": {**evaluation["metrics"], **evaluation["extended"]},
        "assessment": _totals(json.loads((reporting / "assessment.json").read_text(encoding="utf-8"))),
        "predictions": {name: _describe(table[name]) for name in table if name not in _VARYING},
        "figures": {
            path.name: _brightness(path)
            for path in sorted(reporting.rglob("*.png"))
            # The gate shows how long scoring took.
            if path.name != "gate.png"
        },
    }


def _numbers(value: Any, name: str = "") -> dict[str, float]:
    if isinstance(value, dict):
        return {
            key: number for part, inner in value.items() for key, number in _numbers(inner, f"{name}.{part}").items()
        }
    if isinstance(value, list):
        return _numbers({str(position): inner for position, inner in enumerate(value)}, name)
    return (
        {name.removeprefix("."): float(value)} if isinstance(value, int | float) and not isinstance(value, bool) else {}
    )


def _totals(document: dict[str, Any]) -> dict[str, dict[str, float]]:
    sections = {name: list(_numbers(section).values()) for name, section in document.items()}
    return {name: {"count": len(values), "sum": float(np.sum(values))} for name, values in sections.items()}


def _describe(column: pd.Series) -> dict[str, Any]:
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > 20:
        return {"mean": float(column.mean()), "std": float(column.std()), "first": column.head(5).tolist()}
    return {str(value): int(count) for value, count in column.value_counts().sort_index().head(20).items()}


def _brightness(path: Path) -> str:
    image = np.asarray(imread(path))[..., :3].mean(axis=2)
    rows = np.array_split(image, _CELLS, axis=0)
    cells = [[part.mean() for part in np.array_split(row, _CELLS, axis=1)] for row in rows]
    return bytes(np.round(np.array(cells) * 255).astype(np.uint8).ravel()).hex()


def read_recorded(case: str) -> dict[str, Any]:
    """Outputs of a case as they were recorded."""
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))[case]
    return found


def differences(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Compare outputs with recorded ones.

    Args:
        recorded: What :func:`summarise_outputs` gave before.
        found: What it gives now.

    Returns:
        One line for each difference; numbers may differ in the seventh digit, which depends on the processor, and cells
        of figures by two shades of 255.
    """
    found_numbers, recorded_numbers = (_numbers(dict(one)) for one in (found, recorded))
    lines = [f"splits: {found['splits']}"] if found["splits"] != recorded["splits"] else []
    lines += [f"only on one side: {name}" for name in sorted(recorded_numbers.keys() ^ found_numbers.keys())]
    lines += [
        f"{name}: {recorded_numbers[name]} before, {found_numbers[name]} now"
        for name in recorded_numbers.keys() & found_numbers.keys()
        if not np.isclose(recorded_numbers[name], found_numbers[name], rtol=1e-6, atol=1e-9, equal_nan=True)
    ]
    lines += [f"only on one side: {name}" for name in sorted(recorded["figures"].keys() ^ found["figures"].keys())]
    for name in recorded["figures"].keys() & found["figures"].keys():
        one, other = (
            np.frombuffer(bytes.fromhex(part["figures"][name]), np.uint8).astype(int) for part in (recorded, found)
        )
        if np.abs(one - other).max() > 2:
            lines.append(f"{name}: looks different")
    return lines


if __name__ == "__main__":
    folder, case, use_case = sys.argv[1:]
    known = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.is_file() else {}
    known[case] = summarise_outputs(Path(folder), use_case)
    RECORDED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
