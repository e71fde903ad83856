"""Claims about the configuration files of onboarding: whatever a table contains is read back as data."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings, strategies as st

from churn_kedro.customers.configuration_writer import write_configuration
from churn_kedro.customers.declaration import CustomerDeclaration, CustomerTableError
from churn_kedro.customers.onboarding.configuration_files import render_catalog, render_declaration, render_globals
from churn_kedro.customers.onboarding.inference import infer_declaration
from churn_kedro.hooks.configuration import ProjectConfigLoader
from tests import ROOT
from tests.hostile_text import FRAGMENTS, hostile_text

LEAVES = hostile_text(min_size=0) | st.integers(-5, 5) | st.floats(allow_nan=False) | st.booleans()


def load(text: str, conf: Path) -> Any:
    """Read YAML as the globals of a use case."""
    (conf / "base").mkdir(parents=True, exist_ok=True)
    (conf / "base" / "globals.yml").write_text(text, encoding="utf-8", newline="\n")
    return ProjectConfigLoader(conf.as_posix(), base_env="base", default_run_env="base")["globals"]


@pytest.mark.slow
@given(values=st.lists(LEAVES, min_size=1, max_size=4), comment=hostile_text(min_size=0))
@settings(max_examples=30)
@example(values=["???", "\\???", "\\${x}", "\\\\${x}", "${x", "$${x}", "\\"], comment="a\rdata_root: elsewhere")
@example(values=["", " x ", "x\n", "\t", "a\x85b", "\x00"], comment="\ufffe\ufeff\x00\x1b")
def test_what_is_written_is_read_back_and_comments_are_no_configuration(
    values: list[Any], comment: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = {"values": values, "nested": {"each": [{"name": value, "domain": values} for value in values]}}
    comments = {(): [comment], ("nested", "each", 0): [comment, comment], ("values",): [comment]}

    text = write_configuration(content, comments)

    assert load(text, tmp_path_factory.getbasetemp() / "written") == content
    assert all(line.isprintable() for line in text.split("\n"))
    # Four comments, each of at most three lines.
    assert text.count("\n#") + text.startswith("#") + text.count("    #") <= 12


def table(names: list[str], levels: list[str]) -> pd.DataFrame:
    random = np.random.default_rng(0)
    raw = {name: random.choice(levels, 120) for name in names}
    return pd.DataFrame(raw | {"Spend": random.normal(size=120).round(3), "Churn": random.choice(["no", "yes"], 120)})


@pytest.fixture(scope="module")
def conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "conf"
    shutil.copytree(ROOT / "conf" / "base", folder / "base")
    return folder


def write_use_case(conf: Path, texts: dict[str, str]) -> ProjectConfigLoader:
    for name, text in texts.items():
        (conf / "gym" / name).parent.mkdir(parents=True, exist_ok=True)
        (conf / "gym" / name).write_text(text, encoding="utf-8")
    return ProjectConfigLoader(conf.as_posix(), env="gym", base_env="base", default_run_env="local")


@pytest.mark.slow
@given(
    names=st.lists(hostile_text(), min_size=1, max_size=6),
    levels=st.lists(hostile_text(min_size=0), min_size=2, max_size=6),
    description=hostile_text(),
    file=hostile_text(),
)
@settings(max_examples=8)
def test_the_declaration_of_a_hostile_table_is_the_same_in_parameters_globals_and_catalog(
    conf: Path, names: list[str], levels: list[str], description: str, file: str
) -> None:
    try:
        found = infer_declaration(table(names, levels), "Churn", positive="yes", description=description)
    except CustomerTableError:
        # For example two names that differ in blanks only; never another error.
        return
    path = f"data/01_raw/gym/{file}.csv"

    loader = write_use_case(
        conf,
        {
            "globals.yml": render_globals("gym", file, path),
            "parameters/customers.yml": render_declaration(found, file),
            "catalog/data_processing.yml": render_catalog({"sheet": file, "delimiter": ";"}),
        },
    )

    assert loader["parameters"]["customers"] == found.declaration
    assert CustomerDeclaration.model_validate(loader["globals"]["customers"]) == found.declaration
    assert {key: value for key, value in loader["globals"].items() if key != "customers"} == {
        "use_case": "gym",
        "registered_model": "gym_churn",
        "data_root": "data",
        "raw_customers": path,
        "sample_rows": None,
    }
    catalog = loader["catalog"]
    options = catalog["customers"]["validator"]["options"]
    assert CustomerDeclaration.model_validate(options["declaration"]) == found.declaration
    assert catalog["raw_customers"]["filepath"] == path
    assert catalog["new_customers"]["filepath"] == "data/05_model_input/gym/test.parquet"
    assert catalog["raw_customers"]["sheet"] == file


@pytest.mark.parametrize(
    ("given", "scored"),
    [
        ({}, "data/01_raw/bank/new_customers.csv"),
        ({"new_customers": "new.csv"}, "new.csv"),
        ({"raw_customers": "mine.csv"}, "data/05_model_input/bank/test.parquet"),
        ({"raw_customers": "mine.csv", "new_customers": "new.csv"}, "new.csv"),
    ],
)
def test_the_customers_of_the_sample_are_not_scored_after_training_on_another_table(
    given: dict[str, str], scored: str
) -> None:
    loader = ProjectConfigLoader(
        (ROOT / "conf").as_posix(), base_env="base", default_run_env="local", runtime_params=given
    )

    assert loader["catalog"]["new_customers"]["filepath"] == scored


def test_a_path_of_the_command_line_is_not_interpolated() -> None:
    path = "a ${environment:HOME, x}.csv"

    loader = ProjectConfigLoader(
        (ROOT / "conf").as_posix(),
        base_env="base",
        default_run_env="local",
        runtime_params={"new_customers": path, "training": {"search": {"n_trials": 2}}},
    )

    assert loader["catalog"]["new_customers"]["filepath"] == path
    assert loader["parameters"]["new_customers"] == path
    assert loader["parameters"]["training"].search.n_trials == 2


def test_text_without_a_form_in_yaml_is_refused_by_name() -> None:
    with pytest.raises(CustomerTableError, match=r"raw_customers is 'caf\\udce9.csv', which cannot be written"):
        render_globals("gym", "caf\udce9.csv", "caf\udce9.csv")


def test_a_comment_shows_what_it_escapes() -> None:
    text = write_configuration({"a": 1}, {(): ["caf\udce9 \u202egnp.exe \x1b[31m"], ("a",): ["x" * 500]})

    first, *others, last = text.splitlines()
    assert first == r"# caf\udce9 \u202egnp.exe \x1b[31m"
    assert others == [f"# {'x' * 112}", f"# {'x' * 112}", "# …"]
    assert last == "a: 1"


def test_a_long_comment_is_wrapped() -> None:
    text = write_configuration({"a": 1}, {("a",): ["why " * 40]})

    first, second, last = text.splitlines()
    assert first.startswith("# why why")
    assert second.startswith("# why why")
    assert max(map(len, (first, second))) <= 120
    assert last == "a: 1"


def test_text_that_yaml_or_its_dialects_read_as_another_type_is_quoted() -> None:
    words = ["yes", "n", "null", "1e3", "007", "2024-01-01", "1:30", "~", "", "0x1f", "+1", ".5", "-", "NaN"]

    assert write_configuration({"a": [*words, "two words", "Łódź"]}, {}) == (
        "a: [" + ", ".join(f"'{word}'" for word in words) + ", 'two words', Łódź]\n"
    )


def test_a_use_case_is_merged_with_base_without_reading_interpolations_again() -> None:
    for fragment in FRAGMENTS:
        merged = ProjectConfigLoader._soft_merge({"x": {"y": [fragment], "z": 1}}, {"x": {"z": fragment}})

        assert merged == {"x": {"y": [fragment], "z": fragment}}
