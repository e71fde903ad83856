"""Digest of a model's content.

skops writes a zip of arrays and a tree of nodes, ``schema.json``. Its bytes differ between equal models: objects and
array files are named by their addresses in memory, every entry carries the time, and a set comes in the order of its
hashes. The digest leaves all of that out.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

if TYPE_CHECKING:
    from churn_kedro.models import Estimator

_SCHEMA = "schema.json"


def model_digest(estimator: Estimator) -> str:
    """Digest of everything that skops stores of an estimator.

    Two models that were trained alike have the same digest, and so has a model that was loaded from its file (except a
    CatBoost model, which writes its metadata in another order then). Whether two equal attributes are one object makes
    no difference.

    Args:
        estimator: A fitted estimator.

    Returns:
        SHA-256 in hexadecimal digits.
    """
    import skops.io

    with ZipFile(io.BytesIO(skops.io.dumps(estimator))) as archive:
        digests = {
            name: hashlib.sha256(_without_padding(name, archive.read(name))).hexdigest()
            for name in archive.namelist()
            if name != _SCHEMA
        }
        schema = archive.read(_SCHEMA)

    def settle(node: dict[str, Any]) -> dict[str, Any]:
        # A dictionary's content may have any keys, but its values are nodes.
        if not isinstance(node.get("__loader__"), str):
            return node
        node.pop("__id__", None)
        node.pop("_skops_version", None)
        if "file" in node:
            node["file"] = digests[node["file"]]
        if node["__loader__"] == "SetNode":
            node["content"].sort(key=json.dumps)
        elif (node["__loader__"], node["__class__"]) == ("ConstructorFromReduceNode", "frozenset"):
            # Its node holds what it is called with: a tuple of one list.
            node["content"]["content"][0]["content"].sort(key=json.dumps)
        return node

    # The hook sees inner nodes first, so sets of sets are in order, too.
    return hashlib.sha256(json.dumps(json.loads(schema, object_hook=settle)).encode()).hexdigest()


def _without_padding(name: str, content: bytes) -> bytes:
    """Fields of a record array one after the other: scikit-learn's trees leave arbitrary memory between them."""
    import numpy as np

    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    return b"".join([str(array.dtype).encode(), *(array[field].tobytes() for field in array.dtype.names)])
