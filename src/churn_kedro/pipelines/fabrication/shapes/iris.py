"""Fisher's iris flowers as scikit-learn ships them, and new flowers like them.

The labelled table is the real one, in the order in which scikit-learn ships it, which is by species. True probabilities
are unknown, so the truth is an empty table with a column for each species. A new flower is a labelled one, drawn at
random, with normal noise of 0.2 cm on its four lengths and without its species.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from churn_kedro.pipelines.fabrication.shapes.interface import FabricatedCustomers, FabricationParameters

LENGTHS: Final = ("sepal_length", "sepal_width", "petal_length", "petal_width")
NEW_FLOWER_SPREAD_CM: Final = 0.2
# The table is in whole millimetres, and no petal is thinner than one.
CENTIMETRE_DECIMALS: Final = 1
SHORTEST_CM: Final = 0.1


def fabricate_flowers(parameters: FabricationParameters) -> FabricatedCustomers:
    """Return the real flowers, and draw new ones similar to them.

    Args:
        parameters: Number of new flowers and seed.

    Returns:
        The flowers; the truth has a column for each species and no row.
    """
    from sklearn.datasets import load_iris

    table = load_iris()
    lengths = np.asarray(table.data, dtype=np.float64)
    labelled = pd.DataFrame(lengths, columns=list(LENGTHS))
    labelled["species"] = np.asarray(table.target_names, dtype=object)[table.target]

    rng = np.random.default_rng(parameters.seed)
    near = lengths[rng.integers(len(lengths), size=parameters.new_rows)]
    drawn = np.round(near + rng.normal(0, NEW_FLOWER_SPREAD_CM, size=near.shape), CENTIMETRE_DECIMALS)
    new = pd.DataFrame(np.maximum(drawn, SHORTEST_CM), columns=list(LENGTHS))
    truth = pd.DataFrame({str(species): pd.Series(dtype=np.float64) for species in table.target_names})
    return FabricatedCustomers(labelled=labelled, new=new, truth=truth)
