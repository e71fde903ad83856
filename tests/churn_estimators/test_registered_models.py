"""Claims about models that were registered before: this package gives the answers that they gave then."""

import json
from typing import Any

import pandas as pd
import pytest
import skops.io

from churn_kedro.datasets.mlflow.stored_models import TRUSTED_TYPES, installed_package, known_packages, package_digest
from tests.churn_estimators.registered_models import CASES, FOLDER, answers_of


def record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.json")))
def test_a_registered_model_answers_as_it_did_then(name: str) -> None:
    model, known = skops.io.load(FOLDER / f"{name}.skops", trusted=list(TRUSTED_TYPES)), record(name)

    answers = answers_of(model, pd.DataFrame(known["rows"]))

    assert len(answers) == len(known["answers"])
    for answer, expected in zip(answers, known["answers"], strict=True):
        numbers = {key: value for key, value in expected.items() if isinstance(value, float)}
        assert {key: answer[key] for key in expected if key not in numbers} == {
            key: value for key, value in expected.items() if key not in numbers
        }
        # Digits beyond these depend on the processor.
        assert {key: answer[key] for key in numbers} == pytest.approx(numbers, rel=1e-6)


def test_models_of_all_known_packages_are_kept() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CASES)
    assert {record(name)["package"] for name in CASES} <= set(known_packages())


def test_this_package_is_the_last_that_is_listed() -> None:
    listed = (installed_package() / "digests.txt").read_text(encoding="utf-8").split()

    assert listed[-1] == package_digest(), f"add {package_digest()} to src/churn_estimators/digests.txt"
