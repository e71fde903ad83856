"""Numbers, amounts and names of groups as text, shared by figures and pages."""

from __future__ import annotations

import re

import pandas as pd

from churn_kedro.customers import DisplayNames
from churn_kedro.evaluation import Estimate, Slice

# Smaller numbers are formatted with significant digits.
_SMALL = 5e-4
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}.*(Z|[+-]\d{2}:?\d{2})$")


def write_number(value: float) -> str:
    """Format a metric or an amount of money in few characters.

    Args:
        value: Any number.

    Returns:
        Text with thousands separators, three decimals, or significant digits for small numbers.
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if 0 < abs(value) < _SMALL:
        return f"{value:.2g}"
    # Adding 0 removes the sign of a negative zero.
    return f"{value:.4g}" if abs(value) >= 10 else f"{round(value, 3) + 0.0:.3f}"


def write_money(value: float, currency: str | None = None) -> str:
    """Format an amount of money.

    Args:
        value: Any number.
        currency: Its currency; None: it is not written.

    Returns:
        Text with thousands separators, or two decimals.
    """
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{round(value, 2) + 0.0:.2f}"
    return text if currency is None else f"{text} {currency}"


def write_interval(estimate: Estimate) -> str:
    """Format the bounds of an interval.

    Args:
        estimate: A value with its interval.

    Returns:
        ``0.852 to 0.889``.
    """
    return f"{write_number(estimate.low)} to {write_number(estimate.high)}"


def write_date(time: str) -> str:
    """Write a time for readers.

    Args:
        time: ISO 8601 with offset; other text is returned unchanged.

    Returns:
        ``28 November 2026, 20:29 UTC``.
    """
    if not _ISO_TIME.match(time):
        return time
    moment = pd.Timestamp(time).tz_convert("UTC")
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def name_group(group: Slice, names: DisplayNames) -> str:
    """Name a group of customers for readers.

    Args:
        group: The group.
        names: Names of columns and levels.

    Returns:
        Text such as ``Country of residence: Germany and Age in years 45 to 60``.
    """
    return " and ".join(names.group(one.column, one.text) for one in group.conditions) or group.name
