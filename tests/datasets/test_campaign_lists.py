"""The campaign list as CSV and as a workbook."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_kedro.datasets.campaign_lists import CampaignListDataset


@pytest.fixture
def contacts() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "place": [1, 2, 3],
            "Id": ["=1+1", "007", "c"],
            "probability": [0.9, 0.5, np.nan],
            "reason_1": ["@cmd", "", "http://x"],
        }
    )


def test_text_stays_text_in_both_files(contacts: pd.DataFrame, tmp_path: Path) -> None:
    dataset = CampaignListDataset(filepath=str(tmp_path / "list.csv"))

    dataset.save(contacts)

    lines = (tmp_path / "list.csv").read_text().splitlines()
    assert lines[1:] == ["1,'=1+1,0.9,'@cmd", "2,007,0.5,", "3,c,,http://x"]
    loaded = dataset.load()
    assert loaded["Id"].tolist() == ["=1+1", "007", "c"]
    assert loaded["reason_1"].fillna("").tolist() == ["@cmd", "", "http://x"]
    assert loaded["probability"].tolist()[:2] == [0.9, 0.5]
    import zipfile

    with zipfile.ZipFile(tmp_path / "list.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet


def test_equal_lists_are_equal_files(contacts: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        CampaignListDataset(filepath=str(tmp_path / f"{name}.csv")).save(contacts)

    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


def test_the_workbook_ends_at_its_limit_with_a_warning(
    contacts: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = CampaignListDataset(filepath=str(tmp_path / "list.csv"), workbook_rows=2)

    dataset.save(contacts)

    assert len(dataset.load()) == 2
    assert len(pd.read_csv(tmp_path / "list.csv")) == 3
    assert "has the first 2 of 3 customers" in caplog.text


def test_a_list_without_columns_removes_the_files(contacts: pd.DataFrame, tmp_path: Path) -> None:
    dataset = CampaignListDataset(filepath=str(tmp_path / "list.csv"))
    dataset.save(contacts)

    dataset.save(pd.DataFrame())

    assert list(tmp_path.iterdir()) == []
    assert not dataset.exists()
    assert dataset.load().empty
