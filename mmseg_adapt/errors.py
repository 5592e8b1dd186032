"""The exception that the command-line tools print as one sentence, and the sentence for any other exception."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake in a config, a file or a command; its message names the cause and the cure."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type's name if the message is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


EXPECTED = (UserError, FileNotFoundError)
UNREGISTERED = re.compile(r'(\S+) is not in the (\S+) registry')  # mmengine's message for a type that does not exist
UNIMPORTED = re.compile(r"Failed to import custom modules from \{'imports': (.+?), 'allow")
FULL = (errno.ENOSPC, errno.EDQUOT)  # a full disk, or a user's full quota
SAME_CONFIG = 'start all ranks with the same config (check model.segmentor and its low_rank)'
CURES = {  # the frameworks' message → what to do
    'DDP expects same model across all ranks': SAME_CONFIG,
    'appears not to match': SAME_CONFIG,  # sizes of a parameter
    'persistent_workers option needs num_workers > 0': 'remove persistent_workers, or set num_workers to 1 or more',
    'prefetch_factor option could only be specified': 'remove prefetch_factor, or set num_workers to 1 or more',
    'Cannot infer the rule for key': "set default_hooks.checkpoint.rule to 'greater' or 'less'",
    'Pillow backend only support uint8': (
        "for images that do not have 8 bits and three bands, set backend='cv2' and interpolation='area' in Resize"
    ),
}


@contextmanager
def one_sentence() -> Iterator[None]:
    """Print a :class:`UserError`, a file system error, or a known framework error as one sentence and exit with 1.

    With ``MMSEG_ADAPT_TRACEBACK=1`` in the environment, show the traceback instead.
    """
    try:
        yield
    except Exception as error:
        if not is_expected(error) or os.environ.get('MMSEG_ADAPT_TRACEBACK') == '1':
            raise
        print(f'error: {sentence(error)}', file=sys.stderr)
        sys.exit(1)


def is_expected(error: BaseException) -> bool:
    """Whether :func:`sentence` tells the user all they need."""
    if isinstance(error, KeyError):
        return bool(UNREGISTERED.search(str(error)))
    if isinstance(error, ImportError):
        return bool(UNIMPORTED.search(str(error)))
    return isinstance(error, EXPECTED) or _of_the_disk(error) or _cure(error) is not None


def _cure(error: BaseException) -> str | None:
    return next((cure for words, cure in CURES.items() if words in str(error)), None)


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Add the file being written to an ``OSError`` of the block; a full disk does not name it."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def sentence(error: BaseException) -> str:
    """The message, without what PyTorch's data loader adds to a worker's error."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f'{error.filename} does not exist: copy or link it there, or change the path in the config'
    if isinstance(error, OSError) and _of_the_disk(error):
        return _disk_sentence(error)
    if isinstance(error, KeyError):
        name, registry = UNREGISTERED.search(str(error)).groups()
        name = name.strip('"\'')
        return (
            f'type = {name!r} is not in the registry {registry}: correct it in the config, or add the module that '
            'registers it to custom_imports'
        )
    if isinstance(error, ImportError):
        names = UNIMPORTED.search(str(error)).group(1)
        return f'custom_imports in the config lists {names}, which cannot be imported: install it, or remove it'
    last = str(error).strip().splitlines()[-1].split('UserError: ')[-1]
    cure = None if isinstance(error, UserError) else _cure(error)
    return f'{last}: {cure}' if cure else last


def _of_the_disk(error: BaseException) -> bool:
    return isinstance(error, OSError) and (error.filename is not None or error.errno in FULL)


def _disk_sentence(error: OSError) -> str:
    place = error.filename or 'a file (the work dir, or a folder for output)'
    if error.errno in FULL:
        return f'{place} cannot be written, because the disk is full: free some space, then start again'
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f'{place} cannot be opened or written ({error.strerror}): change the permissions, or choose another place'
        )
    return f'{place}: {error.strerror}'
