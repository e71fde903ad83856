"""Claims about names, configuration and documentation of the project."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.pipelines import MAIN_JOB
from tests import ROOT

CONF = ROOT / "conf"
USE_CASES = sorted(path.parent.name for path in CONF.glob("*/globals.yml"))
PARAMETER_FILES = sorted((CONF / "base" / "parameters").glob("*.yml"))
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
NODES = sorted((ROOT / "src" / "churn_kedro" / "pipelines").glob("*/nodes.py"))
PACKAGE = ROOT / "src" / "churn_kedro"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.pyi"))
# The transcoded suffix names the dataset that reads or writes, not the data.
PARAMETER = re.compile(r"^(params:|parameters$)")


def _context(env: str | None) -> KedroContext:
    bootstrap_project(ROOT)
    with KedroSession.create(project_path=ROOT, env=env) as session:
        assert isinstance(session, KedroSession)
        return session.load_context()


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Isolate the tests from the tracking store of the project."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{(tmp_path_factory.mktemp('mlflow') / 'mlflow.db').as_posix()}")
        yield


@pytest.fixture(scope="module", params=USE_CASES)
def catalog(request: pytest.FixtureRequest, own_store: None) -> DataCatalog:
    catalog = _context(None if request.param == "base" else request.param).catalog
    assert isinstance(catalog, DataCatalog)
    return catalog


@pytest.fixture(scope="module")
def registered() -> dict[str, Pipeline]:
    bootstrap_project(ROOT)
    return dict(pipelines)


def test_pipelines_are_named_like_their_folders(registered: dict[str, Pipeline]) -> None:
    folders = {path.parent.name for path in NODES}

    assert set(registered) - {"__default__"} == folders
    assert set(MAIN_JOB) <= folders


def test_the_default_pipeline_is_the_main_job(registered: dict[str, Pipeline]) -> None:
    expected = {node.name for name in MAIN_JOB for node in registered[name].nodes}

    assert {node.name for node in registered["__default__"].nodes} == expected


def test_each_node_is_tagged_with_its_pipeline_and_named_by_a_verb_phrase(registered: dict[str, Pipeline]) -> None:
    for name, pipeline in registered.items():
        for node in pipeline.nodes:
            if name != "__default__":
                assert node.tags == {name}
                assert node.namespace == name
            assert re.fullmatch(r"[a-z_]+\.[a-z]+(_[a-z]+)+", node.name), node.name


def test_the_champion_is_scored_with_only_after_the_promotion(registered: dict[str, Pipeline]) -> None:
    order = [node.name for node in registered["__default__"].nodes]

    assert order.index("registry.describe_promotion") < order.index("inference.score_new_customers")
    assert order.index("training.train_model") < order.index("evaluation.score_test_customers")


def test_every_dataset_of_a_pipeline_is_in_the_catalog(catalog: DataCatalog, registered: dict[str, Pipeline]) -> None:
    for pipeline in registered.values():
        for name in pipeline.datasets():
            if not PARAMETER.match(name):
                assert name in catalog, name
                assert catalog.get(name) is not None


def test_every_catalog_entry_is_used(catalog: DataCatalog, registered: dict[str, Pipeline]) -> None:
    used = {name for pipeline in registered.values() for name in pipeline.datasets()}
    entries = {name for name in catalog.keys() if not PARAMETER.match(name)}  # noqa: SIM118 - no Mapping

    assert entries <= used


def test_every_catalog_entry_has_a_layer(registered: dict[str, Pipeline]) -> None:
    for path in (CONF / "base" / "catalog").glob("*.yml"):
        for name, entry in yaml.safe_load(re.sub(r"\$\{[^}]*\}", "x", path.read_text(encoding="utf-8"))).items():
            if not name.startswith("_"):
                assert entry["metadata"]["kedro-viz"]["layer"], name


def test_configuration_files_are_named_like_pipelines(registered: dict[str, Pipeline]) -> None:
    allowed = set(registered) - {"__default__"}

    assert {path.stem for path in (CONF / "base" / "catalog").glob("*.yml")} == allowed
    assert {path.stem for path in PARAMETER_FILES} <= allowed | {"customers", "features", "campaigns", "serving"}


def _leaves(value: Any, name: str) -> list[str]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{name}.{key}" if name else key)]
    return [name]


def test_every_parameter_is_used(catalog: DataCatalog, registered: dict[str, Pipeline]) -> None:
    used = {
        name.removeprefix("params:")
        for pipeline in registered.values()
        for name in pipeline.datasets()
        if PARAMETER.match(name)
    }
    # The service is a command, not a pipeline.
    for path in [path for path in PARAMETER_FILES if path.stem != "serving"]:
        for leaf in _leaves(yaml.safe_load(path.read_text(encoding="utf-8")), ""):
            parts = leaf.split(".")
            above = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
            assert above & used, f"no node takes {leaf}"


@pytest.mark.parametrize(
    "path", [path for path in PARAMETER_FILES if path.stem != "customers"], ids=lambda path: path.stem
)
def test_every_parameter_has_a_comment_above_it(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for position, line in enumerate(lines):
        if re.match(r"^\s+[\w]+:\s*\S", line):
            assert lines[position - 1].lstrip().startswith("#"), f"{path.name}:{position + 1} {line.strip()}"


@pytest.mark.slow
def test_a_use_case_declares_its_whole_table_and_takes_nothing_from_base(own_store: None) -> None:
    for use_case in USE_CASES:
        own = yaml.safe_load((CONF / use_case / "parameters" / "customers.yml").read_text(encoding="utf-8"))[
            "customers"
        ]
        loader = _context(use_case).config_loader
        assert loader["parameters"]["customers"] == CustomerDeclaration.model_validate(own)
        assert loader["globals"]["customers"] == own


def test_a_node_takes_at_most_seven_inputs(registered: dict[str, Pipeline]) -> None:
    for pipeline in registered.values():
        for node in pipeline.nodes:
            assert len(node.inputs) <= 7, node.name


def _imports(path: Path) -> Iterator[ast.ImportFrom]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("churn_kedro."):
            yield node


@pytest.mark.slow
def test_a_package_is_imported_through_its_exports_alone() -> None:
    for path in SOURCES:
        own = path.relative_to(PACKAGE).parts[0]
        for node in _imports(path):
            _, package, *modules = (node.module or "").split(".")
            if package in PACKAGES and package != own:
                assert not modules, f"{path.relative_to(ROOT)}:{node.lineno} imports the module {node.module}"


@pytest.mark.slow
def test_every_export_exists_and_is_used_by_another_package_or_by_the_configuration() -> None:
    used = {
        (node.module, alias.name)
        for path in SOURCES
        for node in _imports(path)
        if (node.module or "").split(".")[1] != path.relative_to(PACKAGE).parts[0]
        for alias in node.names
    }
    # Sources that users choose are in the catalog entries of a guide, which are tested.
    for path in [*CONF.glob("**/*.yml"), ROOT / "docs" / "ingestion.md"]:
        used |= set(re.findall(r"\b(churn_kedro\.\w+)\.([A-Z]\w+)", path.read_text(encoding="utf-8")))
    for package in PACKAGES:
        module = import_module(f"churn_kedro.{package}")
        for name in module.__all__:
            assert getattr(module, name) is not None
            # Kedro looks for the command line by itself.
            assert (f"churn_kedro.{package}", name) in used or package == "cli", f"{package}.{name} is not used"


def _imported_packages() -> dict[str, set[str]]:
    """Packages that each package imports."""
    found: dict[str, set[str]] = {}
    for path in SOURCES:
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.module if isinstance(node, ast.ImportFrom) else None
            names = [name] if name else [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in names:
                first, *rest = module.split(".")
                if first == "churn_estimators" or (first == "churn_kedro" and rest and rest[0] != own):
                    found.setdefault(own, set()).add(rest[0] if first == "churn_kedro" else first)
    return found


@pytest.mark.slow
def test_the_drawn_import_graph_is_that_of_the_code() -> None:
    imported = _imported_packages()

    def below(package: str) -> set[str]:
        direct = imported.get(package, set())
        return direct | {name for one in direct for name in below(one)}

    # An arrow that follows from others is left out.
    expected = {
        (package, name)
        for package, direct in imported.items()
        for name in direct
        if not any(name in below(other) for other in direct - {name})
    }
    text = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
    drawn = {
        (chain[position], chain[position + 1])
        for line in re.findall(r"^    (\w+(?: --> \w+)+)$", text, flags=re.MULTILINE)
        for chain in [line.split(" --> ")]
        for position in range(len(chain) - 1)
    }
    assert drawn == expected


# Words that were replaced by terms of the field; see docs/house.md for the terms.
REPLACED = re.compile(
    r"\b(mend(able|s|ed|ing)?|conclusions|surroundings|standing|twins?|coronation|judg\w+|later_steps|learned_customers"
    r"|lent|lends?|publication|publish\w*|the world|slept|whoever|somebody|at hand|unawares)\b",
    re.IGNORECASE,
)


def test_words_that_were_replaced_do_not_come_back() -> None:
    files = [*SOURCES, *(ROOT / "src" / "churn_estimators").glob("*.py"), *CONF.rglob("*.yml"), *DOCUMENTS]
    files += (PACKAGE / "reporting" / "templates").iterdir()
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found = REPLACED.search(line)
            assert found is None, f"{path.relative_to(ROOT)}:{number} says '{found[0] if found else ''}'"


def test_a_package_has_a_docstring_of_one_sentence() -> None:
    for package in PACKAGES:
        text = import_module(f"churn_kedro.{package}").__doc__ or ""
        assert text.count(".") == 1, package
        assert "\n" not in text, package


@pytest.mark.slow
def test_building_the_pipelines_loads_nothing_heavy() -> None:
    script = (
        "import sys; from churn_kedro.pipelines import MAIN_JOB; from importlib import import_module\n"
        "for name in MAIN_JOB: import_module(f'churn_kedro.pipelines.{name}').create_pipeline()\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert "pandas" in loaded
    assert not {"sklearn", "xgboost", "optuna", "shap", "matplotlib", "pandera", "mlflow", "joblib"} & set(loaded)


@pytest.mark.slow
def test_starting_a_run_loads_nothing_heavy(own_store: None) -> None:
    # kedro-mlflow makes every dataset of the catalog when a run starts.
    script = (
        "import sys; from pathlib import Path; import churn_kedro.cli.main\n"
        "from kedro.framework.session import KedroSession; from kedro.framework.startup import bootstrap_project\n"
        "bootstrap_project(Path.cwd())\n"
        "with KedroSession.create(project_path=Path.cwd()) as session: session.load_context().catalog\n"
        "print(*sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = run.stdout.split()

    assert "churn_kedro.datasets.figure_folders" in loaded
    heavy = {"sklearn", "xgboost", "optuna", "shap", "matplotlib", "pandera", "skops", "onnxruntime"}
    heavy |= {"churn_kedro.cli.models", "churn_kedro.cli.serve", "churn_kedro.serving.application"}
    assert not heavy & set(loaded)


def test_two_use_cases_never_share_a_folder_or_a_model() -> None:
    names = [
        yaml.safe_load(re.sub(r"\$\{[^}]*\}", "x", (CONF / case / "globals.yml").read_text(encoding="utf-8")))[
            "use_case"
        ]
        for case in USE_CASES
    ]

    assert len(set(names)) == len(names)


def _public_functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


@pytest.mark.parametrize("path", NODES, ids=lambda path: path.parent.name)
def test_node_functions_fit_on_a_screen_and_document_arguments_and_results(path: Path) -> None:
    for function in _public_functions(path):
        text = ast.get_docstring(function) or ""
        assert (function.end_lineno or 0) - function.lineno < 60, function.name
        assert "Returns:" in text or "Yields:" in text, function.name
        assert not function.args.args or "Args:" in text, function.name
        assert function.returns is not None
        assert all(argument.annotation is not None for argument in function.args.args)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_are_valid(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), f"{path.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{path.name} links to {target}"


def test_commands_in_the_readme_name_pipelines_and_targets_that_exist(registered: dict[str, Pipeline]) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))

    for names in re.findall(r"--pipelines ([\w,]+)", text):
        assert set(names.split(",")) <= set(registered), names
    for target in re.findall(r"^make ([\w-]+)", text, flags=re.MULTILINE):
        assert target in targets, target


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_committed_without_output(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs"), path.name
        assert cell.get("execution_count") is None, path.name


def _pinned(lock: str) -> set[str]:
    """Names and versions of a lock, each with a hash and none with an address."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    return set(re.findall(r"^(\S+==\S+).*\\\n    --hash=sha256:", text, flags=re.MULTILINE))


def test_the_locks_pin_every_direct_dependency_with_hashes_and_no_address() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    run, serve, dev, gpu = (_pinned(f"requirements{name}.lock") for name in ("", "-serve", "-dev", "-gpu"))

    for requirements, lock in ((project["dependencies"], run), ([*project["dependencies"], *extras], dev)):
        names = {pin.partition("==")[0] for pin in lock}
        for requirement in requirements:
            name = re.match(r"[A-Za-z0-9_-]+", requirement)
            assert name is not None
            assert name[0].lower().replace("_", "-") in names, requirement
    assert run < serve < dev
    assert {pin for pin in gpu if not pin.startswith(("xgboost", "nvidia"))} < run
    assert "catboost" not in str(sorted(run))
