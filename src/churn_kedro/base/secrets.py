"""Passwords of addresses, hidden in texts.

Passwords are remembered where addresses are read, and replaced in logs, messages and records.
"""

from __future__ import annotations

import html
import json
import re
import string
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

MASK = "***"
# Shorter passwords are hidden in addresses only: elsewhere, they would hide parts of ordinary words and numbers.
_SHORTEST, _WITHIN_WORDS = 4, 8
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PASSWORD = re.compile(r"(://[^\s/@:'\"]*):[^\s/@'\"]+@")
_SECRET_FIELD = re.compile(r"([?&;](?:\w*(?:password|passwd|pwd|secret|token)|sig|key)=)([^&;\s'\"]+)", re.IGNORECASE)
_SECRET_NAME = re.compile(r"passw|pwd|secret|token|key|auth", re.IGNORECASE)
_UNESCAPED = frozenset(string.ascii_letters + string.digits + "_.-~")
_ESCAPED = re.compile(r"%([0-9a-f]{2})", re.IGNORECASE)

_remembered: set[str] = set()


class Address(NamedTuple):
    """An address without its credentials, and the credentials with escapes resolved."""

    without_credentials: str
    user: str | None
    password: str | None


def split_credentials(address: str) -> Address:
    """Separate user and password from an address.

    Args:
        address: Address, such as ``https://user:password@host/path``.

    Returns:
        The parts. A password may contain an unescaped slash; user and password are None where there are none.

    Examples:
        >>> split_credentials("http://ada:p%40ss@mlflow:5000/x")
        Address(without_credentials='http://mlflow:5000/x', user='ada', password='p@ss')
        >>> split_credentials("s3://bucket/a@b")
        Address(without_credentials='s3://bucket/a@b', user=None, password=None)
    """
    credentials = _find_credentials(address)
    if not credentials:
        return Address(address, None, None)
    user, colon, password = credentials.partition(":")
    clean = address.replace(f"://{credentials}@", "://", 1)
    return Address(clean, _unescape(user) or None, _unescape(password) if colon else None)


def _find_credentials(address: str) -> str:
    """Return user and password as they are written; empty if there are none."""
    rest = address.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return authority.rpartition("@")[0]
    # A password may contain a slash; a port is no password.
    if re.match(r"[^/@:]*:[^@]*@", rest) and not re.match(r"[^/@:]*:\d+[/?#]", rest):
        return rest.partition("@")[0]
    return ""


def remember_secret(secret: str | None) -> None:
    """Hide a password from now on, in the forms in which texts contain it.

    Args:
        secret: The password; empty or None: nothing to hide.
    """
    if not secret or len(secret) < _SHORTEST:
        return
    escaped = "".join(chr(byte) if chr(byte) in _UNESCAPED else f"%{byte:02X}" for byte in secret.encode())
    _remembered.update({secret, escaped, html.escape(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]})


def remember_address(address: str) -> None:
    """Hide the credentials of an address from now on.

    Args:
        address: Any address; of one over HTTP, a user without password counts as a token.
    """
    user, colon, password = _find_credentials(address).partition(":")
    token = user if address.startswith("http") else ""
    for secret in (password if colon else token, *(field[2] for field in _SECRET_FIELD.finditer(address))):
        remember_secret(secret)
        remember_secret(_unescape(secret))


def remember_addresses(configuration: Any) -> None:
    """Hide the credentials of all addresses in nested configuration.

    Args:
        configuration: Dictionaries, lists and values.
    """
    if isinstance(configuration, str):
        if _ADDRESS.match(configuration):
            remember_address(configuration)
    elif isinstance(configuration, Mapping):
        for value in configuration.values():
            remember_addresses(value)
    elif isinstance(configuration, Iterable):
        for value in configuration:
            remember_addresses(value)


def remember_credentials(credentials: Any, name: str = "") -> None:
    """Hide the secrets of nested credentials from now on.

    Args:
        credentials: Content of ``credentials.yml``: addresses, and values whose name says that they are secret, such as
            ``password``, ``token`` or ``Authorization``. All values of a list count as secret.
        name: Name of the value.
    """
    if isinstance(credentials, Mapping):
        for key, value in credentials.items():
            remember_credentials(value, str(key))
    elif isinstance(credentials, list):
        for value in credentials:
            remember_credentials(value, "secret")
    elif isinstance(credentials, str) and _ADDRESS.match(credentials):
        remember_address(credentials)
    elif isinstance(credentials, str) and _SECRET_NAME.search(name):
        remember_secret(credentials)
        # The scheme of a header, such as Bearer, is no secret.
        remember_secret(credentials.rpartition(" ")[2])


def has_secrets() -> bool:
    """Return whether there is anything to hide."""
    return bool(_remembered)


def hide_secrets(text: str) -> str:
    """Replace passwords in a text.

    Args:
        text: Any text.

    Returns:
        The text with ``***`` for each remembered password, and for the password of any address.

    Examples:
        >>> hide_secrets("no answer from postgresql://ada:secret@db/mlflow?sslpassword=hush")
        'no answer from postgresql://ada:***@db/mlflow?sslpassword=***'
    """
    if "://" in text:
        text = _SECRET_FIELD.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1:{MASK}@", text))
    # The longest first, since one form may be a part of another.
    for secret in sorted(_remembered, key=len, reverse=True):
        if secret in text:
            pattern = re.escape(secret)
            text = re.sub(pattern if len(secret) >= _WITHIN_WORDS else rf"(?<!\w){pattern}(?!\w)", MASK, text)
    return text


def hide_secrets_within(value: Any) -> Any:
    """Replace passwords in the texts of a nested value.

    Args:
        value: Dictionaries, lists and values.

    Returns:
        A copy; other types are unchanged.
    """
    if isinstance(value, str):
        return hide_secrets(value)
    if isinstance(value, dict):
        return {key: hide_secrets_within(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [hide_secrets_within(inner) for inner in value]
    return value


def _unescape(text: str) -> str:
    raw = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    try:
        return raw.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return raw
