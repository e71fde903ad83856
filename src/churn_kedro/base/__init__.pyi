from .parameters import (
    ParameterError as ParameterError,
    Parameters as Parameters,
    UserInputError as UserInputError,
)
from .threads import available_cores as available_cores, training_threads as training_threads
from .versions import library_versions as library_versions
