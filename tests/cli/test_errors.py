"""Claims about user errors and interrupted runs."""

from pathlib import Path

import click
import mlflow
import pytest
from click.testing import CliRunner
from kedro.io import DatasetError

from churn_kedro.base import secrets
from churn_kedro.base.errors import ParameterError, UserInputError
from churn_kedro.cli.errors import EXIT_NO, hide_in_usage_errors, show_user_errors
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


def test_what_kedro_wraps_is_one_sentence_with_file_and_reason() -> None:
    @show_user_errors
    def command() -> None:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            message = f"Failed while saving data to dataset a.b.TableDataset(filepath='/data/x.csv').\n{error}"
            wrapped = DatasetError(message)
            raise wrapped from error

    with pytest.raises(click.ClickException, match=r"^/data/x\.csv cannot be written: .*No space left on device\.$"):
        command()


def test_a_statement_of_a_database_is_not_shown() -> None:
    @show_user_errors
    def command() -> None:
        raise DatasetError("The registry failed: disk is full\n[SQL: SELECT 1]\n(Background on this error at: x)")

    with pytest.raises(click.ClickException, match=r"^The registry failed: disk is full$"):
        command()


def test_a_defect_shows_its_traceback_without_a_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(secrets, "_remembered", {"s3cr3t-PLANTED"})

    @show_user_errors
    def command() -> None:
        raise KeyError("s3cr3t-PLANTED")

    with pytest.raises(SystemExit):
        command()

    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "KeyError: '***'" in shown


def test_messages_about_wrong_usage_have_no_password() -> None:
    command = click.Command("run", params=[click.Option(["--params"])])
    hide_in_usage_errors(command)

    shown = CliRunner().invoke(command, ["ftp://ann:s3cr3t-PLANTED@host/x.csv"])

    assert shown.exit_code == 2
    assert "ftp://ann:***@host/x.csv" in shown.output
