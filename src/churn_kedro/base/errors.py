"""Errors that a user can correct; the command line shows them without a traceback."""


class UserInputError(ValueError):
    """Invalid input of a user; the message states what was found, what was expected and how to correct it."""


class ParameterError(UserInputError):
    """An invalid parameter."""
