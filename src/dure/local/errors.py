"""What can go wrong in the local world, said so that the reader knows what to do next."""


class LocalError(Exception):
    """`code` is stable and for programs; `remedy`, where there is one, is the next step."""

    def __init__(self, code: str, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()
