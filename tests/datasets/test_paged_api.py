"""Claims about tables of HTTP APIs, read from a real server page by page."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError

from churn_kedro.datasets.paged_api import PagedApiDataset
from tests.ingestion_cases import PagedApi, paged_api

ROWS = [{"Id": number, "City": f"c{number % 3}", "Code": f"{number:03d}"} for number in range(10)]


@pytest.fixture
def api() -> Iterator[PagedApi]:
    """Ten rows in pages of four, each with the number of all rows and the next page."""
    with paged_api(ROWS, 4, _wrapped) as opened:
        yield opened


def _wrapped(rows: list[dict[str, Any]], number: int, url: str) -> dict[str, Any]:
    following = f"{url}?cursor={number + 2}" if number < 2 else None
    return {"data": {"rows": rows}, "total": 10, "next": {"url": following, "cursor": following and number + 2}}


def _dataset(api: PagedApi, folder: Path, **arguments: Any) -> PagedApiDataset:
    waits = arguments.pop("waits", [])
    given = {"page_parameter": "page", "rows": "data.rows", "sleep": waits.append} | arguments
    return PagedApiDataset(url=api.url, pages=str(folder / "pages"), **given)


def _read(dataset: PagedApiDataset) -> pd.DataFrame:
    return pd.concat(list(dataset.load()), ignore_index=True)


@pytest.mark.parametrize(
    ("paging", "asked"),
    [
        # Without a total, the table ends with an empty page.
        ({}, [{"page": "1"}, {"page": "2"}, {"page": "3"}, {"page": "4"}]),
        ({"total": "total"}, [{"page": "1"}, {"page": "2"}, {"page": "3"}]),
        (
            {"page_parameter": None, "offset_parameter": "offset", "total": "total"},
            [{"offset": "0"}, {"offset": "4"}, {"offset": "8"}],
        ),
        ({"page_parameter": None, "next_page": "next.url"}, [{}, {"cursor": "2"}, {"cursor": "3"}]),
        (
            {"page_parameter": None, "next_page": "next.cursor", "cursor_parameter": "cursor"},
            [{}, {"cursor": "2"}, {"cursor": "3"}],
        ),
    ],
)
def test_each_way_of_paging_gives_the_whole_table(
    api: PagedApi, tmp_path: Path, paging: dict[str, Any], asked: list[dict[str, str]]
) -> None:
    table = _read(_dataset(api, tmp_path, **paging))

    assert table.to_dict("records") == ROWS
    assert api.asked == asked
    assert not (tmp_path / "pages").exists()


def test_text_stays_text_and_whole_numbers_with_missing_ones_stay_whole(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"Id": 2**60 + 1, "Code": "007", "Tags": ["a", "ü"]}, {"Id": None, "Code": "NA"}]
    with paged_api(rows, 2) as api:
        table = _read(_dataset(api, tmp_path, rows=""))

    assert table["Id"].tolist() == [2**60 + 1, pd.NA]
    assert table["Code"].tolist() == ["007", "NA"]
    assert table["Tags"].iloc[0] == '["a", "ü"]'


def test_a_request_is_repeated_after_an_error_of_the_server_and_a_lost_connection(
    api: PagedApi, tmp_path: Path
) -> None:
    waits: list[float] = []
    api.faults = {1: (500, {}), 2: 0.5, 3: (429, {"Retry-After": "7"}), 5: 0.0}

    table = _read(_dataset(api, tmp_path, total="total", waits=waits))

    assert table.to_dict("records") == ROWS
    assert waits == [1.0, 2.0, 7.0, 1.0]


def test_the_server_may_name_the_time_of_the_next_request_but_not_an_endless_wait(
    api: PagedApi, tmp_path: Path
) -> None:
    waits: list[float] = []
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    api.faults = {0: (503, {"Retry-After": later}), 1: (503, {"Retry-After": "9999"}), 2: (503, {"Retry-After": "?"})}

    _read(_dataset(api, tmp_path, total="total", waits=waits))

    assert 50 < waits[0] <= 60
    assert waits[1:] == [120.0, 4.0]


def test_a_load_that_fails_halfway_continues_after_its_last_page(api: PagedApi, tmp_path: Path) -> None:
    api.faults = {2: (500, {}), 3: (500, {})}
    with pytest.raises(DatasetError, match=r"status 500, also after 1 repetitions\. The pages that have arrived are"):
        _read(_dataset(api, tmp_path, total="total", retries=1))

    table = _read(_dataset(api, tmp_path, total="total"))

    assert table.to_dict("records") == ROWS
    # The first page is asked for again, whether it has changed; the second one is not.
    assert [query["page"] for query in api.asked[4:]] == ["1", "3"]


@pytest.mark.parametrize("changed", ["first page", "request", "age"])
def test_pages_of_another_table_or_of_long_ago_are_not_used(api: PagedApi, tmp_path: Path, changed: str) -> None:
    next(iter(pages := _dataset(api, tmp_path, total="total").load()))
    next(pages)
    further: dict[str, Any] = {}
    if changed == "first page":
        api.rows = [{**row, "City": "new"} for row in ROWS]
    elif changed == "request":
        further["parameters"] = {"country": "FR"}
    else:
        further["keep_hours"] = 0.0
    api.asked.clear()

    table = _read(_dataset(api, tmp_path, total="total", **further))

    assert table.to_dict("records") == api.rows
    assert [query["page"] for query in api.asked] == ["1", "2", "3"]


def _rename(rows: list[dict[str, Any]], number: int, _: str) -> list[dict[str, Any]]:
    return [{"Id": row["Id"], "Town": row["City"]} for row in rows] if number else rows


def _retype(rows: list[dict[str, Any]], number: int, _: str) -> list[dict[str, Any]]:
    return [{**row, "Id": str(row["Id"])} for row in rows] if number else rows


@pytest.mark.parametrize(
    ("answer", "arguments", "message"),
    [
        (_rename, {}, "127.0.0.1: The columns change on page 2: without City, Code and with Town. All parts"),
        (_retype, {}, "Page 2 has cells of another type than the pages before: .*Id.*int64 vs string"),
        (lambda rows, *_: [{**row, "Id": "?" if row["Id"] == 1 else row["Id"]} for row in rows], {}, "'Id': int, str"),
        (lambda rows, *_: {"rows": rows, "n": 11}, {"rows": "rows", "total": "n"}, "11 rows are announced, but .* 10"),
        (lambda rows, *_: {"rows": rows}, {"rows": "rows", "total": "n"}, "no whole number at 'n'"),
        (lambda rows, *_: {"items": rows}, {"rows": "rows"}, "no list of objects at 'rows': .* with the keys items"),
        (lambda *_: ROWS, {}, "Page 2 has the same rows as the page before"),
        (
            lambda rows, *_: {"rows": rows, "next": "http://elsewhere.example/2?key=x"},
            {"rows": "rows", "next_page": "next", "page_parameter": None},
            "next page is at another host or protocol, http://elsewhere.example/2; expected",
        ),
    ],
)
def test_a_page_that_does_not_fit_is_an_error_and_the_next_load_begins_anew(
    tmp_path: Path, answer: Any, arguments: dict[str, Any], message: str
) -> None:
    with paged_api(ROWS, 4, answer) as api:
        dataset = _dataset(api, tmp_path, **{"rows": "", **arguments})

        with pytest.raises(DatasetError, match=message):
            _read(dataset)

    assert not (tmp_path / "pages").exists()


def test_a_token_is_sent_and_a_refusal_does_not_show_it(api: PagedApi, tmp_path: Path) -> None:
    api.token = "Bearer t0ken-PLANTED"  # noqa: S105 - planted
    credentials = {"headers": {"Authorization": api.token}}
    table = _read(_dataset(api, tmp_path, total="total", credentials=credentials))
    api.token = "Bearer another"  # noqa: S105 - planted

    with pytest.raises(DatasetError, match=r"127\.0\.0\.1 answers with status 401\. Check `url`, ") as raised:
        _read(_dataset(api, tmp_path, total="total", credentials=credentials))

    assert len(table) == 10
    assert "PLANTED" not in str(raised.value) + str(_dataset(api, tmp_path, credentials=credentials))


def test_user_and_password_of_the_address_are_sent_and_not_shown(api: PagedApi, tmp_path: Path) -> None:
    api.token = "Basic YWRhOnAwc3MtUExBTlRFRA=="  # noqa: S105 - planted
    api.url = api.url.replace("http://", "http://ada:p0ss-PLANTED@")

    dataset = _dataset(api, tmp_path, page_parameter=None, next_page="next.cursor", cursor_parameter="cursor")

    assert len(_read(dataset)) == 10
    assert "PLANTED" not in str(dataset)


def test_two_ways_of_paging_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="exactly one of page_parameter"):
        PagedApiDataset(url="http://x", pages=str(tmp_path), page_parameter="page", offset_parameter="offset")
