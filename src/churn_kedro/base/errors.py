"""Errors that a user can correct; the command line shows them without a traceback."""


class UserInputError(ValueError):
    """Something a user gave that cannot be used; the message says what was found, what was expected and what to do."""


class ParameterError(UserInputError):
    """A parameter that cannot be used."""
