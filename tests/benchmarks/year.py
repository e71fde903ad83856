"""A simulated year of a bank: weekly batches, outcomes two months late, drifts, alarms, trainings, recovery.

``make simulate-year``, or ``python -m tests.benchmarks.year --folder FOLDER``. It works in a copy of the project, with
its own commands: each week `kedro run --pipelines inference,monitoring`, for the time of that week. The customers are
fabricated, so that the true quality of each week is known.

- For four weeks, the balance arrives in thousands: an alarm on the data in the first of these weeks, none afterwards.
- Later, the relation of age and churn changes, and the columns stay the same. Nothing can be seen without outcomes;
  when those of the changed customers arrive, there is an alarm on quality, and the policy starts a training, whose
  version the gate decides on. By then, a third of the labelled customers are changed ones, so that version is better,
  but not good; its outcomes arrive two months later, and with them the next alarm and training, on changed customers
  only.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from churn_kedro.pipelines.fabrication.shapes import FabricationParameters, fabricate
from churn_kedro.pipelines.fabrication.shapes.drift import Drift
from tests.end_to_end.conftest import Project, clone_project

START = pd.Timestamp("2027-01-04T06:00:00Z")
LABEL_DAYS = 60
# Weeks of labelled customers that the company trains on.
TRAINED_WEEKS = 6
# Few are contacted, and a fifth of those worth it are the holdout, so that outcomes say something soon.
CAMPAIGN = "campaigns.economics.capacity=0.05,inference.holdout_share=0.2"
UNIT = Drift(kind="swapped_unit", column="Balance", size=0.001)
RELATION = Drift(kind="changed_relation", column="Age", size=-1.2)
# Share of the leavers whom a contact keeps; campaigns.economics.save_probability.
SAVED = 0.3


@dataclass
class Week:
    """What happened in a week."""

    number: int
    planted: str
    version: int
    verdict: str
    finding: str
    true_auc: float
    estimated: float | None
    realised: float | None
    trained: str = ""
    champion: int = 0


@dataclass
class Year:
    """The simulated bank."""

    project: Project
    rows: int
    unit_weeks: range
    relation_week: int
    trials: int
    outcomes: list[pd.DataFrame] = field(default_factory=list)
    batches: list[pd.DataFrame] = field(default_factory=list)
    weeks: list[Week] = field(default_factory=list)

    @property
    def table(self) -> Path:
        return self.project.path / "labelled.csv"

    def prepare(self) -> None:
        """Train the first version on labelled customers of the time before, and set the policy."""
        customers = fabricate(FabricationParameters(shape="bank", rows=8000, new_rows=0, seed=7)).labelled
        customers.to_csv(self.table, index=False)
        self.batches.append(customers)
        conf = self.project.path / "conf" / "base"
        parameters = yaml.safe_load((conf / "parameters" / "monitoring.yml").read_text())
        monitoring = parameters["monitoring"]
        # Versions are registered at the present time, which is before that of the simulation.
        monitoring["champion_age_days"] = 10_000
        monitoring["outcomes"] |= {"maturity_days": LABEL_DAYS, "time_column": "observed_at"}
        monitoring["retraining"] |= {
            "mode": "run", "on": ["performance"], "minimum_new_rows": 4 * self.rows, "cool_down_days": 0
        }  # fmt: skip
        (conf / "parameters" / "monitoring.yml").write_text(yaml.safe_dump(parameters))
        catalog = yaml.safe_load((conf / "catalog" / "monitoring.yml").read_text())
        catalog["retraining"]["parameters"] = {"training.search.n_trials": self.trials}
        (conf / "catalog" / "monitoring.yml").write_text(yaml.safe_dump(catalog))
        search = f"training.search.n_trials={self.trials}"
        self.project.kedro("run", "--pipelines", "data_processing,training,evaluation,registry", "--params",
                           f"raw_customers={self.table},{search},{CAMPAIGN}")  # fmt: skip

    def run_week(self, number: int) -> Week:
        """Score the customers of a week, monitor, and let time pass."""
        at = START + pd.Timedelta(weeks=number)
        planted = "unit" if number in self.unit_weeks else "relation" if number >= self.relation_week else ""
        drift = {"unit": UNIT, "relation": RELATION}.get(planted)
        fabricated = fabricate(
            FabricationParameters(shape="bank", rows=self.rows, new_rows=0, seed=1000 + number, drift=drift)
        ).labelled
        path = self.project.path / "week.csv"
        fabricated.drop(columns="Exited").to_csv(path, index=False)
        outcomes = self._write_outcomes(at)
        before = self.project.aliases("bank")["champion"]
        versions = len(self.project.client.search_model_versions("name = 'bank_churn'"))
        ended = self.project.kedro(
            "run", "--pipelines", "inference,monitoring", "--params",
            f"new_customers={path},raw_customers={self.table},outcomes={outcomes},inference.as_of={at.isoformat()},"
            f"monitoring.as_of={(at + pd.Timedelta(hours=1)).isoformat()},{CAMPAIGN}",
            check=False,
        )  # fmt: skip
        if ended.returncode:
            raise SystemExit(f"week {number} failed:\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}")
        week = self._read(number, planted, before, versions, fabricated)
        self._let_pass(fabricated, at)
        self.weeks.append(week)
        return week

    def _read(self, number: int, planted: str, before: int, versions: int, customers: pd.DataFrame) -> Week:
        from sklearn.metrics import roc_auc_score

        reporting = self.project.path / "data" / "08_reporting" / "bank"
        latest = max((reporting / "monitoring_reports").glob("*.json"), key=lambda path: path.name[:10])
        report = json.loads(latest.read_text())
        predictions = pd.read_csv(self.project.path / "data" / "07_model_output" / "bank" / "predictions.csv")
        champion = self.project.aliases("bank")["champion"]
        new = len(self.project.client.search_model_versions("name = 'bank_churn'")) - versions
        trained = "" if not new else "promoted" if champion != before else "trained, not promoted"

        def metric(part: str) -> float | None:
            found = (report[part] or {}).get("metrics", {}).get("roc_auc")
            return None if found is None else found["value"]

        return Week(
            number=number,
            planted=planted,
            version=before,
            verdict=report["verdict"],
            finding=report["findings"][0]["sentence"] if report["findings"] else "",
            true_auc=float(roc_auc_score(customers["Exited"], predictions["probability"])),
            estimated=metric("estimated"),
            realised=metric("realised"),
            trained=trained,
            champion=champion,
        )

    def _let_pass(self, customers: pd.DataFrame, at: pd.Timestamp) -> None:
        """Contact the customers of the list, of whom some stay, and note what all of them do."""
        predictions = pd.read_csv(self.project.path / "data" / "07_model_output" / "bank" / "predictions.csv")
        random = np.random.default_rng(len(self.outcomes))
        contacted = predictions["campaign"].eq("contact").to_numpy()
        saved = contacted & (random.random(len(customers)) < SAVED)
        left = customers["Exited"].where(~saved, 0)
        observed = (at + pd.Timedelta(days=LABEL_DAYS)).isoformat()
        self.outcomes.append(
            pd.DataFrame({"CustomerId": customers["CustomerId"], "Exited": left, "observed_at": observed})
        )
        # What the company trains on: customers whose behaviour no campaign has changed.
        self.batches.append(customers[~contacted].assign(due=observed))

    def _write_outcomes(self, at: pd.Timestamp) -> Path:
        """Write the outcomes that have arrived, and the labelled customers of the last weeks."""
        path = self.project.path / "outcomes.csv"
        columns = ["CustomerId", "Exited", "observed_at"]
        arrived = [part for part in self.outcomes if pd.Timestamp(part["observed_at"].iloc[0]) <= at]
        pd.concat(arrived or [pd.DataFrame(columns=columns)]).to_csv(path, index=False)
        labelled = [part for part in self.batches[1:] if pd.Timestamp(part["due"].iloc[0]) <= at]
        recent = (
            pd.concat([self.batches[0], *labelled]).tail(TRAINED_WEEKS * self.rows).drop(columns="due", errors="ignore")
        )
        recent.to_csv(self.table, index=False)
        return path


def draw(year: Year) -> bytes:
    """Draw the true quality of each week, what monitoring knew, and what happened."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.5), layout="constrained")
    axes = figure.add_subplot()
    weeks = year.weeks
    numbers = [week.number for week in weeks]
    axes.plot(
        numbers, [week.true_auc for week in weeks], color="black", linewidth=1.2, label="true ROC-AUC of the week"
    )
    for attribute, colour, label in (
        ("estimated", "#1f4e79", "estimated without outcomes"),
        ("realised", "#c8553d", "realised, from outcomes two months late"),
    ):
        known = [(week.number, getattr(week, attribute)) for week in weeks if getattr(week, attribute) is not None]
        axes.plot([number for number, _ in known], [value for _, value in known], color=colour, label=label)
    colours = {"ok": "#1a7f37", "warning": "#9a6700", "alarm": "#b3261e"}
    low = min(axes.get_ylim()[0], 0.7)
    for week in weeks:
        axes.plot(week.number, low, "s", color=colours[week.verdict], markersize=7)
    axes.axvspan(
        year.unit_weeks.start - 0.5,
        year.unit_weeks.stop - 0.5,
        color="#9a6700",
        alpha=0.12,
        label="balance in thousands",
    )
    axes.axvspan(
        year.relation_week - 0.5, weeks[-1].number + 0.5, color="#1f4e79", alpha=0.07, label="age has another effect"
    )
    for week in weeks:
        if week.trained:
            axes.axvline(week.number + 0.5, color="black", linestyle=":", linewidth=1)
            text = f"version {week.champion} promoted" if week.trained == "promoted" else "trained, not promoted"
            axes.annotate(
                text, (week.number + 0.6, 1), xycoords=("data", "axes fraction"), rotation=90, va="top", fontsize=9
            )
    axes.set_xlabel("week (squares: verdict of monitoring: green ok, brown warning, red alarm)")
    axes.set_ylabel("ROC-AUC")
    axes.legend(frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 0.06))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def render(year: Year, picture: bytes) -> str:
    """Write the page of the year."""
    from html import escape

    rows = "".join(
        f"<tr><td>{week.number}</td><td>{escape(week.planted)}</td><td>{week.version}</td><td class='{week.verdict}'>"
        f"{week.verdict}</td><td>{week.true_auc:.3f}</td><td>{_write(week.estimated)}</td><td>{_write(week.realised)}</td>"
        f"<td>{escape(week.trained)}</td><td>{escape(week.finding)}</td></tr>"
        for week in year.weeks
    )
    header = "".join(
        f"<th>{name}</th>"
        for name in (
            "week",
            "planted",
            "version",
            "verdict",
            "true ROC-AUC",
            "estimated",
            "realised",
            "training",
            "first finding",
        )
    )
    source = base64.b64encode(picture).decode()
    return (
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>A simulated year</title><style>"
        "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:74rem;padding:0 1rem}img{max-width:100%}"
        "table{border-collapse:collapse;font-size:.85rem}td,th{padding:.25rem .6rem;border-bottom:1px solid #dde3e8;"
        "text-align:left;vertical-align:top}.alarm{color:#b3261e;font-weight:600}.warning{color:#9a6700}.ok{color:#1a7f37}"
        "</style></head><body><h1>A simulated year</h1><p>Weekly batches of a fabricated bank. The balance arrives in "
        f"thousands in weeks {year.unit_weeks.start} to {year.unit_weeks.stop - 1}; from week {year.relation_week} on, "
        f"age has another effect. Outcomes arrive after {LABEL_DAYS} days.</p>"
        f"<img alt='The year' src='data:image/png;base64,{source}'><table><thead><tr>{header}</tr></thead>"
        f"<tbody>{rows}</tbody></table></body></html>"
    )


def _write(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def simulate(folder: Path, weeks: int, rows: int, trials: int, report: Any = print) -> Year:
    """Run the simulation.

    Args:
        folder: Empty folder for the copy of the project.
        weeks: Number of weeks.
        rows: Customers per week.
        trials: Trials of each search.
        report: Takes a line for each week.

    Returns:
        The year, with the page ``year.html`` in the folder.
    """
    scale = weeks / 52
    begin = round(4 * scale)
    year = Year(clone_project(folder), rows, range(begin, begin + max(1, round(4 * scale))), round(14 * scale), trials)
    began = time.perf_counter()
    year.prepare()
    report(f"first version trained, {time.perf_counter() - began:.0f} s")
    for number in range(weeks):
        week = year.run_week(number)
        known = f"true {week.true_auc:.3f}  estimated {_write(week.estimated)}  realised {_write(week.realised):6}"
        report(
            f"week {number:2}  {week.planted or '-':9}version {week.version}  {week.verdict:8}{known}"
            f"{week.trained:22}{week.finding[:90]}"
        )
        (folder / "year.html").write_text(render(year, draw(year)), encoding="utf-8")
    report(f"{time.perf_counter() - began:.0f} s; the story: {folder / 'year.html'}, the last report: "
           f"{folder / 'data/08_reporting/bank/monitoring.html'}")  # fmt: skip
    return year


def main() -> None:
    """Read the arguments and simulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--rows", type=int, default=1000, help="customers per week")
    parser.add_argument("--trials", type=int, default=5, help="trials of each search")
    parser.add_argument("--folder", type=Path, help="empty folder for the copy of the project, which is kept")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="simulated-year-"))
    folder.mkdir(parents=True, exist_ok=True)
    simulate(folder.resolve(), arguments.weeks, arguments.rows, arguments.trials)


if __name__ == "__main__":
    main()
