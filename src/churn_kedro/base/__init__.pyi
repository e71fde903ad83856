from .clock import Clock as Clock, Stopwatch as Stopwatch, perf_counter as perf_counter, utc_now as utc_now
from .errors import ParameterError as ParameterError, UserInputError as UserInputError
from .parameters import Parameters as Parameters, Record as Record
from .secrets import (
    has_secrets as has_secrets,
    hide_secrets as hide_secrets,
    hide_secrets_within as hide_secrets_within,
    remember_address as remember_address,
    remember_addresses as remember_addresses,
    remember_credentials as remember_credentials,
    remember_secret as remember_secret,
    split_credentials as split_credentials,
)
from .terminal import progress_bar as progress_bar, rows_bar as rows_bar, terminal as terminal
from .text import escape_controls as escape_controls, indent_continued as indent_continued, one_line as one_line
from .threads import available_cores as available_cores, training_threads as training_threads
from .times import read_time as read_time
from .versions import find_distribution as find_distribution, library_versions as library_versions
