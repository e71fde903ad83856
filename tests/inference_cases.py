"""Scoring of a table by the inference pipeline, with its files in a folder of the test."""

from pathlib import Path
from typing import Any

from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from churn_kedro.campaigns.parameters import BandParameters, CampaignParameters, InferenceParameters
from churn_kedro.customers.declaration import CustomerDeclaration
from churn_kedro.datasets.campaign_lists import CampaignListDataset
from churn_kedro.datasets.figure_folders import FiguresDataset
from churn_kedro.datasets.optional_tables import OptionalTableDataset
from churn_kedro.datasets.prediction_log import PredictionLogDataset
from churn_kedro.datasets.report_folders import EarlierReportsDataset, ReportFolderDataset
from churn_kedro.datasets.scored_tables import ScoredTableDataset
from churn_kedro.datasets.tables import TableDataset
from churn_kedro.models.interface import RegisteredModel, TrainedModel
from churn_kedro.monitoring.parameters import MonitoringParameters
from churn_kedro.pipelines import inference


class Kept(MemoryDataset):
    """Stays after the last node that reads it, so that a test can look at it."""

    def _release(self) -> None:
        pass


INFERENCE = InferenceParameters(bands=BandParameters(medium=0.3, high=0.6), max_unscored_share=0.05)
CAMPAIGNS = CampaignParameters(objective="f1")


def registered(trained: TrainedModel, version: int = 4) -> RegisteredModel:
    """A version of a trained model, without a registry."""
    return RegisteredModel(
        name="test_churn",
        version=version,
        model_id=f"m-{version}",
        run_id="r",
        tags=trained.facts,
        estimator=trained.estimator,
    )


def score(
    raw: Any,
    model: RegisteredModel,
    declaration: CustomerDeclaration,
    folder: Path,
    parameters: InferenceParameters = INFERENCE,
    campaigns: CampaignParameters = CAMPAIGNS,
) -> dict[str, Any]:
    """Run the inference pipeline.

    Args:
        raw: Customers to score.
        model: The version.
        declaration: The table's declaration.
        folder: Folder of the files.
        parameters: Parameters of inference.
        campaigns: Capacity and budget.

    Returns:
        What each dataset has after the run, by name.
    """
    pipeline = inference.create_pipeline()
    batches = str(folder / "batches")
    catalog = DataCatalog(
        {
            "new_customers": MemoryDataset(raw, copy_mode="assign"),
            "champion_model@registry": MemoryDataset(model, copy_mode="assign"),
            "params:customers": MemoryDataset(declaration),
            "params:inference": MemoryDataset(parameters),
            "params:campaigns": MemoryDataset(campaigns),
            "params:monitoring": MemoryDataset(MonitoringParameters()),
            # There is no such file, so it is None.
            "champion_reference": OptionalTableDataset(filepath=str(folder / "absent.csv")),
            "scored_customers": ScoredTableDataset(filepath=str(folder / "scored.parquet")),
            "unscored_customers": TableDataset(filepath=str(folder / "unscored.csv")),
            "predictions": TableDataset(filepath=str(folder / "predictions.parquet")),
            "campaign_list": CampaignListDataset(filepath=str(folder / "campaign.csv")),
            "earlier_batches": EarlierReportsDataset(
                filepath=batches, model="churn_kedro.campaigns.BatchReport", order="scored_at"
            ),
            "batch_report": ReportFolderDataset(filepath=batches, key="batch_id"),
            "batch_figures": FiguresDataset(filepath=str(folder / "figures")),
            "prediction_log@inference": PredictionLogDataset(url=f"sqlite:///{folder}/log.db"),
        }
    )
    made = pipeline.all_outputs()
    for name in made:
        if name not in catalog:
            catalog[name] = Kept(copy_mode="assign")
    kept = {name: catalog.get(name) for name in made}
    SequentialRunner().run(pipeline, catalog)
    return {name: dataset.load() for name, dataset in kept.items() if dataset is not None and dataset.exists()}
