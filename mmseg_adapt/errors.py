"""The one exception that the command-line tools print as a single sentence."""


class UserError(ValueError):
    """A mistake in a config, a file or a command; its message names the culprit and the cure."""
