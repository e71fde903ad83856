"""Claims about passwords: found in every form of address, and hidden in every text."""

import pytest

from churn_kedro.base import secrets
from churn_kedro.base.secrets import (
    hide_secrets,
    hide_secrets_within,
    remember_address,
    remember_addresses,
    remember_credentials,
    remember_secret,
    split_credentials,
)


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_remembered", set())


@pytest.mark.parametrize(
    ("address", "clean", "user", "password"),
    [
        ("http://ann:pass@host:5000/x", "http://host:5000/x", "ann", "pass"),
        ("postgresql+pg8000://ann:p%40s%2Fs@db/mlflow", "postgresql+pg8000://db/mlflow", "ann", "p@s/s"),
        ("postgresql://ann:sec/ret@db:5432/mlflow", "postgresql://db:5432/mlflow", "ann", "sec/ret"),
        ("https://token@host", "https://host", "token", None),
        ("http://host:5000/a@b", "http://host:5000/a@b", None, None),
        ("s3://bucket/a@b:c", "s3://bucket/a@b:c", None, None),
        ("sqlite:////tmp/a:b@c.db", "sqlite:////tmp/a:b@c.db", None, None),
        ("/srv/customers.csv", "/srv/customers.csv", None, None),
    ],
)
def test_credentials_are_separated_from_an_address(
    address: str, clean: str, user: str | None, password: str | None
) -> None:
    assert split_credentials(address) == (clean, user, password)


@pytest.mark.parametrize(
    "text",
    [
        "no route to postgresql://ann:s3cr%2F3t-x@db/mlflow",
        "password authentication failed with 's3cr/3t-x'",
        '{"password": "s3cr/3t-x"}',
        "Max retries exceeded with url: /?p=s3cr%2F3t-x",
    ],
)
def test_a_password_is_hidden_as_it_is_written_and_as_it_is_meant(text: str) -> None:
    remember_address("postgresql://ann:s3cr%2F3t-x@db/mlflow")

    hidden = hide_secrets(text)

    assert "3t-x" not in hidden
    assert "***" in hidden


def test_the_password_of_an_unknown_address_is_hidden_and_its_user_is_not() -> None:
    assert hide_secrets("see ftp://ann:hush@host/x, not http://host:80/@ann") == (
        "see ftp://ann:***@host/x, not http://host:80/@ann"
    )


def test_a_short_password_hides_no_part_of_a_word() -> None:
    remember_secret("bank")

    assert hide_secrets("bank_churn of the databank, password bank") == "bank_churn of the databank, password ***"


def test_fields_of_an_address_and_tokens_are_secrets_too() -> None:
    remember_address("postgresql://db/x?user=ann&password=hush-hush&sslmode=require")
    remember_address("https://token-123@host")

    assert hide_secrets("hush-hush, token-123 and require") == "***, *** and require"


def test_addresses_anywhere_in_configuration_are_remembered_and_hidden_in_copies() -> None:
    configuration = {"a": [{"filepath": "ftp://ann:longer-secret@host/x.csv"}], "b": 1}
    remember_addresses(configuration)

    assert hide_secrets_within({"used": ["longer-secret", 2]}) == {"used": ["***", 2]}
    assert configuration["a"] == [{"filepath": "ftp://ann:longer-secret@host/x.csv"}]


def test_credentials_hide_addresses_and_what_is_named_like_a_secret_but_no_names() -> None:
    remember_credentials(
        {
            "database": {"con": "postgresql://ann:pa55-PLANTED@db/crm", "pool_size": 5},
            "bucket": {"key": "k3y-PLANTED", "secret": "s3c-PLANTED", "client_kwargs": {"region_name": "us-east-1"}},
            "api": {"headers": {"Authorization": "Bearer t0k-PLANTED", "Accept": "application/json"}},
            "basic": ["ann-the-user", "b4s-PLANTED"],
        }
    )

    shown = hide_secrets(
        "pa55-PLANTED k3y-PLANTED s3c-PLANTED us-east-1 t0k-PLANTED Bearer t0k-PLANTED application/json b4s-PLANTED"
    )
    assert shown == "*** *** *** us-east-1 *** *** application/json ***"
