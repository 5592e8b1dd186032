"""The one exception that the command-line tools print as a single sentence, and the sentence of any other."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake in a config, a file or a command; its message names the culprit and the cure."""


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its type's name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


EXPECTED = (UserError, FileNotFoundError)
UNREGISTERED = re.compile(r'(\S+) is not in the (\S+) registry')  # what mmengine says of a type that does not exist


@contextmanager
def one_sentence() -> Iterator[None]:
    """Print a :class:`UserError` or a missing file as one sentence and exit with 1.

    With ``MMSEG_ADAPT_TRACEBACK=1`` in the environment the traceback is shown instead.
    """
    try:
        yield
    except (*EXPECTED, KeyError) as error:
        unexpected = isinstance(error, KeyError) and not UNREGISTERED.search(str(error))
        if unexpected or os.environ.get('MMSEG_ADAPT_TRACEBACK') == '1':
            raise
        print(f'error: {sentence(error)}', file=sys.stderr)
        sys.exit(1)


def sentence(error: BaseException) -> str:
    """The message without what PyTorch's data loader adds to an error of a worker."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f'{error.filename} does not exist: put or link it there, or change the path in the config'
    if isinstance(error, KeyError):
        name, registry = UNREGISTERED.search(str(error)).groups()
        name = name.strip('"\'')
        return (
            f'type = {name!r} is not in the registry {registry}: correct it in the config, or name the module that '
            'registers it in custom_imports'
        )
    return str(error).strip().splitlines()[-1].split('UserError: ')[-1]
