"""Claims about the set-up of DVC; the round trip is in tests/end_to_end/test_data_versions.py."""

import configparser
import re

import yaml

from tests import ROOT


def test_every_requirement_has_a_version_and_hashes() -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "deploy/dvc/requirements.txt").read_text(encoding="utf-8").strip())
    packages = [one for one in entries if not one.startswith("#")]

    assert all(re.match(r"\S+==\S+", one) and "--hash=sha256:" in one for one in packages)
    assert {"dvc", "dvc-s3"} <= {one.partition("==")[0] for one in packages}


def test_the_committed_configuration_reports_no_usage_and_has_no_credentials() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc" / "config")

    assert config["core"]["analytics"] == "false"
    assert {key for name in config.sections() if name != "core" for key in config[name]} == {"url"}


def test_each_stage_keeps_its_former_tables_until_they_are_replaced() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

    outputs = [out for stage in stages.values() for out in stage["do"]["outs"]]
    assert len(outputs) == 5
    assert all(options == {"persist": True} for out in outputs for options in out.values())
