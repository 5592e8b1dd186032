"""Exported models on the Hugging Face Hub: ``hf://USER/NAME``, or ``hf://USER/NAME@REVISION``.

Downloaded files are never executed: the model is built from model.json, and weights are read as tensors.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

from ..errors import FULL, UserError, first_line
from ..weights.load import UNSAFE, unsafe
from .card import FILES
from .model_json import NAME

PREFIX = 'hf://'
REPOSITORY = re.compile(r'[\w.-]+/[\w.-]+')


def is_hub(name: str | Path) -> bool:
    return str(name).startswith(PREFIX)


def check_push(repository: str) -> None:
    """Raises: UserError: If a later :func:`push` would fail, as far as this can be checked in advance."""
    if not REPOSITORY.fullmatch(repository):
        raise UserError(f'--push {repository} must be USER/NAME, the name of a repository on the Hub')
    if not _library().get_token():
        raise UserError('--push needs an access token for the Hub: run hf auth login, or set HF_TOKEN')


def push(folder: Path, repository: str, private: bool = False) -> str:
    """Upload an exported folder as one commit. The repository is created if it does not exist.

    Returns:
        The address of the repository.

    Raises:
        UserError: If the folder has no model.json, there is no network, or you may not write to the repository.
    """
    if not (folder / NAME).is_file():
        raise UserError(f'{folder} has no {NAME}, so using it would mean running its config: export the model again')
    hub = _library()
    try:
        api = hub.HfApi()
        url = api.create_repo(repository, private=private or None, exist_ok=True)
        files = dict(folder_path=folder, allow_patterns=[*FILES, 'README.md'])
        api.upload_folder(repo_id=repository, commit_message='Export of mmseg_adapt', **files)
    except Exception as error:  # from the library, its HTTP client or the card
        raise UserError(
            f'{folder} is written, but cannot be pushed to {repository} ({_said(error)}): fix that, then run: '
            f'hf upload {repository} {folder}'
        ) from error
    return str(url)


def fetch(name: str) -> Path:
    """Download a model, or find it in the library's cache, and return the folder with the files of one commit.

    Raises:
        UserError: If the name is invalid, the repository, revision or file does not exist, or there is no network.
    """
    repository, _, revision = name.removeprefix(PREFIX).partition('@')
    if not REPOSITORY.fullmatch(repository):
        raise UserError(f'{name} is not the name of a model: write {PREFIX}USER/NAME or {PREFIX}USER/NAME@REVISION')
    if unsafe():
        raise UserError(
            f'{name}: downloaded weights are never allowed to execute code: remove --unsafe, and unset {UNSAFE}'
        )
    hub = _library()
    try:
        found = hub.snapshot_download(
            repository, revision=revision or None, allow_patterns=[NAME, 'model.pth'], library_name='mmseg_adapt'
        )
    except Exception as error:  # from the library or its HTTP client
        raise UserError(f'{name} cannot be downloaded ({_said(error)}): {_cure(error)}') from error
    folder = Path(found)
    if missing := [file for file in (NAME, 'model.pth') if not (folder / file).is_file()]:
        raise UserError(f'{name} has no {missing[0]}: choose a model that was uploaded with mmseg-adapt export --push')
    return folder


def _library() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError:
        raise UserError(f"{PREFIX} and --push need huggingface_hub: run: pip install 'mmseg_adapt[hub]'") from None
    return huggingface_hub


def _said(error: BaseException) -> str:
    """What went wrong, without address and request id; for a chain of errors, the first one."""
    while error.__cause__:
        error = error.__cause__
    response = getattr(error, 'response', None)
    return f'the Hub answered {response.status_code}' if response is not None else first_line(error)


def _cure(error: Exception) -> str:
    kind = type(error).__name__
    if kind == 'RevisionNotFoundError':
        return 'after @, write a branch, a tag or a commit of the repository'
    if kind in ('RepositoryNotFoundError', 'GatedRepoError'):
        return 'check the name; if the repository is private, run hf auth login or set HF_TOKEN'
    if getattr(error, 'errno', None) in FULL:
        return 'free some space, or set HF_HOME to another disk'
    return 'check the network, or export the model to a folder and pass that'
