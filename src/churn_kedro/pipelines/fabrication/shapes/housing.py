"""Census districts in the shape of the public table of California's house prices.

    log(value)     = log_value(district) + noise,  noise ~ Normal(0, NOISE)
    house value    = exp(log(value)) in whole hundreds of dollars; above 500,000 it is recorded as 500,001
    expected value = mean of the recorded value given the district, in closed form (`expected_house_value`)

The recorded values are capped as in the public table, so the expected value is that of a capped log-normal variable:
it is what the best prediction by squared error would be. Rounding to hundreds moves it by far less than a dollar in
the mean, because the noise is hundreds of times wider than the steps.

The true process (coefficients in `HousingEffects`, formula in `log_house_value`):

* income raises values, the most where it is low (it enters as a logarithm).
* place: inland is cheapest, the bay and the ocean are dearer, the island is dearest.
* nearness to Los Angeles or San Francisco raises values and decays with the distance: longitude and latitude matter
  together and not one by one.
* people per household lower values; old districts are slightly dearer.
* total_rooms, total_bedrooms, population and households have no effect of their own; population counts through people
  per household alone. A missing total_bedrooms carries no information.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from churn_kedro.pipelines.fabrication.shapes.draws import FloatArray, TextArray
from churn_kedro.pipelines.fabrication.shapes.interface import FabricatedCustomers, FabricationParameters

# Standard deviation of the noise in log-dollars.
NOISE: Final = 0.18
VALUE_STEP: Final = 100
VALUE_CAP: Final = 500_001
OLDEST_YEARS: Final = 52
MISSING_BEDROOMS: Final = 0.01
# Kilometres in a degree of latitude, and of longitude in the middle of California.
KILOMETRES_PER_DEGREE: Final = (111.0, 89.0)
# Latitude and longitude.
CITIES: Final = {"Los Angeles": (34.05, -118.24), "San Francisco": (37.77, -122.42)}


@dataclass(frozen=True)
class Place:
    """Where districts of one proximity to the ocean lie.

    Attributes:
        share: Share of all districts. The island's is larger than in the public table, where it has 5 of 20,640
            districts: a small sample should have some.
        log_value: Effect on the log of the house value, against INLAND.
        towns: Latitude and longitude of the towns around which the districts scatter, all equally likely.
        spread: Standard deviation of the scatter in degrees.
    """

    share: float
    log_value: float
    towns: tuple[tuple[float, float], ...]
    spread: float


PLACES: Final = {
    "<1H OCEAN": Place(0.443, 0.42, ((34.05, -118.25), (34.10, -118.00), (33.80, -117.95), (37.30, -121.90)), 0.12),
    "INLAND": Place(0.316, 0.0, ((38.60, -121.40), (36.75, -119.75), (34.05, -117.30), (35.35, -119.00)), 0.30),
    "ISLAND": Place(0.002, 0.95, ((33.38, -118.42),), 0.03),
    "NEAR BAY": Place(0.110, 0.50, ((37.78, -122.30), (37.95, -122.40)), 0.08),
    "NEAR OCEAN": Place(0.129, 0.65, ((32.75, -117.15), (33.85, -118.35), (34.42, -119.70), (36.60, -121.90)), 0.08),
}


@dataclass(frozen=True)
class HousingEffects:
    """Coefficients of the housing shape's true process, in log-dollars.

    Attributes:
        base: Log-dollars of a new inland district far from both cities, with an income of 10,000 dollars.
        log_income: Effect of an e-fold income.
        city: Effect of being in Los Angeles or San Francisco, against far away.
        city_kilometres: Kilometres over which the effect of the nearer city falls by a factor of e.
        crowding: Effect of an e-fold number of people per household.
        decade_of_age: Effect of 10 more years of median age.
    """

    base: float = 10.85
    log_income: float = 0.78
    city: float = 0.45
    city_kilometres: float = 40.0
    crowding: float = -0.25
    decade_of_age: float = 0.02


HOUSING_EFFECTS: Final = HousingEffects()


def fabricate_districts(parameters: FabricationParameters) -> FabricatedCustomers:
    """Draw districts with known expected house values.

    Args:
        parameters: Numbers of districts and seed.

    Returns:
        The districts; the truth has one column `expected_value`, in whole dollars. The table has no id, so the truth
        belongs to the districts by its order.
    """
    # Separate random streams, so that the labelled districts do not depend on the number of new ones.
    labelled_rng, value_rng, new_rng = np.random.default_rng(parameters.seed).spawn(3)
    labelled = _draw_districts(labelled_rng, parameters.rows)
    log_value = log_house_value(labelled)
    value = np.exp(log_value + value_rng.normal(0, NOISE, size=parameters.rows))
    recorded = np.rint(value / VALUE_STEP).astype(np.int64) * VALUE_STEP
    # The public table has its target before its last column.
    labelled.insert(len(labelled.columns) - 1, "median_house_value", np.minimum(recorded, VALUE_CAP))
    truth = pd.DataFrame({"expected_value": np.rint(expected_house_value(log_value)).astype(np.int64)})
    return FabricatedCustomers(labelled=labelled, new=_draw_districts(new_rng, parameters.new_rows), truth=truth)


def log_house_value(districts: pd.DataFrame, effects: HousingEffects = HOUSING_EFFECTS) -> FloatArray:
    """Return the mean of the log of a district's house value before it is capped.

    Args:
        districts: Columns longitude, latitude, housing_median_age, population, households, median_income and
            ocean_proximity.
        effects: Coefficients of the process.

    Returns:
        Shape (n,); one value per district, in the order of the rows.
    """
    place = districts["ocean_proximity"].map({name: place.log_value for name, place in PLACES.items()})
    people_per_household = districts["population"] / districts["households"]
    log_value: FloatArray = (
        effects.base
        + effects.log_income * np.log(districts["median_income"].to_numpy(dtype=np.float64))
        + place.to_numpy(dtype=np.float64)
        + effects.city * np.exp(-_kilometres_to_a_city(districts) / effects.city_kilometres)
        + effects.crowding * np.log(people_per_household.to_numpy(dtype=np.float64))
        + effects.decade_of_age * districts["housing_median_age"].to_numpy(dtype=np.float64) / 10
    )
    return log_value


def expected_house_value(log_value: FloatArray, noise: float = NOISE, cap: float = VALUE_CAP) -> FloatArray:
    """Return the mean of min(exp(log_value + noise), cap).

    Args:
        log_value: Shape (n,); mean of the log of the house value.
        noise: Standard deviation of the log of the house value.
        cap: Largest value that is recorded.

    Returns:
        Shape (n,); expected recorded values in dollars.
    """
    from scipy.special import ndtr

    z = (np.log(cap) - log_value) / noise
    # The mean below the cap, by the partial expectation of a log-normal variable, and the cap itself above it.
    expected: FloatArray = np.exp(log_value + noise**2 / 2) * ndtr(z - noise) + cap * ndtr(-z)
    return expected


def _kilometres_to_a_city(districts: pd.DataFrame) -> FloatArray:
    """Return the distance to the nearer one of the two cities, on a map that is flat."""
    north, east = KILOMETRES_PER_DEGREE
    distances = [
        np.hypot((districts["latitude"] - latitude) * north, (districts["longitude"] - longitude) * east)
        for latitude, longitude in CITIES.values()
    ]
    nearest: FloatArray = np.min(np.asarray(distances, dtype=np.float64), axis=0)
    return nearest


def _draw_positions(rng: np.random.Generator, proximity: TextArray) -> tuple[FloatArray, FloatArray]:
    """Draw latitude and longitude of each district around a town of its proximity, to a hundredth of a degree."""
    which = rng.random(len(proximity))
    scatter = rng.normal(size=(len(proximity), 2))
    position = np.zeros((len(proximity), 2))
    for name, place in PLACES.items():
        here = proximity == name
        town = np.floor(which[here] * len(place.towns)).astype(np.int64)
        position[here] = np.asarray(place.towns)[town] + place.spread * scatter[here]
    position = np.round(position, 2)
    return position[:, 0], position[:, 1]


def _draw_districts(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw all columns but the target. Income is in tens of thousands of dollars."""
    proximity = rng.choice(tuple(PLACES), size=rows, p=[place.share for place in PLACES.values()])
    latitude, longitude = _draw_positions(rng, proximity)
    age = np.clip(np.rint(rng.normal(28.6, 13.5, size=rows)), 1, OLDEST_YEARS).astype(np.int64)
    income = np.round(np.clip(rng.lognormal(np.log(3.53), 0.45, size=rows), 0.4999, 15.0001), 4)
    households = np.clip(np.rint(rng.lognormal(np.log(410), 0.62, size=rows)), 3, 6_000).astype(np.int64)
    # Richer households have more rooms, and not more bedrooms.
    rooms = np.rint(households * rng.lognormal(np.log(5.2), 0.2, size=rows) * (income / 3.53) ** 0.25)
    bedrooms = np.rint(households * rng.lognormal(np.log(1.06), 0.06, size=rows))
    population = np.rint(households * rng.lognormal(np.log(2.85), 0.25, size=rows))
    bedrooms[rng.random(rows) < MISSING_BEDROOMS] = np.nan
    return pd.DataFrame(
        {
            "longitude": longitude,
            "latitude": latitude,
            "housing_median_age": age,
            "total_rooms": rooms.astype(np.int64),
            "total_bedrooms": bedrooms,
            "population": np.maximum(population, 1).astype(np.int64),
            "households": households,
            "median_income": income,
            "ocean_proximity": proximity,
        }
    )
