"""Claims about user errors and interrupted runs."""

from pathlib import Path

import click
import mlflow
import pytest
from click.testing import CliRunner
from kedro.io import DatasetError

from churn_kedro.base.errors import ParameterError, UserInputError
from churn_kedro.cli.errors import EXIT_NO, show_user_errors
from churn_kedro.registry.lifecycle import RefusedActionError
from tests.mlflow_store import mlflow_at


@pytest.mark.slow
def test_an_interrupted_run_is_marked_as_killed(tmp_path: Path) -> None:
    @show_user_errors
    def stop() -> None:
        mlflow.start_run()
        raise KeyboardInterrupt

    with mlflow_at(f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}"):
        experiment = mlflow.create_experiment("stopped", artifact_location=tmp_path.as_uri())
        mlflow.set_experiment(experiment_id=experiment)
        with pytest.raises(KeyboardInterrupt):
            stop()
        runs = mlflow.MlflowClient().search_runs([experiment])

    assert [run.info.status for run in runs] == ["KILLED"]


def test_user_errors_are_messages_and_other_errors_keep_their_traceback() -> None:
    @show_user_errors
    def fail(error: Exception) -> None:
        raise error

    with pytest.raises(click.ClickException, match=r"^set it to 3$"):
        fail(ParameterError(" set it to 3\n"))
    with pytest.raises(KeyError):
        fail(KeyError("defect"))


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ("telco", "Train: `kedro run --pipelines training --env telco`, then `kedro models list --env telco` (`x`)."),
        (None, "Train: `kedro run --pipelines training`, then `kedro models list --env telco` (`x`)."),
    ],
)
def test_commands_in_a_message_get_the_use_case(env: str | None, expected: str) -> None:
    @show_user_errors
    def command(env: str | None) -> None:
        raise ParameterError("Train: `kedro run --pipelines training`, then `kedro models list --env telco` (`x`).")

    with pytest.raises(click.ClickException) as raised:
        command(env=env)

    assert raised.value.message == expected


def test_a_refusal_wrapped_by_kedro_is_a_refusal() -> None:
    @show_user_errors
    def command() -> None:
        try:
            raise RefusedActionError("Another action came first.")
        except RefusedActionError as error:
            raise DatasetError("Failed while saving data to dataset.") from error

    with pytest.raises(click.ClickException) as raised:
        command()

    assert (raised.value.exit_code, raised.value.message) == (EXIT_NO, "Another action came first.")


def test_a_name_in_a_message_cannot_imitate_a_line_of_the_log() -> None:
    @click.command()
    @show_user_errors
    def command() -> None:
        raise UserInputError("Column 'a\n12:00:00 INFO forged\x1b[2K' is absent:\n  - b")

    printed = CliRunner().invoke(command).output

    assert printed == "Error: Column 'a\n    12:00:00 INFO forged\\x1b[2K' is absent:\n      - b\n"
