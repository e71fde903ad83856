"""Progress of a search, on a terminal and in a log."""

import io
import sys

import pytest

from churn_kedro.training.progress import Progress, TerminalProgress


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def show_three(progress: Progress) -> None:
    progress.start("xgboost", 3)
    progress.show("xgboost trial 1 of 3: log loss 0.5 (best 0.5)", 1, 90.0)
    progress.show("xgboost trial 2 of 3: log loss 0.4 (best 0.4)", 2, 30.4)
    progress.show("xgboost trial 3 of 3: log loss 0.6 (best 0.4)", 3, 0.0)
    progress.stop()


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
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    caplog.set_level("INFO", logger="churn_kedro")

    show_three(TerminalProgress())

    frames = terminal.getvalue().split("\r")
    assert any("xgboost:" in frame and "2/3" in frame and "best 0.4), about 30 s left" in frame for frame in frames)
    assert "3/3" in frames[-1]
    assert "left" not in frames[-1]
    assert caplog.messages == []


def test_a_computation_may_stop_before_it_began_to_show() -> None:
    TerminalProgress().stop()
