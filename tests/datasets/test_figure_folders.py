"""Figures of an evaluation share a folder that holds nothing else."""

import base64
from pathlib import Path

import mlflow
import pytest
from kedro_mlflow.io.artifacts import MlflowArtifactDataset
from matplotlib.figure import Figure
from matplotlib.image import imread

from churn_kedro.datasets.figure_folders import FiguresDataset


def _figures(*names: str) -> dict[str, Figure]:
    figures = {}
    for name in names:
        figures[f"{name}.png"] = Figure()
        figures[f"{name}.png"].add_subplot().set_title(name)
    return figures


@pytest.fixture
def dataset(tmp_path: Path) -> FiguresDataset:
    return FiguresDataset(filepath=(tmp_path / "performance").as_posix())


def test_figures_of_another_task_do_not_stay_behind(dataset: FiguresDataset, tmp_path: Path) -> None:
    dataset.save(_figures("roc_curve", "confusion_matrix"))
    dataset.save(_figures("residual_distribution"))

    assert [path.name for path in (tmp_path / "performance").iterdir()] == ["residual_distribution.png"]


@pytest.mark.slow
@pytest.mark.parametrize("names", [["one"], ["one", "two", "three", "four"]])
def test_the_preview_is_one_image_of_all_figures(names: list[str], dataset: FiguresDataset) -> None:
    dataset.save(_figures(*names))

    image = base64.b64decode(str(dataset.preview()))

    assert image.startswith(b"\x89PNG")


def test_a_single_figure_is_a_file_of_the_resolution_that_is_asked_for(tmp_path: Path) -> None:
    dataset = FiguresDataset(filepath=(tmp_path / "new" / "gate.png").as_posix(), dpi=50)
    assert not dataset.exists()

    dataset.save(Figure(figsize=(4, 2)))

    assert imread(tmp_path / "new" / "gate.png").shape[:2] == (100, 200)
    assert base64.b64decode(str(dataset.preview())) == (tmp_path / "new" / "gate.png").read_bytes()


def test_figures_are_logged_as_a_folder(tracking: str, tmp_path: Path) -> None:
    dataset = MlflowArtifactDataset(
        dataset={
            "type": "churn_kedro.datasets.figure_folders.FiguresDataset",
            "filepath": (tmp_path / "performance").as_posix(),
        },
        artifact_path="figures",
    )

    with mlflow.start_run() as run:
        dataset.save(_figures("roc_curve", "confusion_matrix"))

    logged = mlflow.MlflowClient().list_artifacts(run.info.run_id, "figures/performance")
    assert sorted(entry.path for entry in logged) == [
        "figures/performance/confusion_matrix.png",
        "figures/performance/roc_curve.png",
    ]
