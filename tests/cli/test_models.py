"""Claims about the options of `kedro models`."""

import click

from churn_kedro.cli.models import models


def test_whatever_a_person_says_is_one_line_of_the_audit() -> None:
    said = {
        (name, option.name): option.process_value(click.Context(command), "first\n- gate passed\x1b[2K")
        for name, command in models.commands.items()
        for option in command.params
        if option.name in ("reason", "by", "override")
    }

    assert ("promote", "override") in said
    assert ("reject", "reason") in said
    assert set(said.values()) == {r"first - gate passed\x1b[2K"}
