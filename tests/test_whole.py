"""What is written replaces what it should, whole or not at all; nothing else on the disk changes."""

import os
from pathlib import Path

import pytest

from mmseg_adapt.errors import UserError
from mmseg_adapt.files import whole
from mmseg_adapt.files.whole import WRITTEN, AtomicBackend, staged, write_whole


def write_folder(out, overwrite=False) -> None:
    with staged(out, overwrite, folder=True) as folder:
        (folder / 'new').write_text('new')
        (folder / 'sub').mkdir()
        (folder / 'sub/new').write_text('new')


def write_file(out, overwrite=False) -> None:
    with staged(out, overwrite) as file:
        file.write_text('new')


def tree(folder: Path) -> dict[str, str | None]:
    paths = (p for p in folder.rglob('*') if p.name != WRITTEN)
    return {str(p.relative_to(folder)): p.read_text() if p.is_file() else None for p in paths}


NEW = {'new': 'new', 'sub': None, 'sub/new': 'new'}


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
        (write_file, 'old', True, 'old is a folder, but the output is a file'),
        (write_folder, 'file', True, 'file is a file, but the output is a folder'),
        (write_folder, 'old', False, 'old exists: choose another name, or pass --overwrite'),
        (write_file, 'file', False, 'file exists: choose another name, or pass --overwrite'),
        (write_folder, '.', False, '. exists: choose another name'),
        (
            write_folder,
            'old',
            True,
            r'old contains files that mmseg_adapt did not write \(mine\), and --overwrite never',
        ),
        (write_folder, '.', True, '. contains files that mmseg_adapt did not write'),
        (write_file, 'absent/file', False, 'absent is not a folder: create it first'),
        (write_file, 'file/file', False, 'file is not a folder: create it first'),
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
    before = {name: os.stat(name).st_ino for name in ('empty', 'target')}
    for name in ('empty', 'link', 'fresh'):
        write_folder(name)
        write_folder(name, overwrite=True)
    for name in ('empty', 'target', 'fresh'):
        assert tree(here / name) == NEW
    assert {name: os.stat(name).st_ino for name in before} == before
    assert Path(here / 'link').is_symlink()
    (here / 'here').mkdir()
    monkeypatch.chdir(here / 'here')
    write_folder('.')
    write_folder('.', overwrite=True)
    assert tree(here / 'here') == NEW


def test_overwriting_replaces_what_a_tool_wrote_and_keeps_every_other_file(here):
    with staged('out', folder=True) as folder:
        for name in ('stale', 'new', 'gone/deep/stale', 'sub/stale'):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text('old')
    foreign = {'notes.txt': 'mine', 'sub/notes.txt': 'mine'}
    for name, text in foreign.items():
        (here / 'out' / name).write_text(text)
    write_folder('out', overwrite=True)
    assert tree(here / 'out') == {**NEW, **foreign}
    assert not [p for p in (here / 'out').iterdir() if p.name.startswith('.part-')]


def test_a_new_file_never_takes_the_place_of_anothers(here):
    with staged('out', folder=True) as folder:
        (folder / 'first').write_text('old')
    (here / 'out/new').write_text('mine')
    before = tree(here / 'out')
    with pytest.raises(UserError, match=r'another program wrote new\): the new content is in') as error:
        write_folder('out', overwrite=True)
    kept = Path(str(error.value).rsplit(' ', 1)[1])
    assert (kept / 'out/new').read_text() == 'new'
    assert {name: text for name, text in tree(here / 'out').items() if not name.startswith('.part-')} == before
    with staged('out', overwrite=True, folder=True) as folder:  # what could not be moved stays
        (folder / 'other').write_text('x')
    assert (kept / 'out/new').read_text() == 'new'


def test_a_list_of_files_from_elsewhere_deletes_nothing_outside_the_folder(here):
    write_folder('out')
    (here / 'out' / WRITTEN).write_text(f'["../file", "{here}/old/mine", "new"]')
    with pytest.raises(UserError, match='another program wrote sub/new'):
        write_folder('out', overwrite=True)
    (here / 'out/sub/new').unlink()
    write_folder('out', overwrite=True)
    assert (here / 'old/mine').read_text() == (here / 'file').read_text() == 'mine'


def test_a_file_is_replaced_and_an_error_in_the_block_leaves_what_was(here):
    write_folder('ours')
    before = tree(here)
    for folder, out in ((True, 'ours'), (False, 'file'), (True, 'fresh')):
        with pytest.raises(KeyError), staged(out, overwrite=True, folder=folder):
            raise KeyError
        assert tree(here) == before
    write_file('file', overwrite=True)
    assert tree(here) == {**before, 'file': 'new'}


@pytest.mark.parametrize('moved', range(4))
def test_neither_the_old_nor_the_new_is_lost_where_the_exchange_fails(moved, here, monkeypatch):
    with staged('ours', folder=True) as folder:
        (folder / 'new').write_text('old')
    before, rename, calls = tree(here / 'ours'), Path.rename, []

    def fail(source, target):
        calls.append(source)
        if len(calls) == moved + 1:
            raise OSError(16, 'Device or resource busy')
        return rename(source, target)

    def fail_to_replace(*_):
        raise OSError(16, 'Device or resource busy')

    monkeypatch.setattr(Path, 'rename', fail)
    monkeypatch.setattr(whole.os, 'replace', fail_to_replace)
    for write, out in ((write_folder, 'ours'), (write_file, 'file')):
        with pytest.raises(UserError, match=rf'{out} cannot be replaced \(.*busy\): the new content is in ') as error:
            write(out, overwrite=True)
        assert 'new' in tree(Path(str(error.value).rsplit(' ', 1)[1])).values()
    assert {name: text for name, text in tree(here / 'ours').items() if not name.startswith('.part-')} == before
    assert (here / 'file').read_text() == 'mine'


def test_where_a_folder_cannot_be_opened_as_on_windows_files_are_written_all_the_same(here, monkeypatch):
    opened = os.open

    def windows(path, flags, *args, **kwargs):
        if not kwargs and Path(path).is_dir():  # shutil.rmtree, which names dir_fd, does without on Windows
            raise PermissionError(13, 'Permission denied', str(path))
        return opened(path, flags, *args, **kwargs)

    monkeypatch.setattr(whole.os, 'open', windows)
    AtomicBackend().put(b'new', here / 'iter_1.pth')
    assert (here / 'iter_1.pth').read_bytes() == b'new'
    write_folder('fresh')
    assert tree(here / 'fresh') == NEW


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_file_and_no_half_of_the_new_one(tmp_path, monkeypatch):
    backend, path, write = AtomicBackend(), tmp_path / 'sub' / 'iter_1.pth', Path.write_bytes
    backend.put(b'old', path)

    def full_disk(path, data):
        write(path, data[:1])
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', full_disk)
    with pytest.raises(OSError, match='No space left'):
        backend.put(b'new', path)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == {'iter_1.pth': b'old'}


def test_the_half_written_checkpoint_of_a_killed_run_is_removed_with_the_next(tmp_path, monkeypatch):
    part = tmp_path / f'.part-{whole._machine()}-{2**22 + 1}-x'  # above Linux's largest process number
    part.mkdir()
    (part / 'iter_1.pth').write_bytes(b'half')
    AtomicBackend().put(b'new', tmp_path / 'iter_2.pth')
    assert [p.name for p in tmp_path.iterdir()] == ['iter_2.pth']


def test_of_two_writers_that_keep_what_is_there_the_first_wins_with_and_without_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(95, 'Operation not supported')

    for name in ('linked', 'unlinked'):
        write_whole(tmp_path, name, b'first', keep=True)
        write_whole(tmp_path, name, b'second', keep=True)
        monkeypatch.setattr(whole.os, 'link', no_links)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == dict(linked=b'first', unlinked=b'first')
