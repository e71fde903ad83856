"""No credentials are committed: every file is scanned for keys, tokens and passwords in addresses."""

import subprocess

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

from tests import ROOT

# Digests have a high entropy, and settings of passwords the word in their names.
_NOISY = ("Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector")
_SKIPPED = (".csv", ".json", ".lock", ".png", ".txt")
# Passwords of examples in guides and docstrings; those of tests are planted.
_EXAMPLES = {"password", "secret", "p%40ss"}


def _scan(paths: list[str]) -> list[str]:
    kinds: dict[str, type] = get_mapping_from_secret_type_to_class()
    plugins = [{"name": kind.__name__} for kind in kinds.values() if kind.__name__ not in _NOISY]
    secrets = SecretsCollection(root=str(ROOT))
    with transient_settings({"plugins_used": plugins}):
        for path in paths:
            secrets.scan_file(path)
    return [
        f"{path}:{secret.line_number}: {secret.type}"
        for path, secret in secrets
        if secret.type != "Basic Auth Credentials"
        or not (path.startswith("tests/") or secret.secret_value in _EXAMPLES)
    ]


@pytest.mark.slow
def test_no_file_has_a_secret() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    paths = [path for path in listed.stdout.splitlines() if not path.endswith(_SKIPPED)]

    assert len(paths) > 400
    assert _scan(paths) == []


@pytest.mark.parametrize(
    "line",
    [
        'aws_access_key_id = "AKIA' + 'IOSFODNN7EXAMPLQ"',
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "url: postgresql://churn:" + "f9K2xQ77@db/churn",
    ],
)
def test_a_planted_secret_is_found(line: str, request: pytest.FixtureRequest) -> None:
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    path = folder / f"planted_{request.node.callspec.indices['line']}.yml"
    try:
        path.write_text(line + "\n", encoding="utf-8")
        assert len(_scan([str(path.relative_to(ROOT))])) == 1
    finally:
        path.unlink()
