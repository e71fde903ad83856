from .severity import Severity as Severity
