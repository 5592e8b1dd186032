"""What is written replaces what it should, whole or not at all; nothing else on the disk changes."""

import os
from pathlib import Path

import pytest

from mmseg_adapt.errors import UserError
from mmseg_adapt.files import staging
from mmseg_adapt.files.staging import staged


def write_folder(out, overwrite=False) -> None:
    with staged(out, overwrite, folder=True) as folder:
        (folder / 'new').write_text('new')
        (folder / 'sub').mkdir()


def write_file(out, overwrite=False) -> None:
    with staged(out, overwrite) as file:
        file.write_text('new')


def tree(folder: Path) -> dict[str, str | None]:
    return {str(p.relative_to(folder)): p.read_text() if p.is_file() else None for p in folder.rglob('*')}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder; ``old/mine`` and ``file`` are in it."""
    (tmp_path / 'old').mkdir()
    (tmp_path / 'old/mine').write_text('mine')
    (tmp_path / 'file').write_text('mine')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ('write', 'out', 'overwrite', 'message'),
    [
        (write_file, 'old', True, 'old is a folder, what is to be written is a file'),
        (write_folder, 'file', True, 'file is a file, what is to be written is a folder'),
        (write_folder, 'old', False, 'old exists: choose another name, or pass --overwrite'),
        (write_file, 'file', False, 'file exists: choose another name, or pass --overwrite'),
        (write_folder, '.', False, '. exists: choose another name'),
        (write_folder, '.', True, '. is or holds the current folder'),
        (write_file, 'absent/file', False, 'absent is no folder: make it first'),
        (write_file, 'file/file', False, 'file is no folder: make it first'),
    ],
)
def test_what_must_not_be_replaced_is_refused_before_anything_is_written(write, out, overwrite, message, here):
    before = tree(here)
    with pytest.raises(UserError, match=message):
        write(out, overwrite)
    assert tree(here) == before


def test_a_folder_that_exists_is_filled_where_it_is_through_links_too(here, monkeypatch):
    for name in ('empty', 'target'):
        (here / name).mkdir()
    (here / 'link').symlink_to('target')
    before = {name: os.stat(name).st_ino for name in ('empty', 'target', 'old')}
    for name in ('empty', 'link', 'fresh'):
        write_folder(name)
    write_folder('old', overwrite=True)
    for name in ('empty', 'target', 'fresh', 'old'):
        assert tree(here / name) == {'new': 'new', 'sub': None}
    assert {name: os.stat(name).st_ino for name in before} == before
    monkeypatch.chdir(here / 'target')
    (here / 'target/new').unlink()
    (here / 'target/sub').rmdir()
    write_folder('.')
    assert tree(here / 'target') == {'new': 'new', 'sub': None}
    assert Path(here / 'link').is_symlink()


def test_a_file_is_replaced_and_an_error_in_the_block_leaves_what_was(here):
    before = tree(here)
    for folder, out in ((True, 'old'), (False, 'file'), (True, 'fresh')):
        with pytest.raises(KeyError), staged(out, overwrite=True, folder=folder):
            raise KeyError
        assert tree(here) == before
    write_file('file', overwrite=True)
    assert tree(here) == {**before, 'file': 'new'}


def test_neither_the_old_nor_the_new_is_lost_where_the_exchange_fails(here, monkeypatch):
    def fail(*_, **__):
        raise OSError(16, 'Device or resource busy')

    monkeypatch.setattr(Path, 'rename', fail)
    monkeypatch.setattr(staging.os, 'replace', fail)
    for write, out in ((write_folder, 'old'), (write_file, 'file')):
        with pytest.raises(
            UserError, match=rf'{out} cannot be replaced \(.*busy\): what was written lies in '
        ) as error:
            write(out, overwrite=True)
        assert 'new' in tree(Path(str(error.value).rsplit(' ', 1)[1])).values()
    assert (here / 'old/mine').read_text() == (here / 'file').read_text() == 'mine'
