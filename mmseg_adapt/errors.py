"""The one exception that the command-line tools print as a single sentence, and the sentence of any other."""


class UserError(ValueError):
    """A mistake in a config, a file or a command; its message names the culprit and the cure."""


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its type's name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
