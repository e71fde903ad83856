"""Parameters of monitoring."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from churn_kedro.base import Parameters
from churn_kedro.campaigns import OptionalTime


class DriftParameters(Parameters):
    """When a change of the customers counts. It must also be larger than chance explains."""

    minimum_distance: float = Field(
        0.1, gt=0, lt=1, description="Smallest Jensen-Shannon distance between two distributions that counts."
    )
    minimum_share: float = Field(
        0.02, gt=0, lt=1, description="Smallest rise of the share of missing, new or out-of-range cells that counts."
    )
    minimum_importance: float = Field(
        0.03,
        ge=0,
        le=1,
        description="Share of a column in the model's importance from which its drift is an alarm; below, a warning.",
    )
    minimum_auc: float = Field(
        0.56,
        gt=0.5,
        lt=1,
        description="Smallest ROC-AUC at which a classifier that tells current from training customers counts.",
    )
    minimum_reconstruction: float = Field(
        0.15,
        gt=0,
        description="Smallest rise of the mean reconstruction error that counts, in its standard deviations.",
    )
    minimum_decision_change: float = Field(
        0.05, gt=0, lt=1, description="Smallest change of the share of customers worth a contact that counts."
    )
    p_value_rows: int = Field(
        5_000, ge=0, description="Rows up to which p-values are given; of more rows, any difference is significant."
    )


class PerformanceParameters(Parameters):
    """When a loss of quality counts. It must also be larger than chance explains."""

    largest_drop: float = Field(
        0.05, gt=0, lt=1, description="Largest fall of ROC-AUC (accuracy, R²) below the training's that is accepted."
    )
    largest_profit_drop: float = Field(
        0.2, gt=0, description="Largest fall of the profit per customer that is accepted, as a share of the training's."
    )
    minimum_calibration_gap: float = Field(
        0.03, gt=0, lt=1, description="Smallest mean difference of predicted and observed shares that counts."
    )
    minimum_outcomes: int = Field(
        100, ge=1, description="Matured outcomes of either class from which realised quality is measured."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of the intervals.")
    resamples: int = Field(500, ge=100, le=10_000, description="Bootstrap resamples.")


class OutcomeParameters(Parameters):
    """Outcomes that arrive after the predictions."""

    maturity_days: float = Field(
        60,
        ge=0,
        description="Days after a prediction from which its outcome is final; declared label_days take precedence.",
    )
    window_days: float = Field(
        30,
        gt=0,
        description="Days before the latest matured prediction whose predictions are measured as a whole; older ones "
        "are shown by period.",
    )
    time_column: str | None = Field(
        None,
        description="Column of the table of outcomes with the time of observation; None: all are observed by the time "
        "of the report.",
    )


class RetrainingParameters(Parameters):
    """When a new model is trained."""

    mode: Literal["off", "plan", "run"] = Field(
        "plan", description="off: never; plan: only say what would be done; run: start the run."
    )
    on: tuple[Literal["data", "performance"], ...] = Field(
        ("performance", "data"), description="Alarms that ask for a new model."
    )
    minimum_new_rows: int = Field(
        1_000, ge=1, description="Labelled rows that the champion was not trained on, from which training is worth it."
    )
    cool_down_days: float = Field(14, ge=0, description="Days after the last trained version without another training.")


class LogTarget(Parameters):
    """The log of the run."""

    kind: Literal["log"]


class WebhookTarget(Parameters):
    """An address that takes Slack's JSON: Slack, Mattermost, Rocket.Chat and others."""

    kind: Literal["webhook"]
    url_variable: str = Field(min_length=1, description="Environment variable with the address, which is a secret.")


class EmailTarget(Parameters):
    """Addresses of e-mail."""

    kind: Literal["email"]
    host: str = Field(min_length=1, description="Server of outgoing mail.")
    port: int = Field(587, ge=1, le=65535, description="Its port.")
    starttls: bool = Field(True, description="Whether the connection is encrypted by STARTTLS.")
    sender: str = Field(min_length=3, description="Address of the sender.")
    recipients: list[str] = Field(min_length=1, description="Addresses of the recipients.")
    username_variable: str | None = Field(None, description="Environment variable with the user name; None: no login.")
    password_variable: str | None = Field(None, description="Environment variable with the password.")


AlertTarget = Annotated[LogTarget | WebhookTarget | EmailTarget, Field(discriminator="kind")]


class AlertParameters(Parameters):
    """Who is told, and when."""

    targets: tuple[AlertTarget, ...] = Field((LogTarget(kind="log"),), description="Where alerts are sent.")
    at_least: Literal["warning", "alarm"] = Field("alarm", description="Verdict from which an alert is sent.")
    repeat_hours: float = Field(
        24, ge=0, description="Hours within which an alert with the same findings is not sent again to a target."
    )
    most_per_day: int = Field(10, ge=1, description="Largest number of alerts to a target within 24 hours.")


class MonitoringParameters(Parameters):
    """Parameters of the monitoring pipeline."""

    as_of: OptionalTime = Field(None, description="Time of the report, ISO 8601; None: now.")
    window_days: float = Field(7, gt=0, description="Days before the report whose predictions are examined.")
    false_alarm_rate: float = Field(
        0.05, gt=0, lt=0.5, description="Largest probability of an alarm although nothing has changed."
    )
    drift: DriftParameters = Field(default_factory=DriftParameters)
    performance: PerformanceParameters = Field(default_factory=PerformanceParameters)
    outcomes: OutcomeParameters = Field(default_factory=OutcomeParameters)
    retraining: RetrainingParameters = Field(default_factory=RetrainingParameters)
    alerts: AlertParameters = Field(default_factory=AlertParameters)
    champion_age_days: float = Field(365, gt=0, description="Age of the champion from which it is named as old.")
    fail_on: Literal["alarm", "warning", "never"] = Field(
        "never", description="Verdict at which `kedro run` ends with exit status 4, for schedulers."
    )
    random_state: int = Field(42, ge=0, description="Seed of samples and simulations.")
