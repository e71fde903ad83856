"""Create users of an MLflow server: `NAME=PASSWORD` lines on standard input; those that exist stay as they are.

The server is MLFLOW_TRACKING_URI, the administrator MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping

_CONFLICT_CODE = "RESOURCE_ALREADY_EXISTS"


def create_users(users: Iterable[tuple[str, str]], environment: Mapping[str, str]) -> None:
    """Create users.

    Args:
        users: Names and passwords; MLflow wants twelve characters at least.
        environment: Variables with the server's address and the administrator.

    Raises:
        SystemExit: The server refuses; the message has no password.
    """
    server = environment["MLFLOW_TRACKING_URI"].rstrip("/")
    given = f"{environment['MLFLOW_TRACKING_USERNAME']}:{environment['MLFLOW_TRACKING_PASSWORD']}"
    headers = {
        "Authorization": "Basic " + base64.b64encode(given.encode()).decode(),
        "Content-Type": "application/json",
    }
    context = ssl.create_default_context(cafile=environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))
    for name, password in users:
        body = json.dumps({"username": name, "password": password}).encode()
        request = urllib.request.Request(f"{server}/api/2.0/mlflow/users/create", body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30, context=context):  # noqa: S310
                pass
        except urllib.error.HTTPError as error:
            answer = error.read().decode(errors="replace")
            if _CONFLICT_CODE not in answer:
                raise SystemExit(f"MLflow refuses to create the user {name} (status {error.code}).") from None


if __name__ == "__main__":
    lines = [line.rstrip("\n") for line in sys.stdin if line.strip()]
    create_users([(name, password) for name, _, password in (line.partition("=") for line in lines)], os.environ)
