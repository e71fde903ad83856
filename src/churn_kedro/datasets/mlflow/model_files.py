"""A model's file that is the same to the byte when the model is the same.

skops writes a zip of arrays and a tree of nodes, ``schema.json``. Numbers and names of objects in it are addresses in
memory, every entry carries the time, a set comes in the order of its hashes, and an object that is referred to from
several places is written in full at each of them, though ``skops.io.load`` reads the first and takes it for the others.
Here the same tree is written without any of that. No object is made and none of its code runs.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo

    from churn_kedro.models import Estimator

# Name that MLflow's sklearn flavor gives the file.
_FILE = "model.skops"
_SCHEMA = "schema.json"
# The earliest time that a zip entry can have.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
# What cannot change, like a frozenset. Whether two of them are one object depends on how Python came by them, and
# nothing depends on it.
_VALUES = frozenset({"DTypeNode", "FunctionNode", "JsonNode", "TupleNode", "TypeNode"})
# Order in which skops reads the parts of a node, which is not the order in which it writes them.
_READ_FIRST = ("key_types", "content")

Node = dict[str, Any]


@dataclass(frozen=True)
class ModelFile:
    """What tells one model file from another.

    Attributes:
        sha256: Digest of the file, in hexadecimal digits.
        n_bytes: Its size.
    """

    sha256: str
    n_bytes: int


def canonical(data: bytes) -> bytes:
    """Rewrite a skops file so that its bytes depend on the model alone.

    It loads as the given one does: of what can change, what was one object stays one object.

    Args:
        data: A skops file.

    Returns:
        The same model as a skops file. The bytes are given by the model, the version of skops and the one of Python's
        zip format; rewriting them again changes nothing.
    """
    with ZipFile(io.BytesIO(data)) as archive:
        contents = {name: _without_padding(name, archive.read(name)) for name in archive.namelist()}
    schema: Node = json.loads(contents.pop(_SCHEMA))
    names = {name: hashlib.sha256(content).hexdigest() + Path(name).suffix for name, content in contents.items()}
    _settle(schema, names)
    _number(schema)
    # Arrays of the same content share a file; each is read into an array of its own.
    files = {names[name]: content for name, content in contents.items()}
    written = io.BytesIO()
    with ZipFile(written, "w") as archive:
        for name in sorted(files):
            archive.writestr(_entry(name), files[name])
        archive.writestr(_entry(_SCHEMA), json.dumps(schema, separators=(",", ":")))
    return written.getvalue()


def _without_padding(name: str, content: bytes) -> bytes:
    """Zero what lies between the fields of a record: scikit-learn's trees keep there whatever was in memory."""
    import numpy as np

    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)
    for field in array.dtype.names:
        clean[field] = array[field]
    written = io.BytesIO()
    np.save(written, clean, allow_pickle=False)
    return written.getvalue()


def _entry(name: str) -> ZipInfo:
    # Not compressed: what a compressor makes of the same bytes depends on its version.
    entry = ZipInfo(name, _TIMESTAMP)
    entry.compress_type = ZIP_STORED
    entry.create_system = 3
    entry.external_attr = 0o600 << 16
    return entry


def _parts(value: Any) -> Iterator[Any]:
    """What a node is made of, in the order in which skops reads it."""
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        first = [key for key in _READ_FIRST if key in value] if _is_node(value) else []
        yield from (value[key] for key in (*first, *(key for key in value if key not in first)))


def _is_node(value: Any) -> bool:
    # The content of a dictionary has any keys, but its values are nodes.
    return isinstance(value, dict) and isinstance(value.get("__loader__"), str)


def _settle(value: Any, names: dict[str, str]) -> None:
    """Name files by their content and put the elements of sets in order, from the inside out."""
    for part in _parts(value):
        _settle(part, names)
    if not _is_node(value):
        return
    if "file" in value:
        value["file"] = names[value["file"]]
    if value["__loader__"] == "SetNode":
        value["content"].sort(key=_text)
    elif _is_frozenset(value):
        _frozen(value).sort(key=_text)


def _is_frozenset(node: Node) -> bool:
    return (node["__loader__"], node["__class__"]) == ("ConstructorFromReduceNode", "frozenset")


def _frozen(node: Node) -> list[Node]:
    """Elements of a frozenset, whose node holds what it is called with: a tuple of one list."""
    elements: list[Node] = node["content"]["content"][0]["content"]
    return elements


def _text(value: Any) -> str:
    """A node as text, without the numbers of objects."""
    return json.dumps(_without_numbers(value), sort_keys=True)


def _without_numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_numbers(part) for part in value]
    if isinstance(value, dict):
        dropped = {"__id__"} if _is_node(value) else set()
        return {key: _without_numbers(part) for key, part in value.items() if key not in dropped}
    return value


def _number(schema: Node) -> None:
    """Number what can change and is referred to more than once, in the order of reading, and write it only once."""
    first: dict[int, Node] = {}
    later: dict[int, list[Node]] = {}
    _find_repeated(schema, first, later)
    repeated = [number for number in first if number in later]
    for node in first.values():
        del node["__id__"]
    for new, number in enumerate(repeated, start=1):
        first[number]["__id__"] = new
        for node in later[number]:
            node.clear()
            # skops's own way to say so.
            node.update(__class__=None, __module__=None, __loader__="CachedNode", __id__=new)


def _find_repeated(value: Any, first: dict[int, Node], later: dict[int, list[Node]]) -> None:
    if _is_node(value) and "__id__" in value:
        if value["__loader__"] in _VALUES or _is_frozenset(value):
            del value["__id__"]
        elif value["__id__"] in first:
            later.setdefault(value["__id__"], []).append(value)
            return
        else:
            first[value["__id__"]] = value
    for part in _parts(value):
        _find_repeated(part, first, later)


def describe(data: bytes) -> ModelFile:
    """Digest and size of a model file.

    Args:
        data: The file.

    Returns:
        Both.
    """
    return ModelFile(hashlib.sha256(data).hexdigest(), len(data))


def model_digest(estimator: Estimator) -> str:
    """The digest that the file of an estimator has once it is logged.

    Args:
        estimator: A fitted estimator.

    Returns:
        SHA-256 of the file, in hexadecimal digits.
    """
    import skops.io

    return describe(canonical(skops.io.dumps(estimator))).sha256


class _CanonicalFlavor:
    """MLflow's sklearn flavor, with the file rewritten before MLflow stores it; what it writes names the flavor itself.

    Attributes:
        written: The file it wrote last.
    """

    written: ModelFile

    def save_model(self, path: str, mlflow_model: Any, **arguments: Any) -> None:
        """Write the model to a folder, as ``mlflow.models.Model.log`` wants it."""
        import mlflow.sklearn

        mlflow.sklearn.save_model(path=path, mlflow_model=mlflow_model, **arguments)
        file = Path(path) / _FILE
        former = file.read_bytes()
        data = canonical(former)
        file.write_bytes(data)
        self.written = describe(data)
        mlflow_model.model_size_bytes += len(data) - len(former)
        mlflow_model.save(str(Path(path) / "MLmodel"))


def log_model(estimator: Estimator, **arguments: Any) -> tuple[ModelInfo, ModelFile]:
    """Log an estimator to the active run as ``mlflow.sklearn.log_model`` does, in a canonical skops file.

    Args:
        estimator: A fitted estimator.
        **arguments: Those of ``mlflow.sklearn.log_model`` beyond model and serialization format.

    Returns:
        What MLflow says of the logged model, and what its file is.
    """
    from mlflow.models import Model

    flavor = _CanonicalFlavor()
    info = Model.log(
        artifact_path=None,
        flavor=flavor,
        flavor_name="mlflow.sklearn",
        sk_model=estimator,
        serialization_format="skops",
        **arguments,
    )
    return info, flavor.written
