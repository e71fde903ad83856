"""Commands on registered versions: ``kedro models``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.cli.utils import ENV_HELP
from kedro.utils import find_kedro_project

from churn_kedro.mendable import explain_instead_of_tracing
from churn_kedro.parameters import ParameterError
from churn_kedro.places import tracking_uri
from churn_kedro.rebuilding import Code, Rebuild

_EXIT_DIFFERENT = 2


@click.group()
def models() -> None:
    """Registered versions of the model."""


@models.command()
@click.argument("version")
@click.option("--env", "-e", metavar="NAME", help=ENV_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--at-commit", is_flag=True, help="Use the code of the commit that trained the version.")
@explain_instead_of_tracing
def rebuild(version: str, env: str | None, as_json: bool, at_commit: bool) -> None:
    """Train VERSION (a number or an alias) again from its recorded data, parameters and seed, and compare.

    Nothing is registered. Ends with 0 where the model is the same to the byte, with 2 where it is not.
    """
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    project = find_kedro_project(Path.cwd()) or Path.cwd()
    bootstrap_project(project)
    with KedroSession.create(project_path=project, env=env) as session:
        context = cast(KedroSession, session).load_context()
        report = (
            _rebuild_at_commit(version, env, project, context)
            if at_commit
            else _rebuild(version, project, context, show_progress=not as_json)
        )
    click.echo(report.model_dump_json(indent=2) if as_json else describe_rebuild(report))
    if not report.same_model:
        raise SystemExit(_EXIT_DIFFERENT)


def _model_name(context: Any) -> str:
    return f"{context.config_loader['globals']['use_case']}_churn"


def _rebuild(version: str, project: Path, context: Any, *, show_progress: bool) -> Rebuild:
    import time

    from churn_kedro.datasets.model_files import model_digest
    from churn_kedro.datasets.models import RegistryModelDataset
    from churn_kedro.datasets.progress import TerminalProgress
    from churn_kedro.datasets.recorded_runs import find_splits, find_version
    from churn_kedro.provenance import describe_code
    from churn_kedro.rebuilding import compare_trainings, train_again
    from churn_kedro.tuning import NoArchive, NoProgress, Surroundings

    recorded = find_version(_model_name(context), version)
    tables, manifest = find_splits(recorded, context.catalog)
    surroundings = Surroundings(NoArchive(), TerminalProgress() if show_progress else NoProgress(), time.perf_counter)
    rebuilt = train_again(tables, manifest, recorded.summary, surroundings, context.catalog.load("matrix_parts"))
    first = RegistryModelDataset(model_name=recorded.name, model_version=str(recorded.version)).load()
    if first is None:
        raise ParameterError(f"Version {recorded.version} of {recorded.name} was removed meanwhile.")
    now = describe_code(project)
    return compare_trainings(
        recorded.name,
        recorded.version,
        (recorded.tags.get("model_sha256", "not recorded"), model_digest(rebuilt.model.estimator)),
        recorded.summary,
        rebuilt.summary,
        (
            Code(recorded.tags.get("git_commit", "unknown"), recorded.tags.get("git_dirty", "unknown")),
            Code(now["git_commit"], now["git_dirty"]),
        ),
        (first.estimator, rebuilt.model.estimator),
        tables.get("test"),
    )


def _rebuild_at_commit(version: str, env: str | None, project: Path, context: Any) -> Rebuild:
    """Rebuild in a working tree of its own that has the recorded commit."""
    from churn_kedro.datasets.recorded_runs import find_commit

    commit = find_commit(_model_name(context), version)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _git(project, "worktree", "add", "--detach", str(tree), commit)
        try:
            # What git ignores is not part of a commit.
            (tree / "conf" / "local").mkdir(exist_ok=True)
            environment = {
                **os.environ,
                "PYTHONPATH": str(tree / "src"),
                "MLFLOW_TRACKING_URI": tracking_uri(project, os.environ),
                "CHURN_DATA_ROOT": os.environ.get("CHURN_DATA_ROOT") or str(project / "data"),
            }
            command = [sys.executable, "-m", "kedro", "models", "rebuild", version, "--json"]
            ended = subprocess.run(
                [*command, *(["--env", env] if env else [])],
                cwd=tree,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            _git(project, "worktree", "remove", "--force", str(tree))
    if ended.returncode not in (0, _EXIT_DIFFERENT):
        raise ParameterError(
            f"The code of commit {commit} could not rebuild version {version}:\n{ended.stderr.strip()[-2000:]}"
        )
    return Rebuild.model_validate_json(ended.stdout)


def _git(project: Path, *arguments: str) -> None:
    ended = subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ParameterError(f"git {arguments[0]} {arguments[1]} failed: {ended.stderr.strip()}")


def describe_rebuild(report: Rebuild) -> str:
    """The report for people.

    Args:
        report: What came of training again.

    Returns:
        Lines of text.
    """
    verdict = "the same to the byte" if report.same_model else "another model"
    lines = [
        f"{report.model_name} version {report.model_version}, trained again: {verdict}",
        f"  recorded  {report.recorded_sha256}",
        f"  rebuilt   {report.rebuilt_sha256}",
        f"  metrics   {'the same to the last digit' if report.same_metrics else 'different'}",
    ]
    width = max(map(len, report.metrics), default=0)
    for name, pair in report.metrics.items():
        change = pair.rebuilt - pair.recorded
        lines.append(f"    {name:<{width}}  {pair.recorded:.6f}  {pair.rebuilt:.6f}  {change:+.2g}")
    if report.differences:
        lines.append("  not as it was")
        lines += [f"    {one.what}: {one.recorded} then, {one.rebuilt} now" for one in report.differences]
    return "\n".join(lines)
