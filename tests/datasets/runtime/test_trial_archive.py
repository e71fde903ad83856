"""Trials stay in a database from one search to the next."""

from pathlib import Path

import optuna
import pytest
from kedro.io import DatasetError
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from churn_kedro.datasets.runtime.trial_archive import StudyArchive, TrialArchiveDataset


def finished(number: int, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    """A trial as a study gives it back."""
    trial = optuna.trial.create_trial(
        state=state,
        values=[0.5 + number] if state == TrialState.COMPLETE else None,
        params={"rate": 0.25, "policy": "depthwise"},
        distributions={
            "rate": FloatDistribution(0.01, 1.0, log=True),
            "policy": CategoricalDistribution(["depthwise", "lossguide"]),
        },
        user_attrs={"hyperparameters": {"rate": 0.25, "policy": "depthwise", "depth": 3}, "fold_scores": [0.1, 0.2]},
        intermediate_values={0: -0.1, 50: -0.3},
    )
    trial.number = number
    return trial


def opened(folder: Path) -> StudyArchive:
    archive = TrialArchiveDataset(url=f"sqlite:///{folder / 'deep' / 'studies.db'}").load()
    assert isinstance(archive, StudyArchive)
    return archive


@pytest.mark.slow
def test_a_trial_comes_back_as_it_was_kept_in_another_process_too(tmp_path: Path) -> None:
    opened(tmp_path).keep("key", finished(0))

    (again,) = opened(tmp_path).known_trials("key")

    expected = finished(0)
    assert (again.state, again.values, again.params) == (expected.state, expected.values, expected.params)
    assert again.distributions == expected.distributions
    assert again.intermediate_values == expected.intermediate_values
    assert again.user_attrs == {**expected.user_attrs, "number": 0}


@pytest.mark.slow
def test_trials_keep_the_number_that_they_had_whatever_the_order_in_which_they_came(tmp_path: Path) -> None:
    archive = opened(tmp_path)
    for number in (4, 0, 7):
        archive.keep("key", finished(number))

    assert [trial.number for trial in opened(tmp_path).known_trials("key")] == [4, 0, 7]
    assert [trial.value for trial in opened(tmp_path).known_trials("key")] == [4.5, 0.5, 7.5]


def test_a_trial_that_was_given_up_is_known_as_such(tmp_path: Path) -> None:
    opened(tmp_path).keep("key", finished(1, TrialState.PRUNED))

    (again,) = opened(tmp_path).known_trials("key")

    assert again.state == TrialState.PRUNED
    assert again.number == 1


def test_of_two_objectives_the_loss_is_kept(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    told = study.tell(study.ask(), [0.25, 3.0])

    opened(tmp_path).keep("key", told)

    assert opened(tmp_path).known_trials("key")[0].values == [0.25]


@pytest.mark.slow
def test_searches_share_nothing(tmp_path: Path) -> None:
    opened(tmp_path).keep("one", finished(0))

    assert opened(tmp_path).known_trials("other") == []
    assert len(opened(tmp_path).known_trials("one")) == 1


@pytest.mark.slow
def test_two_searches_may_write_at_once(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    first.keep("key", finished(0))
    second.keep("key", finished(1))
    first.keep("key", finished(2))

    assert [trial.number for trial in second.known_trials("key")] == [0, 1, 2]


def test_no_database_is_made_before_it_is_used(tmp_path: Path) -> None:
    opened(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_trials_are_not_saved_as_a_whole_and_a_password_is_not_shown() -> None:
    dataset = TrialArchiveDataset(url="postgresql://user:secret@server/studies")

    with pytest.raises(DatasetError, match="The search stores trials itself"):
        dataset.save(StudyArchive("sqlite:///nowhere.db"))
    assert "secret" not in str(dataset)


@pytest.mark.parametrize("damage", ["garbage", "folder", "nonsense"])
def test_a_database_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "search.db"
    url = f"sqlite:///{file.as_posix()}"
    if damage == "garbage":
        file.write_bytes(bytes(range(256)) * 64)
    elif damage == "folder":
        file.mkdir()
    else:
        url = "nonsense://user:secret@host/db"

    with pytest.raises(DatasetError) as caught:
        StudyArchive(url).known_trials("key")

    message = str(caught.value)
    assert ("host/db" if damage == "nonsense" else "search.db") in message
    assert "secret" not in message
    assert "CHURN_STUDY_URL" in message
    assert "training.search.resume=false" in message
