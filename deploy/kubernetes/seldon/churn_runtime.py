"""Runtime of MLServer for versions of this project, in place of mlserver-mlflow.

mlserver-mlflow 1.7 cannot answer with text of pandas 3, which is the type of ``decision``, and describes the columns of
these models as JSON. This runtime reads and writes columns as ``kedro serve`` does.
"""

from __future__ import annotations

import mlflow.pyfunc
import pandas as pd
from mlserver import MLModel
from mlserver.codecs import PandasCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class ChurnRuntime(MLModel):  # type: ignore[misc]  # MLServer is not installed where types are checked
    """A version that ``kedro models export`` has written."""

    async def load(self) -> bool:
        """Load the version.

        Returns:
            True.
        """
        self._model = mlflow.pyfunc.load_model(await get_model_uri(self.settings))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score the customers of a request.

        Args:
            payload: One input per column.

        Returns:
            One output per field of a prediction.
        """
        scored: pd.DataFrame = self._model.predict(PandasCodec.decode_request(payload))
        text = {str(name): "object" for name in scored.select_dtypes(include=["string"])}
        payload = scored.astype(text)
        return PandasCodec.encode_response(model_name=self.name, model_version=self.version, payload=payload)
