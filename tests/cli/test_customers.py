"""Claims about the commands that make a use case from a table."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from churn_kedro.cli.customers import customers

TABLE = pd.DataFrame({"Spend": [n * 1.5 for n in range(60)], "Left": ["yes", "no", "no"] * 20})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def onboard(*arguments: str) -> Result:
    return CliRunner().invoke(customers, ["onboard", *arguments])


def workbook(path: Path, **sheets: pd.DataFrame) -> None:
    with pd.ExcelWriter(path) as writer:
        for name, table in sheets.items():
            table.to_excel(writer, sheet_name=name, index=False)


def test_the_sheet_with_the_target_is_found_and_configured(project: Path) -> None:
    workbook(project / "book.xlsx", Notes=pd.DataFrame({"Text": ["a"]}), Customers=TABLE)

    result = onboard("book.xlsx", "--target", "Left", "--name", "gym")

    assert result.exit_code == 0, result.output
    assert "book.xlsx: 60 rows, 2 columns" in result.output
    assert "sheet: Customers" in (project / "conf/gym/catalog/data_processing.yml").read_text()


def test_a_target_in_no_sheet_is_an_error_that_names_the_sheets(project: Path) -> None:
    workbook(project / "book.xlsx", Notes=pd.DataFrame({"Text": ["a"]}), Customers=TABLE)

    result = onboard("book.xlsx", "--target", "Churn", "--name", "gym")

    assert result.exit_code == 1
    for part in (
        "No sheet of book.xlsx has the column 'Churn'",
        "'Notes': Text",
        "'Customers': Spend, Left",
        "--sheet",
    ):
        assert part in result.output
    assert not (project / "conf").exists()


def test_an_unknown_sheet_is_an_error_that_names_the_others(project: Path) -> None:
    workbook(project / "book.xlsx", Notes=pd.DataFrame({"Text": ["a"]}), Customers=TABLE)

    result = onboard("book.xlsx", "--target", "Left", "--name", "gym", "--sheet", "Clients")

    assert "There is no sheet 'Clients'; the file has 'Notes', 'Customers'" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--target must name a column of a table of customers. For a table with one row per event: --events"),
        (("--events", "--customer", "a"), "--timestamp must name a column of a table of events."),
        (("--target", "Left", "--amount", "Spend"), "--amount has no meaning without --events"),
        (
            ("--events", "--customer", "a", "--timestamp", "b", "--target", "c"),
            "--target has no meaning with --events",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(project: Path, arguments: tuple[str, ...], message: str) -> None:
    TABLE.to_csv(project / "table.csv", index=False)

    result = onboard("table.csv", "--name", "gym", *arguments)

    assert result.exit_code == 1
    assert message in result.output


def test_events_are_onboarded_with_the_two_commands_to_run(project: Path) -> None:
    days = pd.date_range("2025-01-01", periods=200)
    rows = [(f"c{n}", day) for n in range(30) for day in days[: 200 if n % 3 else 40 + 5 * n : 4]]
    pd.DataFrame(rows, columns=["who", "when"]).to_csv(project / "events.csv", index=False)

    result = onboard("events.csv", "--events", "--customer", "who", "--timestamp", "when", "--name", "shop")

    assert result.exit_code == 0, result.output
    assert result.output.strip().endswith("next: kedro run --env shop --pipelines snapshots, then kedro run --env shop")
    assert (project / "conf/shop/parameters/snapshots.yml").is_file()

    TABLE.to_csv(project / "table.csv", index=False)
    (project / "conf/shop/parameters/campaigns.yml").write_text("campaigns: {}\n")
    again = onboard("table.csv", "--target", "Left", "--name", "shop", "--force")

    # Configuration of the events must not stay in force.
    assert again.exit_code == 0, again.output
    deleted = again.output.partition("deleted, since this table needs no such file:")[2].partition("next:")[0].split()
    stale = ["parameters/snapshots.yml", "catalog/data_processing.yml", "parameters/data_processing.yml"]
    assert deleted == [f"conf/shop/{file}" for file in stale]
    kept = {"globals.yml", "parameters/customers.yml", "parameters/campaigns.yml"}
    folder = project / "conf/shop"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.yml")} == kept
