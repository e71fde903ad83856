"""A table whose names and cells are code somewhere is onboarded, trained on, reported and scored as any other."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from churn_kedro.hooks.configuration import ProjectConfigLoader
from tests.end_to_end.conftest import QUICK, Project
from tests.reporting.test_hostile_names import Page

pytestmark = pytest.mark.slow

FORGED = "\n12:00:00 INFO    forged \x1b[2K"
SCRIPT = "<script>alert(1)</script>"
TARGET = "${globals:use_case}\nLeft"
PLAN = f"Plan{FORGED}\ndata_root: elsewhere\n#"
LEVELS = ["${environment:HOME, x}", "<img src=x onerror=alert(1)>", "=1+1", "???", f"yes{FORGED}"]


def _hostile_table(rows: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(0)
    age = random.integers(18, 80, rows)
    return pd.DataFrame(
        {
            "=id": [f"=HYPERLINK({row}){FORGED}" for row in range(rows)],
            "Age\rregistry: {gate: null}\r#": age,
            SCRIPT: random.choice(LEVELS, rows),
            PLAN: random.choice(LEVELS[:3], rows),
            "$x_|`${oc.env:HOME}`": random.normal(size=rows).round(3),
            TARGET: np.where(random.random(rows) < 1 / (1 + np.exp(-(age - 50) / 9)), "left <b>", "=stayed"),
        }
    )


@pytest.fixture(scope="module")
def ran(clone: Callable[[str], Project], tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str, str]:
    """A clone in which the table was onboarded and ran, and what the run printed and logged."""
    project, folder = clone("hostile"), tmp_path_factory.mktemp("tables")
    table = _hostile_table()
    file = folder / f"{SCRIPT.replace('/', '')} ${{globals:data_root}} #\u2028.csv"
    table.to_csv(file, index=False, lineterminator="\r\n")
    new = table.drop(columns=TARGET)
    new.loc[1, PLAN] = "unknown"
    new["$x_|`${oc.env:HOME}`"] = ["=cmd()\r=cmd()", *new["$x_|`${oc.env:HOME}`"].astype(str)[1:]]
    new.to_csv(folder / "new.csv", index=False, lineterminator="\r\n")

    told = project.kedro(
        *("customers", "onboard", str(file), "--target", TARGET, "--name", "hostile", "--positive", "left <b>"),
        *("--description", f"Customers ${{x}} {SCRIPT}{FORGED}"),
    )
    run = project.kedro("run", "--env", "hostile", "--params", f"{QUICK},new_customers={folder / 'new.csv'}")
    return project, told.stdout + run.stdout, told.stderr + run.stderr


def test_the_configuration_is_that_of_base_and_the_declaration(ran: tuple[Project, str, str]) -> None:
    conf = (ran[0].path / "conf").as_posix()
    loader, base = (
        ProjectConfigLoader(conf, env=env, base_env="base", default_run_env="local") for env in ("hostile", None)
    )

    assert loader["globals"]["data_root"] == base["globals"]["data_root"] == "data"
    assert {key: value for key, value in loader["parameters"].items() if key != "customers"} == {
        key: value for key, value in base["parameters"].items() if key != "customers"
    }
    declaration = loader["parameters"]["customers"]
    assert [column.name for column in declaration.columns] == list(_hostile_table().columns)
    assert {column.name: column.levels for column in declaration.columns}[SCRIPT] == sorted(LEVELS, key=str.casefold)
    assert declaration.classes == ["=stayed", "left <b>"]
    assert {path.name for path in ran[0].path.iterdir()} & {"elsewhere", "x"} == set()


def test_no_line_of_the_log_or_the_summary_is_forged(ran: tuple[Project, str, str]) -> None:
    _, printed, logged = ran

    assert "forged" in logged
    assert "forged" in printed
    for line in (printed + logged).split("\n"):
        assert not line.startswith("12:00:00")
        assert "\x1b[2K" not in line
    assert re.search(r"^\d\d:\d\d:\d\d WARNING Plan\n    12:00:00 INFO    forged \\x1b\[2K$", logged, re.MULTILINE)


@pytest.mark.parametrize("page", ["data_report", "evaluation_report", "model_card"])
def test_pages_show_names_as_text(ran: tuple[Project, str, str], page: str) -> None:
    text = (ran[0].path / f"data/08_reporting/hostile/{page}.html").read_text(encoding="utf-8")
    parsed = Page(text)

    assert SCRIPT in parsed.shown
    assert SCRIPT not in text
    assert {tag for tag, _ in parsed.elements}.isdisjoint({"script", "i"})
    assert not any(name.startswith("on") for _, names in parsed.elements for name in names)


@pytest.mark.parametrize(
    "file", ["07_model_output/hostile/predictions.csv", "02_intermediate/hostile/unscored_customers.csv"]
)
def test_lists_hold_no_formula(ran: tuple[Project, str, str], file: str) -> None:
    read = pd.read_csv(ran[0].path / "data" / file, header=None, dtype=str, keep_default_na=False)
    cells = read.to_numpy().ravel().tolist()

    assert len(read) > 1
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)
    assert not any(re.match(r"[=+@\t\r]|-\D", cell) for cell in cells)


def test_commands_on_models_stay_in_their_lines(ran: tuple[Project, str, str]) -> None:
    told = [
        ran[0].kedro("models", *command, "--env", "hostile").stdout
        for command in (("card", "1"), ("info", "1"), ("list",), ("history",))
    ]

    for line in "\n".join(told).split("\n"):
        assert line.isprintable()
        assert not line.startswith("12:00:00")
    assert SCRIPT not in told[0].partition("```python")[0]
