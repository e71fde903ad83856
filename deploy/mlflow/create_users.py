"""Create users of an MLflow server: `NAME=PASSWORD` lines on standard input; those that exist stay as they are.

The server is MLFLOW_TRACKING_URI, the administrator MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
"""

import os
import sys

from mlflow.exceptions import MlflowException
from mlflow.server import get_app_client


def main() -> None:
    """Create the users."""
    client = get_app_client("basic-auth", os.environ["MLFLOW_TRACKING_URI"])
    for line in filter(str.strip, sys.stdin):
        name, _, password = line.rstrip("\n").partition("=")
        try:
            client.create_user(name, password)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise SystemExit(f"MLflow refuses to create the user {name}: {error.error_code}.") from None


if __name__ == "__main__":
    main()
