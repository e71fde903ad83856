"""The command line of the installed package: ``python -m churn_kedro run`` is ``kedro run``.

The package contains no configuration and no sample tables: run it in a folder with ``conf``, or name the archive that
``kedro package`` makes with ``--conf-source``.
"""

from pathlib import Path

from kedro.framework.project import configure_project


def main() -> None:
    """Run a command of this project."""
    configure_project(Path(__file__).parent.name)
    from churn_kedro.cli import cli

    cli(prog_name="python -m churn_kedro")


if __name__ == "__main__":
    main()
