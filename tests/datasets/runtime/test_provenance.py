"""Claims about the recorded state of the code."""

import subprocess
from pathlib import Path

import pytest

from churn_kedro.datasets.runtime.provenance import describe_code


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in ("src/code.py", "conf/base/globals.yml", "conf/shop/globals.yml", "docs/guide.md", "pyproject.toml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("a", encoding="utf-8")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(tmp_path)]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "First"]):
        subprocess.run([*git, *arguments], check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "dirty"),
    [
        ("src/code.py", True),
        ("src/new.py", True),
        ("conf/base/globals.yml", True),
        ("conf/shop/parameters/new.yml", True),
        ("pyproject.toml", True),
        ("requirements.lock", True),
        ("dvc.lock", True),
        ("conf/gym/globals.yml", False),
        ("docs/guide.md", False),
        ("data/customers.csv", False),
    ],
)
def test_only_code_and_the_own_configuration_count_as_uncommitted(project: Path, file: str, *, dirty: bool) -> None:
    (project / file).parent.mkdir(parents=True, exist_ok=True)
    (project / file).write_text("b", encoding="utf-8")

    described = describe_code(project, "shop")

    assert described["git_dirty"] == str(dirty).lower()
    assert len(described["git_commit"]) == 40


def test_without_git_nothing_is_known(tmp_path: Path) -> None:
    assert describe_code(tmp_path) == {"git_commit": "unknown", "git_dirty": "unknown"}
