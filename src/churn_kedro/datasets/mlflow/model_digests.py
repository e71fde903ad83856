"""Content digest of a model.

skops writes a zip of arrays and a tree of nodes, ``schema.json``. Its bytes differ between equal models: objects and
array files are named by memory addresses, entries have time stamps, and sets are in order of hash. The digest ignores
these differences.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

if TYPE_CHECKING:
    from churn_estimators.model import CustomerModel

_SCHEMA = "schema.json"


def model_digest(estimator: CustomerModel) -> str:
    """Compute the digest of everything that skops stores of an estimator.

    Models from identical trainings have the same digest, and so has a model loaded from its file (except a CatBoost
    model, which then writes its metadata in another order). The identity of equal attributes does not matter.

    Args:
        estimator: A fitted estimator.

    Returns:
        SHA-256 in hexadecimal digits.

    Examples:
        >>> import numpy as np
        >>> from sklearn.linear_model import LinearRegression
        >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
        >>> model_digest(LinearRegression().fit(X, y)) == model_digest(LinearRegression().fit(X, y))
        True
        >>> model_digest(LinearRegression().fit(X, y)) == model_digest(LinearRegression().fit(X, 2 * y))
        False
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
        # The keys of a dictionary are arbitrary, its values are nodes.
        if not isinstance(node.get("__loader__"), str):
            return node
        node.pop("__id__", None)
        node.pop("_skops_version", None)
        if "file" in node:
            node["file"] = digests[node["file"]]
        if node["__loader__"] == "SetNode":
            node["content"].sort(key=json.dumps)
        elif (node["__loader__"], node["__class__"]) == ("ConstructorFromReduceNode", "frozenset"):
            # The node of a set contains its argument: a tuple of one list.
            node["content"]["content"][0]["content"].sort(key=json.dumps)
        return node

    # Inner nodes are visited first, so nested sets are sorted as well.
    return hashlib.sha256(json.dumps(json.loads(schema, object_hook=settle)).encode()).hexdigest()


def _without_padding(name: str, content: bytes) -> bytes:
    """Pack the fields of a record array, since scikit-learn's trees have uninitialised padding between them."""
    import numpy as np

    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    return b"".join([str(array.dtype).encode(), *(array[field].tobytes() for field in array.dtype.names)])
