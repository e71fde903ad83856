"""Checks of the options of ``kedro run``, before Kedro reads them."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import churn_kedro.pipelines
from churn_kedro.base import ParameterError


def require_known_options(options: Mapping[str, Any]) -> None:
    """Check that each option names something that exists, and is one that the pipelines support.

    Args:
        options: Arguments of ``kedro run`` by name, as Kedro parses them.

    Raises:
        ParameterError: An option names no pipeline, node, tag, dataset, namespace or runner, or is not supported. The
            message contains the nearest name.
    """
    if options["is_async"] or (options["runner_params"] or {}).get("is_async"):
        raise ParameterError(
            "--async is not supported: datasets log to the MLflow run of their thread. Leave it out; loading and "
            "saving take a small part of the time of a run."
        )
    if options["only_missing_outputs"]:
        raise ParameterError(
            "--only-missing-outputs is not supported: a file does not tell of which version or table it is. Run the "
            "pipelines that you need, for example `kedro run --pipelines evaluation,registry`."
        )
    runner = options["runner"]
    if runner and "." not in runner:
        import kedro.runner

        known = [name for name in dir(kedro.runner) if name.endswith("Runner") and not name.startswith("Abstract")]
        _require_known("--runner", [runner], known)
    names = [options["pipeline"]] if options["pipeline"] else list(options["pipelines"] or [])
    folders = [module.name for module in pkgutil.iter_modules(churn_kedro.pipelines.__path__) if module.ispkg]
    _require_known("--pipelines", names, [*folders, "__default__"])
    _require_known_selection(options, names)


def _require_known_selection(options: Mapping[str, Any], names: list[str]) -> None:
    selecting = ("node_names", "from_nodes", "to_nodes", "tags", "namespaces", "from_inputs", "to_outputs")
    if not any(options[option] for option in selecting):
        return
    from kedro.framework.project import pipelines

    # As Kedro's session does before it loads them.
    pipelines.set_requested(names or None)
    nodes = [node for name in names or ["__default__"] for node in pipelines[name].nodes]
    node_names = {node.name for node in nodes}
    inputs = {dataset for node in nodes for dataset in node.inputs}
    outputs = {dataset for node in nodes for dataset in node.outputs}
    _require_known("--nodes", options["node_names"], node_names)
    _require_known("--from-nodes", options["from_nodes"], node_names)
    _require_known("--to-nodes", options["to_nodes"], node_names)
    _require_known("--tags", options["tags"], {tag for node in nodes for tag in node.tags})
    _require_known("--namespaces", options["namespaces"], {str(node.namespace) for node in nodes})
    _require_known("--from-inputs", options["from_inputs"], _with_transcoded(inputs | outputs))
    _require_known("--to-outputs", options["to_outputs"], _with_transcoded(outputs))


def _with_transcoded(datasets: set[str]) -> set[str]:
    """Add the names of transcoded datasets without the part after ``@``."""
    return datasets | {name.partition("@")[0] for name in datasets}


def _require_known(option: str, given: Iterable[str], known: Iterable[str]) -> None:
    known = sorted(known)
    for name in given or ():
        if name in known:
            continue
        # The name of a node begins with its pipeline, which people leave out.
        close = [one for one in known if one.rpartition(".")[2] == name] or get_close_matches(name, known, n=1)
        advice = f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(known)}."
        raise ParameterError(f"{option}: there is no '{name}'. {advice}")
