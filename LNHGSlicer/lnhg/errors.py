"""Errors a user can cause or mend; each message is one sentence that says what is wrong and what to do."""


class LNHGError(Exception):
    """Base of all errors shown to a person; the command line prints the message and exits with `exit_code`."""

    exit_code = 2


class InputError(LNHGError):
    """The CT, a seed, a region or an option cannot be used."""


class WeightsError(LNHGError):
    """A weights file or its manifest is missing, damaged, foreign or tampered with."""


class Cancelled(LNHGError):
    """The person, or the program that called, stopped the run."""

    exit_code = 130
