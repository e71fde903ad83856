"""Signatures of versions: who may write the registry but has no signing key cannot put a model into production.

A version is signed when it becomes champion. The signature covers the registered model, the number and the digests of
the model file and of the package, and is a tag of the version. Keys are Ed25519 (RFC 8032) in PEM format.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import TYPE_CHECKING

from kedro.io import DatasetError

from churn_kedro.base import ParameterError
from churn_kedro.registry import FILE_DIGEST_TAG

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from mlflow.entities.model_registry import ModelVersion

# Environment variables with the private key, for those who promote, and with the public keys, for those who score.
SIGNING_KEY, VERIFY_KEY = "CHURN_SIGNING_KEY", "CHURN_VERIFY_KEY"
SIGNATURE_TAG = "signature"
# Tag of a version: digest of the package churn_estimators that it was made with.
PACKAGE_DIGEST_TAG = "package_digest"
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def sign_version(version: ModelVersion) -> str | None:
    """Sign a version with the key of the environment.

    Args:
        version: The version.

    Returns:
        The signature in base64; None without ``CHURN_SIGNING_KEY``.

    Raises:
        ParameterError: The key is not an Ed25519 private key in PEM format.
    """
    key = os.environ.get(SIGNING_KEY)
    if not key:
        return None
    return base64.b64encode(_read_private(key).sign(_message(version))).decode()


def require_signature(version: ModelVersion) -> None:
    """Check the signature of a version, if the environment has ``CHURN_VERIFY_KEY``.

    Args:
        version: The version.

    Raises:
        DatasetError: The version is not signed with one of the keys.
        ParameterError: The variable has no Ed25519 public key in PEM format.
    """
    given = os.environ.get(VERIFY_KEY)
    if not given:
        return
    from cryptography.exceptions import InvalidSignature

    what = f"Version {version.version} of {version.name}"
    signature = (version.tags or {}).get(SIGNATURE_TAG)
    if signature is None:
        raise DatasetError(
            f"{what} is not signed, and {VERIFY_KEY} asks for a signature. Promote it where {SIGNING_KEY} is set, or "
            f"unset {VERIFY_KEY} where versions are trained and evaluated."
        )
    for key in _read_public(given):
        try:
            key.verify(base64.b64decode(signature, validate=True), _message(version))
            return
        except (InvalidSignature, binascii.Error):
            continue
    raise DatasetError(
        f"{what} is signed with another key than those of {VERIFY_KEY}, or its tags were changed after it was signed. "
        "It is not loaded: find out who has written to the registry (`kedro models history`)."
    )


def _message(version: ModelVersion) -> bytes:
    tags = version.tags or {}
    parts = (version.name, str(version.version), tags.get(FILE_DIGEST_TAG, ""), tags.get(PACKAGE_DIGEST_TAG, ""))
    return "\n".join(parts).encode()


def _read_private(text: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ParameterError(
            f"{SIGNING_KEY} is no Ed25519 private key in PEM format: `openssl genpkey -algorithm ed25519` makes one."
        )
    return key


def _read_public(text: str) -> list[Ed25519PublicKey]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        keys = [load_pem_public_key(found.encode()) for found in _PEM.findall(text)]
    except ValueError:
        keys = []
    found = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if not found or len(found) < len(keys):
        raise ParameterError(
            f"{VERIFY_KEY} has no Ed25519 public key in PEM format: `openssl pkey -in KEY -pubout` prints one."
        )
    return found
