"""The one exception that the command-line tools print as a single sentence."""


class UserError(ValueError):
    """A mistake in a config, a file or a command; its message names the culprit and the cure."""


def first_line(error: BaseException) -> str:
    """Of its message; its type where that is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
