"""What ends a step without a traceback."""


class Failure(Exception):
    """One line for whoever reads the log: what happened and what to do. Trying again may help, so the step ends with 1, not with 2."""


class Final(Failure):
    """The same, where trying again will not help."""
