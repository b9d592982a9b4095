"""What every error of logkeel is: a code, typed details, an exit code; the tree is in `logkeel.errors.tree`."""

from typing import Any, ClassVar


class LogkeelError(Exception):
    """Root. `code` is stable and documented; `details` are the keyword attributes (JSON values).

    `exit_code` is what a command that ends by this error exits with, one per branch.
    """

    code: ClassVar[str] = "logkeel_error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __getattr__(self, name: str) -> Any:
        details = self.__dict__.get("details", {})
        if name in details:
            return details[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)


def _rebuild(kind: type[LogkeelError], message: str, details: dict[str, Any]) -> LogkeelError:
    error = kind.__new__(kind)
    LogkeelError.__init__(error, message, **details)
    return error
