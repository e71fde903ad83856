"""Run the servers of a team: `make stack`, or `python -m deploy.stack`. Ctrl+C stops them."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Literal

import click

from deploy.stack.processes import ServerError, require_alive, started
from deploy.stack.servers import ROOT
from deploy.stack.team import run_team

_FOREVER = 10**9
_LOOK_SECONDS = 1.0


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


@click.command()
@click.option(
    "--s3",
    type=click.Choice(["moto", "ceph"]),
    default="moto",
    show_default=True,
    help="moto keeps objects in memory, so everything is removed at the end; ceph keeps all in --folder.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / ".stack",
    help="Folder of data, passwords and logs. Default: .stack in the project.",
)
@click.option("--tls", "with_tls", is_flag=True, help="TLS in front of MLflow and the service (nginx).")
@click.option("--webhook", metavar="URL", help="Address that receives the alerts of Alertmanager.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(min=1), help="Workers of the service.")
def main(s3: Literal["moto", "ceph"], folder: Path, with_tls: bool, webhook: str | None, workers: int) -> None:
    """Run PostgreSQL, S3, Redis, MLflow, Prometheus, Alertmanager and the scoring service on localhost."""
    signal.signal(signal.SIGTERM, _interrupt)
    begun = time.monotonic()

    def announce(name: str, address: str) -> None:
        click.echo(f"  {name:<16}{address}   ({time.monotonic() - begun:.0f} s)")

    with ExitStack() as stack:
        if s3 == "moto":
            # What names objects must not outlive them.
            folder.mkdir(parents=True, exist_ok=True)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="temporary-")))
        try:
            team = stack.enter_context(
                run_team(
                    folder,
                    ROOT,
                    s3=s3,
                    with_tls=with_tls,
                    webhook=webhook,
                    workers=workers,
                    service_wait=_FOREVER,
                    announce=announce,
                )
            )
            process = stack.enter_context(started(team.service))
            click.echo(f"  {'service':<16}{team.addresses['service']}   as soon as there is a champion")
            click.echo(
                f"\nIn another terminal:\n  set -a; . {folder}/env; set +a\n  kedro run\n"
                "  kedro smoke-test --wait 60\nCtrl+C stops all servers."
                + (" Nothing is kept: --s3 ceph keeps data." if s3 == "moto" else "")
            )
            is_ready = False
            while True:
                require_alive(team.service, process)
                if not is_ready and team.service.is_ready():
                    is_ready = True
                    announce("service", team.addresses["service"])
                time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            click.echo("\nStopping.")
        except ServerError as error:
            click.echo(f"Error: {error}", err=True)
            stack.close()
            sys.exit(1)


if __name__ == "__main__":
    main()
