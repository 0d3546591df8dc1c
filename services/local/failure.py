"""What a person can do something about."""


class Failure(Exception):
    """`message` is one sentence, `hint` what to do next, `details` lines that show it (the end of a log)."""

    def __init__(self, message: str, hint: str = "", details: list[str] | None = None, code: int = 1) -> None:
        super().__init__(message)
        self.message, self.hint, self.details, self.code = message, hint, details or [], code
