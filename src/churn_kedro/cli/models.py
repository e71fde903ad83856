"""Commands on registered versions: ``kedro models``.

Exit status: 0 on success, also where nothing had to be changed; 1 on an error; 2 on wrong usage; 3 if the action is
refused, or a rebuilt model differs.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from kedro.framework.cli.utils import ENV_HELP
from kedro.utils import find_kedro_project

from churn_kedro.base import ParameterError, escape_controls, one_line
from churn_kedro.cli.errors import EXIT_NO, show_user_errors
from churn_kedro.cli.tables import (
    VersionRow,
    describe_versions,
    show,
    tabulate_checks,
    tabulate_comparison,
    tabulate_history,
    tabulate_version,
    tabulate_versions,
    write_change,
)
from churn_kedro.datasets import artifact_location, tracking_uri
from churn_kedro.registry import Alias, Change, RegistryState
from churn_kedro.training import Code, Rebuild

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from churn_estimators.model import CustomerModel
    from churn_kedro.datasets import ModelRegistry, RecordedVersion
    from churn_kedro.models import OnnxExport

_SECONDS_PER_DAY = 86_400
_NO_CHAMPION = "none"
_ARCHIVES = {".zip": "zip", ".gz": "gztar", ".tgz": "gztar"}


@dataclass(frozen=True)
class _Project:
    """The project and one of its use cases.

    Attributes:
        path: Folder of the project.
        context: Kedro's context.
        by: Person who acts, for the audit trail.
    """

    path: Path
    context: Any
    by: str

    @property
    def model_name(self) -> str:
        """Registered model of the use case."""
        return str(self.context.config_loader["globals"]["registered_model"])

    @property
    def experiment_id(self) -> str:
        """Experiment of the use case, which kedro-mlflow has found or created."""
        return str(self.context.mlflow.tracking.experiment._experiment.experiment_id)

    @property
    def registry(self) -> ModelRegistry:
        """The registered model."""
        from churn_kedro.datasets import ModelRegistry, describe_code

        return ModelRegistry(
            self.model_name,
            experiment=self.model_name,
            by=self.by,
            git_commit=describe_code(self.path)["git_commit"],
            artifact_location=artifact_location(self.path, os.environ),
        )


@contextmanager
def _open_project(env: str | None, by: str | None = None, *, close_runs: bool = True) -> Iterator[_Project]:
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from churn_kedro.datasets import close_abandoned_runs, describe_person

    # The URL of a run would be printed into the JSON.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # Kedro's log of progress would be printed into the output.
    logging.getLogger("kedro").setLevel(logging.WARNING)
    path = find_kedro_project(Path.cwd()) or Path.cwd()
    bootstrap_project(path)
    with KedroSession.create(project_path=path, env=env) as session:
        project = _Project(path, cast(KedroSession, session).load_context(), by or describe_person(path))
        if close_runs:
            close_abandoned_runs(project.experiment_id)
        yield project


def _as_one_line(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Write what a person says on one line, since the audit lists reasons line by line."""
    return None if value is None else one_line(value)


_ENV = click.option("--env", "-e", metavar="NAME", help=ENV_HELP)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_YES = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_BY = click.option(
    "--by",
    metavar="PERSON",
    callback=_as_one_line,
    help="Person who acts, for the audit trail; default: git's user.",
)


def _reasoned(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--reason", required=required, metavar="TEXT", callback=_as_one_line, help="Reason, for the audit trail."
    )


def _acting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that change the registry."""
    return functools.reduce(lambda decorated, option: option(decorated), (_JSON, _BY, _ENV), command)


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ParameterError(f"{question} Nobody can be asked here: say --yes to do it.")
    click.confirm(question, abort=True)


def _print_change(name: str, change: Change, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"model": name, **change.model_dump(mode="json")}, indent=2))
    else:
        click.echo(write_change(name, change))


@click.group()
def models() -> None:
    """Registered versions of the model."""


def _rows(registry: ModelRegistry) -> tuple[RegistryState, list[VersionRow]]:
    versions = registry.versions()
    state = registry.state(versions)
    moments = {int(one.version): datetime.fromtimestamp(one.creation_timestamp / 1000, UTC) for one in versions}
    now = datetime.now(UTC)
    return state, describe_versions(
        state,
        {version: moment.isoformat(timespec="seconds") for version, moment in moments.items()},
        {version: (now - moment).total_seconds() / _SECONDS_PER_DAY for version, moment in moments.items()},
    )


@models.command(name="list")
@_ENV
@_JSON
@show_user_errors
def list_versions(env: str | None, as_json: bool) -> None:
    """List all versions: aliases, last decisions, metrics of their last evaluation."""
    with _open_project(env) as project:
        _, rows = _rows(project.registry)
        if as_json:
            click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
        else:
            show(tabulate_versions(project.model_name, rows))


@models.command()
@click.argument("version")
@_ENV
@_JSON
@show_user_errors
def info(version: str, env: str | None, as_json: bool) -> None:
    """Show VERSION (a number or an alias): facts, metrics, decision."""
    from mlflow import MlflowClient

    from churn_kedro.datasets import find_place
    from churn_kedro.evaluation import Estimate
    from churn_kedro.registry import explain_lost_files

    with _open_project(env) as project:
        registry = project.registry
        state, rows = _rows(registry)
        number = state.find(version)
        row = next(one for one in rows if one.version == number)
        tags = state.tags[number]
        found = MlflowClient().get_model_version(project.model_name, str(number))
        model_id = str(found.source).removeprefix("models:/")
        place, lost = find_place(found)
        problem = None if lost is None else f"{place}: {lost}. {explain_lost_files(project.model_name, number)}"
        logged = sorted(_find_metrics(model_id), key=lambda one: one.timestamp)
        # The last of several evaluations; names are ``evaluation/NAME``.
        values = {one.key.rpartition("/")[2]: one.value for one in logged}
        metrics = {
            name: Estimate(value=value, low=values[f"{name}_low"], high=values[f"{name}_high"])
            for name, value in values.items()
            if f"{name}_low" in values and f"{name}_high" in values
        }
        facts = {
            "algorithm": tags.get("algorithm"),
            "calibration": tags.get("calibration"),
            "decision threshold": tags.get("decision_threshold"),
            "trained on": tags.get("train_digest"),
            "evaluated on": tags.get("test_digest"),
            "code": tags.get("git_commit"),
            "model digest": tags.get("model_digest"),
            "run": found.run_id,
            "model id": model_id,
            "problem": problem,
        }
        reasons = tags.get("decision_reasons", "").splitlines()
        if as_json:
            events = [event.model_dump(mode="json") for event in registry.events_of(state, number)]
            known = {"model": project.model_name, **row.model_dump(mode="json"), "run_id": found.run_id}
            measured = {name: one.model_dump() for name, one in metrics.items()}
            documents = {
                "model_id": model_id,
                "problem": problem,
                "tags": dict(tags),
                "reasons": reasons,
                "history": events,
            }
            click.echo(json.dumps({**known, "metrics": measured, **documents}, indent=2))
        else:
            show(tabulate_version(project.model_name, row, facts, metrics, reasons))


def _find_metrics(model_id: str) -> Sequence[Metric]:
    """Return the metrics of a model; none if MLflow has lost it."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        return MlflowClient().get_logged_model(model_id).metrics or []
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return []


@models.command()
@click.argument("version", required=False)
@_ENV
@_JSON
@show_user_errors
def check(version: str | None, env: str | None, as_json: bool) -> None:
    """Check MLflow's store, the files of all versions or of VERSION, aliases, audit and runs. Changes nothing.

    Exit status 0 if nothing is wrong, else 3.
    """
    from churn_kedro.datasets import check_runs, check_store

    path = find_kedro_project(Path.cwd()) or Path.cwd()
    results = [check_store(tracking_uri(path, os.environ))]
    if results[0].health != "wrong":
        with _open_project(env, close_runs=False) as project:
            results += [*project.registry.check(version), *check_runs(project.experiment_id)]
    if as_json:
        click.echo(json.dumps([result.model_dump(mode="json") for result in results], indent=2))
    else:
        show(tabulate_checks(results))
    if any(result.health == "wrong" for result in results):
        raise SystemExit(EXIT_NO)


@models.command()
@click.argument("first")
@click.argument("second")
@_ENV
@_JSON
@show_user_errors
def compare(first: str, second: str, env: str | None, as_json: bool) -> None:
    """Compare versions FIRST and SECOND on the test customers: paired differences, largest disagreements."""
    from churn_kedro.customers import CustomerDeclaration
    from churn_kedro.datasets import RegistryModelDataset
    from churn_kedro.evaluation import Baseline, EvaluationParameters, compare_models, explain_incomparable
    from churn_kedro.models import find_version_training_rows, score_labelled

    with _open_project(env) as project:
        state = project.registry.state()
        numbers = [state.find(version) for version in (first, second)]
        parameters = EvaluationParameters.model_validate(_parameters(project, "evaluation"))
        declaration = CustomerDeclaration.model_validate(_parameters(project, "customers"))
        catalog = project.context.catalog
        test, manifest = catalog.load("test_customers"), catalog.load("split_manifest")
        manifest.verify(test=test)
        loaded = [
            RegistryModelDataset(model_name=project.model_name, model_version=number, with_training_rows=True).load()
            for number in numbers
        ]
        present = [model for model in loaded if model is not None]
        notes = []
        for model in present:
            reason = explain_incomparable(model, declaration)
            if reason:
                raise ParameterError(f"{project.model_name}: {reason}.")
            trained_on = find_version_training_rows(model, test, manifest, declaration)
            if trained_on is not None and trained_on.any():
                notes.append(f"version {model.version} was trained on {trained_on.mean():.1%} of the test customers")
            evaluated_on = model.tags.get("test_digest")
            if evaluated_on not in (None, manifest.test.digest):
                notes.append(
                    f"the recorded metrics of version {model.version} are of another test table ({evaluated_on[:8]})"
                )
        names = [
            f"version {number}{f' ({version})' if version != str(number) else ''}"
            for number, version in zip(numbers, (first, second), strict=True)
        ]
        comparison = compare_models(
            score_labelled(present[0].estimator, test, declaration),
            Baseline(names[1], present[1].estimator, f"Note: {'; '.join(notes)}." if notes else None),
            test,
            declaration,
            parameters.bootstrap,
            parameters.n_disagreements,
        ).comparison
        if as_json:
            known = {"candidate": names[0], "test_digest": manifest.test.digest}
            click.echo(json.dumps({**known, **comparison.model_dump(mode="json")}, indent=2))
        else:
            show(tabulate_comparison(names[0], comparison, manifest.test.digest))


def _parameters(project: _Project, name: str) -> Any:
    """Return the parameters of a pipeline as a dictionary; Kedro converts them where a node has a typed input."""
    parameters = project.context.params[name]
    return parameters if isinstance(parameters, dict) else parameters.model_dump()


@models.command()
@click.argument("version")
@click.option(
    "--to",
    "alias",
    type=click.Choice(["champion", "staging", "challenger"]),
    default="champion",
    show_default=True,
    help="Alias to give.",
)
@click.option(
    "--override",
    metavar="REASON",
    callback=_as_one_line,
    help="Make it champion although it has not passed the gate.",
)
@click.option("--expect-champion", metavar="VERSION", help="Refuse unless VERSION (or 'none') is the champion.")
@_YES
@_acting
@show_user_errors
def promote(
    version: str,
    alias: Alias,
    override: str | None,
    expect_champion: str | None,
    yes: bool,
    env: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Give VERSION an alias. The champion must have passed the gate, or needs --override with a reason."""
    from churn_kedro.registry import plan_manual_promotion, require_champion

    with _open_project(env, by) as project:
        registry = project.registry
        registry.repair()
        state = registry.state()
        number, expected = state.find(version), _expected_champion(state, expect_champion)
        planned = plan_manual_promotion(state, number, alias, override)
        if planned.already is None and alias == "champion":
            _confirm(f"Make version {number} of {project.model_name} champion{_instead_of(state)}?", yes=yes)

        def plan(now: RegistryState) -> Change:
            if now.aliases.get(alias) != number:
                require_champion(now, expected)
            return plan_manual_promotion(now, number, alias, override)

        _print_change(project.model_name, registry.apply(plan), as_json=as_json)


def _expected_champion(state: RegistryState, given: str | None) -> int | None:
    if given is None:
        return state.aliases.get("champion")
    if given == _NO_CHAMPION:
        return None
    if not given.isdecimal():
        raise click.UsageError(f"--expect-champion is the number of a version or '{_NO_CHAMPION}', found '{given}'.")
    return int(given)


def _instead_of(state: RegistryState) -> str:
    champion = state.aliases.get("champion")
    return "" if champion is None else f" instead of version {champion}"


@models.command()
@click.argument("version", required=False)
@_reasoned(required=False)
@_YES
@_acting
@show_user_errors
def approve(version: str | None, reason: str | None, yes: bool, env: str | None, by: str | None, as_json: bool) -> None:
    """Make VERSION (default: the challenger), which waits for approval, the champion."""
    from churn_kedro.registry import plan_approval

    with _open_project(env, by) as project:
        registry = project.registry
        registry.repair()
        state = registry.state()
        if version is None and "challenger" not in state.aliases:
            raise ParameterError(f"No version of {project.model_name} waits for approval.")
        number = state.find(version or "challenger")
        if plan_approval(state, number, reason).already is None:
            _confirm(f"Approve version {number} of {project.model_name} as champion{_instead_of(state)}?", yes=yes)
        change = registry.apply(lambda now: plan_approval(now, number, reason))
        _print_change(project.model_name, change, as_json=as_json)


@models.command()
@click.argument("version")
@_reasoned(required=True)
@_acting
@show_user_errors
def reject(version: str, reason: str, env: str | None, by: str | None, as_json: bool) -> None:
    """Reject VERSION: it loses its aliases, and the gate does not promote it again."""
    from churn_kedro.registry import plan_rejection

    with _open_project(env, by) as project:
        registry = project.registry
        registry.repair()
        number = registry.state().find(version)
        change = registry.apply(lambda now: plan_rejection(now, number, reason))
        _print_change(project.model_name, change, as_json=as_json)


@models.command()
@_reasoned(required=False)
@_YES
@_acting
@show_user_errors
def rollback(reason: str | None, yes: bool, env: str | None, by: str | None, as_json: bool) -> None:
    """Make the previous champion champion again; the gate does not promote the present one again. Idempotent."""
    from churn_kedro.registry import plan_rollback, require_champion

    with _open_project(env, by) as project:
        registry = project.registry
        registry.repair()
        state = registry.state()
        planned = plan_rollback(state, registry.history(), reason)
        if planned.already is None:
            back = planned.moves["champion"].after
            _confirm(f"Make version {back} of {project.model_name} champion again{_instead_of(state)}?", yes=yes)
        expected = state.aliases.get("champion")

        def plan(now: RegistryState) -> Change:
            history = registry.history()
            again = plan_rollback(now, history, reason)
            if again.already is None:
                require_champion(now, expected)
            return again

        _print_change(project.model_name, registry.apply(plan), as_json=as_json)


@models.command()
@click.argument("version", required=False)
@click.option("--expired", is_flag=True, help="Retire all versions beyond registry.retention, instead of one VERSION.")
@click.option("--delete", is_flag=True, help="With --expired: delete them permanently.")
@click.option("--undo", is_flag=True, help="Restore a retired VERSION.")
@_reasoned(required=False)
@_YES
@_acting
@show_user_errors
def retire(
    version: str | None,
    expired: bool,
    delete: bool,
    undo: bool,
    reason: str | None,
    yes: bool,
    env: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Retire VERSION: it loses its aliases and cannot be promoted. The champion cannot be retired."""
    from churn_kedro.registry import plan_retirement, plan_return

    if (version is None) != expired or (delete and not expired) or (undo and expired):
        raise click.UsageError("Name one VERSION (with --undo to take it back), or say --expired (and --delete).")
    with _open_project(env, by) as project:
        if expired:
            _retire_expired(project, reason, delete=delete, yes=yes, as_json=as_json)
            return
        registry = project.registry
        registry.repair()
        number = registry.state().find(str(version))
        at = datetime.now(UTC).isoformat(timespec="seconds")

        def plan(now: RegistryState) -> Change:
            return plan_return(now, number, reason) if undo else plan_retirement(now, number, at, reason)

        _print_change(project.model_name, registry.apply(plan), as_json=as_json)


def _retire_expired(project: _Project, reason: str | None, *, delete: bool, yes: bool, as_json: bool) -> None:
    from churn_kedro.registry import RETIRED_TAG, RegistryParameters, find_expired, plan_deletion, plan_retirement

    retention = RegistryParameters.model_validate(_parameters(project, "registry")).retention
    registry = project.registry
    state, rows = _rows(registry)
    expired = find_expired(state, {row.version: row.age_days for row in rows}, retention)
    if not delete:
        expired = [version for version in expired if RETIRED_TAG not in state.tags[version]]
    why = reason or f"older than {retention.keep_days} days and not among the newest {retention.keep_last}"
    listed = ", ".join(map(str, expired))
    if expired and delete:
        _confirm(f"Delete {len(expired)} versions of {project.model_name} for good ({listed})?", yes=yes)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    for version in expired:
        if delete:
            registry.apply(functools.partial(plan_deletion, version=version, reason=why))
        else:
            registry.apply(functools.partial(plan_retirement, version=version, at=at, reason=why))
    what = "deleted" if delete else "retired"
    if as_json:
        click.echo(json.dumps({"model": project.model_name, what: expired}, indent=2))
    else:
        click.echo(f"{project.model_name}: {len(expired)} versions {what}{f' ({listed})' if expired else ''}")


@models.command()
@click.argument("version")
@click.option("--html", is_flag=True, help="HTML instead of Markdown.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it to a file.")
@_ENV
@show_user_errors
def card(version: str, html: bool, output: Path | None, env: str | None) -> None:
    """Print the model card of VERSION from its last evaluation."""
    with _open_project(env) as project:
        registry = project.registry
        text = registry.read_document(registry.state().find(version), "model_card.html" if html else "model_card.md")
        if output is None:
            click.echo(text)
        else:
            try:
                output.write_text(text, encoding="utf-8")
            except OSError as error:
                raise ParameterError(f"{output} cannot be written: {error.strerror}.") from error
            click.echo(f"written: {output}")


@models.command()
@click.argument("version")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["mlflow", "onnx"]),
    default="mlflow",
    help="mlflow (default): the whole version. onnx: trees of XGBoost, with the treatment of the columns if possible.",
)
@click.option("--force", is_flag=True, help="Overwrite PATH.")
@_ENV
@show_user_errors
def export(version: str, path: Path, file_format: str, force: bool, env: str | None) -> None:
    """Write VERSION to PATH: a folder, or an archive (.zip, .tar.gz). It loads where this project is not installed."""
    from churn_kedro.datasets import EXPORT_FACTS

    if path.exists() and not force:
        raise ParameterError(f"{path} is there already. Choose another PATH, or overwrite it with --force.")
    if path.is_dir() and any(path.iterdir()) and not (path / EXPORT_FACTS).is_file():
        raise ParameterError(
            f"The folder {path} holds no exported version and is not overwritten. Choose another PATH."
        )
    with _open_project(env) as project, tempfile.TemporaryDirectory(dir=_existing_parent(path)) as folder:
        registry = project.registry
        number = registry.state().find(version)
        made = Path(folder) / f"{project.model_name}-{number}"
        exported = None
        if file_format == "onnx":
            exported = registry.export_onnx(number, made)
        else:
            registry.export(number, made)
        kind = _ARCHIVES.get(path.suffix.lower())
        done = Path(shutil.make_archive(str(Path(folder) / "archive"), kind, folder, made.name)) if kind else made
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        # Atomic, since the temporary folder is on the same file system.
        done.replace(path)
        click.echo(f"written: {path} ({project.model_name} version {number}); README.md in it says how to load it")
        if exported is not None:
            click.echo(describe_onnx_export(exported))


def describe_onnx_export(exported: OnnxExport) -> str:
    """Describe an export to ONNX for a terminal.

    Args:
        exported: What was written.

    Returns:
        Lines of text.
    """
    if exported.reason:
        inputs = f"inputs      those of the trees, not the columns, since {exported.reason}; model.json describes them"
    else:
        inputs = f"inputs      {len(exported.description['inputs'])} columns, with their treatment"
    compared = f"compared    {exported.n_rows} rows: largest difference {exported.largest_difference:.1g}"
    return "\n".join(f"  {escape_controls(line)}" for line in (inputs, compared))


def _existing_parent(path: Path) -> Path:
    parent = path.resolve().parent
    while not parent.is_dir():
        parent = parent.parent
    return parent


@models.command()
@click.argument("version", required=False)
@_ENV
@_JSON
@show_user_errors
def history(version: str | None, env: str | None, as_json: bool) -> None:
    """Show the audit trail of all versions or of VERSION (a number, also of a deleted version, or an alias)."""
    with _open_project(env) as project:
        registry = project.registry
        events = registry.history()
        if version is not None:
            known = {str(event.version) for event in events}
            number = int(version) if version in known else registry.state().find(version)
            events = [event for event in events if number in _touched(event)]
        if as_json:
            click.echo(json.dumps([event.model_dump(mode="json") for event in events], indent=2))
        else:
            show(tabulate_history(project.model_name, events))


def _touched(event: Any) -> set[int | None]:
    return {event.version, *(end for move in event.moves.values() for end in (move.before, move.after))}


@models.command()
@click.argument("version")
@_ENV
@_JSON
@click.option("--at-commit", is_flag=True, help="Use the code of the commit that trained the version.")
@show_user_errors
def rebuild(version: str, env: str | None, as_json: bool, at_commit: bool) -> None:
    """Train VERSION (a number or an alias) again from its recorded data, parameters and seed, and compare.

    Nothing is registered. Exit status 0 if both models have the same digest, else 3.
    """
    with _open_project(env) as project:
        report = (
            _rebuild_at_commit(version, env, project)
            if at_commit
            else _rebuild(version, project, show_progress=not as_json)
        )
    click.echo(json.dumps(report.model_dump(mode="json"), indent=2) if as_json else describe_rebuild(report))
    if not report.same_model:
        raise SystemExit(EXIT_NO)


def _rebuild(version: str, project: _Project, *, show_progress: bool) -> Rebuild:
    import time

    from churn_kedro.datasets import describe_code, find_splits, find_version, model_digest
    from churn_kedro.training import (
        NoArchive,
        NoProgress,
        SearchContext,
        TerminalProgress,
        compare_trainings,
        train_again,
    )

    recorded = find_version(project.model_name, version)
    tables, manifest = find_splits(recorded, project.context.catalog)
    context = SearchContext(NoArchive(), TerminalProgress() if show_progress else NoProgress(), time.perf_counter)
    rebuilt = train_again(tables, manifest, recorded.summary, context, project.context.catalog.load("matrix_parts"))
    stored = _load_stored(recorded)
    now = describe_code(project.path, str(project.context.config_loader["globals"]["use_case"]))
    return compare_trainings(
        recorded.name,
        recorded.version,
        (_find_digest(recorded, stored), model_digest(rebuilt.model.estimator)),
        recorded.summary,
        rebuilt.summary,
        (
            Code(recorded.tags.get("git_commit", "unknown"), recorded.tags.get("git_dirty", "unknown")),
            Code(now["git_commit"], now["git_dirty"]),
        ),
        (stored or rebuilt.model.estimator, rebuilt.model.estimator),
        # Without the stored model, there is nothing to compare the predictions with.
        tables.get("test") if stored is not None else None,
    )


def _load_stored(recorded: RecordedVersion) -> CustomerModel | None:
    """Load the model of a version; None if its files are damaged or lost, and its digest is known."""
    from kedro.io import DatasetError

    from churn_kedro.datasets import RegistryModelDataset

    try:
        model = RegistryModelDataset(model_name=recorded.name, model_version=str(recorded.version)).load()
    except DatasetError:
        if "model_digest" not in recorded.tags:
            raise
        click.echo(
            f"The files of version {recorded.version} of {recorded.name} are damaged or lost (`kedro models check "
            f"{recorded.version}`); the new model is compared with the recorded digest only.",
            err=True,
        )
        return None
    if model is None:
        raise ParameterError(f"Version {recorded.version} of {recorded.name} was removed meanwhile.")
    estimator: CustomerModel = model.estimator
    return estimator


def _find_digest(recorded: RecordedVersion, stored: CustomerModel | None) -> str:
    from churn_kedro.datasets import model_digest

    # Older versions have no such tag.
    return recorded.tags.get("model_digest") or model_digest(cast("CustomerModel", stored))


def _rebuild_at_commit(version: str, env: str | None, project: _Project) -> Rebuild:
    """Rebuild in a separate working tree at the recorded commit."""
    from churn_kedro.datasets import find_commit

    commit = find_commit(project.model_name, version)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _git(project.path, "worktree", "add", "--detach", str(tree), commit)
        try:
            # The folder is ignored by git.
            (tree / "conf" / "local").mkdir(exist_ok=True)
            environment = {
                **os.environ,
                "PYTHONPATH": str(tree / "src"),
                "MLFLOW_TRACKING_URI": tracking_uri(project.path, os.environ),
                "CHURN_DATA_ROOT": os.environ.get("CHURN_DATA_ROOT") or str(project.path / "data"),
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
            _git(project.path, "worktree", "remove", "--force", str(tree))
    if ended.returncode not in (0, EXIT_NO):
        raise ParameterError(
            f"The code of commit {commit} could not rebuild version {version}:\n{ended.stderr.strip()[-2000:]}"
        )
    return Rebuild.model_validate_json(ended.stdout)


def _git(project: Path, *arguments: str) -> None:
    ended = subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ParameterError(f"git {arguments[0]} {arguments[1]} failed: {ended.stderr.strip()}")


def describe_rebuild(report: Rebuild) -> str:
    """Describe a rebuild for a terminal.

    Args:
        report: Comparison of the recorded and the rebuilt model.

    Returns:
        Lines of text.
    """
    verdict = "the same model" if report.same_model else "another model"
    lines = [
        f"{report.model_name} version {report.model_version}, trained again: {verdict}",
        f"  recorded  {report.recorded_digest}",
        f"  rebuilt   {report.rebuilt_digest}",
        f"  metrics   {'identical' if report.same_metrics else 'different'}",
    ]
    width = max(map(len, report.metrics), default=0)
    for name, pair in report.metrics.items():
        change = pair.rebuilt - pair.recorded
        lines.append(f"    {name:<{width}}  {pair.recorded:.6f}  {pair.rebuilt:.6f}  {change:+.2g}")
    if report.differences:
        lines.append("  not as it was")
        lines += [f"    {one.what}: {one.recorded} then, {one.rebuilt} now" for one in report.differences]
    return "\n".join(map(escape_controls, lines))
