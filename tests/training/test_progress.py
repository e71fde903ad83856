"""Progress of a search, on a terminal and in a log."""

import importlib
import io
import re

import pytest
from rich.console import Console

from churn_kedro.training import progress
from churn_kedro.training.progress import Progress, TerminalProgress

# The package exports the function of the same name.
terminal_module = importlib.import_module("churn_kedro.base.terminal")


def show_three(display: Progress) -> None:
    display.start("xgboost", 3)
    display.show("xgboost trial 1 of 3: log loss 0.5 (best 0.5)", 1, 90.0)
    display.show("xgboost trial 2 of 3: log loss 0.4 (best 0.4)", 2, 30.4)
    display.show("xgboost trial 3 of 3: log loss 0.6 (best 0.4)", 3, 0.0)
    display.stop()


def test_without_a_terminal_each_step_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="churn_kedro")

    show_three(TerminalProgress())

    assert [record.getMessage() for record in caplog.records] == [
        "xgboost trial 1 of 3: log loss 0.5 (best 0.5), about 1 min 30 s left",
        "xgboost trial 2 of 3: log loss 0.4 (best 0.4), about 30 s left",
        "xgboost trial 3 of 3: log loss 0.6 (best 0.4)",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59.4, "59 s"), (59.6, "1 min 00 s"), (61.0, "1 min 01 s"), (3599.0, "59 min 59 s"), (7384.0, "2 h 03 min")],
)
def test_the_remaining_time_is_shown_in_readable_units(
    seconds: float, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="churn_kedro")

    TerminalProgress().show("trial 1 of 2: done", 1, seconds)

    assert caplog.messages == [f"trial 1 of 2: done, about {text} left"]


def test_how_long_the_rest_takes_may_be_unknown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="churn_kedro")

    TerminalProgress().show("trial 1 of 2: done", 1, None)

    assert caplog.messages == ["trial 1 of 2: done"]


def test_on_a_terminal_there_is_one_bar_and_the_log_stays_silent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "terminal", lambda: console)
    monkeypatch.setattr(terminal_module, "terminal", lambda: console)
    caplog.set_level("INFO", logger="churn_kedro")
    shown = TerminalProgress()

    shown.start("xgboost", 3)
    shown.show("xgboost trial 2 of 3: log loss 0.4 (best 0.4)", 2, 30.4)
    shown.stop()

    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue())
    assert re.search(r"xgboost \S+ 2/3 .*log loss 0.4 \(best 0.4\), about 30 s left", plain)
    assert caplog.messages == []


def test_a_computation_may_stop_before_it_began_to_show() -> None:
    TerminalProgress().stop()
