"""tools/render_aan.py and its store on images of 32×48: whole, split, killed, refused."""

import json
import multiprocessing
import os
import random
import runpy
import shlex
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmseg_adapt.cli.render import batches, made_with, parse
from mmseg_adapt.errors import UserError
from mmseg_adapt.files.listing import images_below
from mmseg_adapt.files.whole import _machine
from mmseg_adapt.style import AANStyleTransfer, RenderStore, VGGStyleEncoder
from mmseg_adapt.style.store import MANIFEST, STYLE

from .tiny import REPO, run_tool, tool

STEPS = 20


@pytest.fixture(autouse=True, scope='module')
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # a forked child cannot use the parent's threads
    yield
    torch.set_num_threads(before)


def write_images(folder: Path, count: int, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    for i in range(count):
        file = folder / f'town{i % 2}' / f'{i:03d}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), cv2.resize(rng.integers(0, 256, (8, 12, 3), np.uint8), (48, 32)))
    return folder


@pytest.fixture(scope='module')
def world(tmp_path_factory) -> Path:
    """``source`` (40 images), ``target`` (3), weights, and ``aan.py``."""
    root = tmp_path_factory.mktemp('aan')
    write_images(root / 'source', 40, seed=0)
    write_images(root / 'target', 3, seed=1)
    torch.manual_seed(0)
    torch.save(VGGStyleEncoder(['relu1_1']).features.state_dict(), root / 'vgg.pth')
    aan = dict(
        encoder=dict(
            type='VGGStyleEncoder',
            layers=['relu1_1'],
            init_cfg=dict(type='Pretrained', checkpoint=str(root / 'vgg.pth')),
        ),
        objective=dict(weights='balanced', alpha=1.0),
        fast=False,
        recipe=dict(levels=[(1.0, STEPS)]),
    )
    Config(dict(custom_imports=dict(imports=['mmseg_adapt']), aan=aan)).dump(root / 'aan.py')
    return root


def arguments(world: Path, out: Path, *more) -> list:
    return [world / 'aan.py', '--source', world / 'source', '--target', world / 'target', '--out', out, *more]


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob('*') if f.is_file()}


def tool_in_a_child(argv: list, log: Path, env: dict) -> None:
    os.environ.update(env)
    sys.stdout = sys.stderr = log.open('a', buffering=1)
    sys.argv = ['render_aan.py', *map(str, argv)]
    runpy.run_path(str(REPO / 'tools/render_aan.py'), run_name='__main__')


def rendered(store: Path) -> int:
    return len(list(images_below(store))) if store.is_dir() else 0


def start(argv: list, log: Path, **env: str) -> multiprocessing.Process:
    """The tool in a process of its own, forked from one that has imported torch and computed nothing."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmseg_adapt', 'tests.test_render_aan'])
    child = context.Process(target=tool_in_a_child, args=(argv, log, env))
    child.start()
    return child


@pytest.fixture(scope='module')
def undisturbed(world) -> Path:
    """The store of two processes that nobody kills."""
    children = [start(arguments(world, world / 'whole', '--shard', f'{i}/2'), world / 'whole.log') for i in range(2)]
    for child in children:
        child.join()
        assert child.exitcode == 0, (world / 'whole.log').read_text()[-2000:]
    return world / 'whole'


def test_killed_at_twenty_random_moments_the_store_of_two_processes_is_the_undisturbed_one(world, undisturbed):
    """A moment is a number of renders and a pause after it, so that it falls into the job on any machine."""
    out, log, rng = world / 'killed', world / 'killed.log', random.Random(0)
    shards = [arguments(world, out, '--shard', f'{i}/2') for i in range(2)]
    children = [start(argv, log) for argv in shards]
    ends = []
    for count in sorted(rng.sample(range(30), 20)):
        while rendered(out) < count and any(child.is_alive() for child in children):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        victim = rng.choice([i for i, child in enumerate(children) if child.is_alive()] or [0, 1])
        children[victim].kill()
        children[victim].join()
        ends.append(children[victim].exitcode)
        children[victim] = start(shards[victim], log)
    assert set(ends) <= {-signal.SIGKILL, 0}, log.read_text()[-2000:]
    assert ends.count(-signal.SIGKILL) >= 10
    for child in children:
        child.join()
        assert child.exitcode == 0, log.read_text()[-2000:]
    assert content(out) == content(undisturbed)
    assert len(content(out)) == 40 + 2


def test_one_process_makes_the_store_of_two_and_a_second_call_renders_nothing(
    world, undisturbed, tmp_path, monkeypatch, capsys
):
    run_tool('render_aan.py', *arguments(world, tmp_path / 'store', '--count', 4), monkeypatch=monkeypatch)
    text = capsys.readouterr().out
    assert '0 rendered, 4 to render' in text
    assert '3 left: about' in text
    assert 'MiB here; preview (source, render, target)' in text
    assert cv2.imread(str(tmp_path / 'store.preview.png')).shape == (32, 3 * 48, 3)
    renders = {k: v for k, v in content(tmp_path / 'store').items() if k.endswith('.png')}
    assert sorted(renders) == ['town0/000.png', 'town0/020.png', 'town1/001.png', 'town1/021.png']
    whole = content(undisturbed)
    assert all(whole[name] == data for name, data in renders.items())
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / 'store').rglob('*')}
    run_tool('render_aan.py', *arguments(world, tmp_path / 'store', '--count', 4), monkeypatch=monkeypatch)
    assert '4 rendered, 0 to render' in capsys.readouterr().out
    assert before == {f: f.stat().st_mtime_ns for f in (tmp_path / 'store').rglob('*')}


def test_torchruns_ranks_share_the_images_and_end_together(world, undisturbed, tmp_path):
    source, out = tmp_path / 'source', tmp_path / 'store'
    shutil.copytree(world / 'source' / 'town0', source)
    broken = source / '000.png'
    broken.write_bytes(broken.read_bytes()[:60])
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    argv = [world / 'aan.py', '--source', source, '--target', world / 'target', '--out', out, '--count', 10]
    env = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    ranks = [start(argv, tmp_path / f'rank{r}.log', RANK=str(r), **env) for r in range(2)]
    for rank in ranks:
        rank.join()
        assert rank.exitcode == 1  # torchrun would end the others
    logs = [(tmp_path / f'rank{r}.log').read_text() for r in range(2)]
    assert all('0 rendered, 5 to render' in log for log in logs)
    assert all(f'error: 1 images were skipped: {broken} cannot be read' in log for log in logs)
    assert len(list(out.glob('*.png'))) == 9
    assert (out / 'style.pth').read_bytes() == (undisturbed / 'style.pth').read_bytes()


def test_the_manifest_names_every_setting(undisturbed):
    manifest = json.loads((undisturbed / MANIFEST).read_text())
    assert manifest['settings'].keys() == {
        *('encoder', 'encoder_fingerprint', 'objective', 'recipe', 'content', 'style'),
        *('target_images', 'target_fingerprint'),
    }
    assert manifest['settings']['objective']['alpha'] == 1.0
    assert manifest['settings']['recipe']['start'] == 'noise'
    assert manifest['settings']['target_images'] == 3
    style = RenderStore(undisturbed).style()
    assert style.about['images'] == 3
    assert style.about['layers'] == ['relu1_1']
    assert style.about['first_size'] == [32, 48]
    assert style.about['encoder'] == manifest['settings']['encoder_fingerprint']
    assert style.about['files'] == manifest['settings']['target_fingerprint']


def failure(*argv, monkeypatch, capsys) -> str:
    with pytest.raises(SystemExit) as stop:
        run_tool('render_aan.py', *argv, monkeypatch=monkeypatch)
    assert stop.value.code == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1
    return errors[0]


def test_a_store_of_other_settings_is_refused_with_the_difference_named(
    world, undisturbed, tmp_path, monkeypatch, capsys
):
    kwargs = dict(monkeypatch=monkeypatch, capsys=capsys)
    before = content(undisturbed)
    message = failure(*arguments(world, undisturbed, '--cfg-options', 'aan.objective.alpha=2.0'), **kwargs)
    assert 'has other settings: objective.alpha is 1.0 there and 2.0 here' in message
    message = failure(*arguments(world, undisturbed, '--paper'), **kwargs)
    assert f'recipe.levels[0][1] is {STEPS} there and 1000 here' in message
    other = write_images(tmp_path / 'target', 4, seed=1)
    message = failure(*arguments(world, undisturbed), '--target', other, **kwargs)
    assert 'target_fingerprint is' in message
    torch.save(VGGStyleEncoder(['relu1_1']).features.state_dict(), tmp_path / 'vgg.pth')
    weights = f'aan.encoder.init_cfg.checkpoint={tmp_path / "vgg.pth"}'
    assert 'encoder_fingerprint is' in failure(*arguments(world, undisturbed, '--cfg-options', weights), **kwargs)
    assert content(undisturbed) == before


def test_a_batch_is_rendered_before_the_next_image_is_read():
    read = []

    def images():
        for i, width in enumerate((8, 8, 8, 16, 8)):
            read.append(i)
            yield f'{i}', Path(f'{i}.png'), torch.zeros(1, 3, 8, width)

    at_each_batch = [(names, len(read)) for names, _, _ in batches(images(), 2)]
    assert at_each_batch == [(('0', '1'), 2), (('2',), 4), (('3',), 5), (('4',), 5)]
    read.clear()
    assert [(len(names), len(read)) for names, _, _ in batches(images(), 1)] == [(1, i) for i in range(1, 6)]


@pytest.mark.parametrize('recipe', [{}, dict(solver='lbfgs', start='content', plateau=0.01, patience=5)])
def test_a_batch_renders_images_of_one_size_as_one_by_one(recipe, world, tmp_path, monkeypatch, capsys):
    source = shutil.copytree(world / 'source', tmp_path / 'source')
    for i in (4, 5, 12):  # neighbours of another size
        file = next(source.rglob(f'{i:03d}.png'))
        cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), (64, 32)))
    next(source.rglob('008.png')).write_text('no image')
    options = [f'aan.recipe.{key}={value}' for key, value in recipe.items()]
    for out, *more in (['alone'], ['batches', '--batch-size', '3']):
        argv = [world / 'aan.py', '--source', source, '--target', world / 'target', '--out', tmp_path / out, '--count']
        argv += [20, *more, *(['--cfg-options', *options] if options else [])]
        assert '1 images were skipped' in failure(*argv, monkeypatch=monkeypatch, capsys=capsys)
    alone, batches = (sorted((tmp_path / out).rglob('*.png')) for out in ('alone', 'batches'))
    assert len(alone) == len(batches) == 19
    for a, b in zip(alone, batches):
        a, b = (cv2.imread(str(file)).astype(int) for file in (a, b))
        assert a.shape == b.shape
        assert abs(a - b).mean() < 0.5  # float32 sums in another order


def test_a_broken_source_image_is_skipped_listed_and_ends_in_an_error(world, tmp_path, monkeypatch, capsys):
    source = tmp_path / 'source'
    shutil.copytree(world / 'source' / 'town0', source)
    broken = source / '004.png'
    broken.write_bytes(broken.read_bytes()[:60])
    argv = [world / 'aan.py', '--source', source, '--target', world / 'target', '--out', tmp_path / 'store']
    message = failure(*argv, '--count', 10, monkeypatch=monkeypatch, capsys=capsys)
    assert f'1 images were skipped: {broken} cannot be read' in message
    assert sorted(f.stem for f in (tmp_path / 'store').glob('*.png')) == [f'{i:03d}' for i in range(0, 40, 4) if i != 4]


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--shard', '2/2'], '--shard 2/2: write i/n with 0 ≤ i < n'),
        (['--shard', 'half'], '--shard half: write i/n'),
        (['--count', '0'], '--count 0 must be at least 1'),
        (['--batch-size', '0'], '--batch-size 0 must be at least 1'),
        (['--source', 'nowhere'], 'nowhere does not exist: set --source to a folder'),
        (['--target', 'configs'], 'configs contains no images'),
        (
            ['--cfg-options', 'aan.objective.beta=1'],
            "aan.objective: Objective.__init__() got an unexpected keyword argument 'beta'",
        ),
        (['--cfg-options', 'aan.speed=1'], "aan: RenderJob.__init__() got an unexpected keyword argument 'speed'"),
        (['--cfg-options', 'aan.encoder.type=AlexNet'], 'aan.encoder: '),
        (['--cfg-options', 'aan.encoder.mean=[1,2]'], 'aan.encoder.mean = [1, 2]: write three numbers'),
        (
            ['--cfg-options', 'aan.objective.style_weights.relu9_9=0'],
            'aan.objective.style_weights has relu9_9: use aan.encoder.layers, relu1_1',
        ),
        (['--cfg-options', 'aan.content=[Resize]'], 'aan: string indices must be integers'),
        (['--device', 'cuda'], '--device cuda: PyTorch finds no GPU'),
        (
            ['--cfg-options', 'aan.encoder.init_cfg.checkpoint=nowhere.pth'],
            'nowhere.pth does not exist: copy or link',
        ),
    ],
)
def test_bad_arguments_fail_in_one_sentence_and_leave_no_store(more, message, world, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'store'
    assert message in failure(*arguments(world, out, *more), monkeypatch=monkeypatch, capsys=capsys)
    assert not out.exists()


def test_a_folder_of_other_files_a_config_without_aan_and_two_images_of_one_name_are_refused(
    world, tmp_path, monkeypatch, capsys
):
    kwargs = dict(monkeypatch=monkeypatch, capsys=capsys)
    (tmp_path / 'notes.txt').write_text('mine')
    assert 'contains other files and no aan.json' in failure(*arguments(world, tmp_path), **kwargs)
    assert [f.name for f in tmp_path.iterdir()] == ['notes.txt']
    config = REPO / 'configs/_base_/default_runtime.py'
    argv = arguments(world, tmp_path / 'store')
    assert 'the config has no aan section' in failure(config, *argv[1:], **kwargs)
    shutil.copytree(world / 'source/town0', tmp_path / 'source')
    shutil.copy(tmp_path / 'source/000.png', tmp_path / 'source/000.jpg')
    message = failure(*argv, '--source', tmp_path / 'source', **kwargs)
    assert '000.jpg and 000.png differ only in their file extension: keep one of them' in message


def test_parts_of_dead_processes_are_removed_those_of_other_machines_a_day_later(tmp_path):
    store = RenderStore(tmp_path / 'store')
    store.create(dict(a=1), {})
    child = multiprocessing.get_context('fork').Process(target=os._exit, args=(0,))
    child.start()
    child.join()
    here = _machine()
    names = (
        f'{here}-{child.pid}-x',
        'elsewhere-4711-x',
        f'{here}-{os.getpid()}-x',
        'elsewhere-1-x',
        'of-something-else',
    )
    parts = [store.folder / f'.part-{name}' for name in names]
    for part in parts:
        part.touch()
    os.utime(parts[1], (0, 0))
    store.create(dict(a=1), {})
    assert [part.exists() for part in parts] == [False, False, True, True, True]
    with pytest.raises(UserError, match=r'store contains no style.pth: .* tools/render_aan.py'):
        store.style()


def test_processes_of_one_number_in_two_containers_do_not_share_a_part(tmp_path, monkeypatch):
    store, names = RenderStore(tmp_path), set()
    monkeypatch.setattr(os, 'getpid', lambda: 7)
    link = os.link
    monkeypatch.setattr(os, 'link', lambda part, path: names.add(str(part)) or link(part, path))
    for folder in ('a', 'b'):
        RenderStore(store.folder / folder).create({}, {})
    assert len({Path(name).parent.name for name in names}) == 2


def test_a_rank_that_looks_while_another_one_makes_the_store_finds_it(tmp_path, monkeypatch):
    store = RenderStore(tmp_path / 'store')
    store.folder.mkdir()
    listing = Path.iterdir

    def late(folder):  # the other rank writes between our two looks
        monkeypatch.setattr(Path, 'iterdir', listing)
        store.create(dict(a=1), {})
        store.path('1').touch()
        return listing(folder)

    monkeypatch.setattr(Path, 'iterdir', late)
    store.create(dict(a=1), {})
    assert store.path('1').exists()


def test_a_broken_target_image_leaves_no_store_and_can_be_removed(world, tmp_path, monkeypatch, capsys):
    target = shutil.copytree(world / 'target', tmp_path / 'target')
    broken = target / 'town0/002.png'
    broken.write_bytes(broken.read_bytes()[:60])
    argv = [world / 'aan.py', '--source', world / 'source', '--target', target, '--out', tmp_path / 'store']
    message = failure(*argv, '--count', 1, monkeypatch=monkeypatch, capsys=capsys)
    assert f'{broken} cannot be read' in message
    bars = [thread for thread in threading.enumerate() if type(thread).__name__ == '_RefreshThread']
    for bar in bars:
        bar.join(timeout=5)
    assert not any(bar.is_alive() for bar in bars)  # each ended with its loop
    broken.unlink()
    run_tool('render_aan.py', *argv, '--count', 1, monkeypatch=monkeypatch)
    assert json.loads((tmp_path / 'store' / MANIFEST).read_text())['settings']['target_images'] == 2


def test_the_command_in_a_message_has_every_option_that_decides_what_a_render_looks_like(world, tmp_path, monkeypatch):
    option = 'aan.recipe.levels=[(1.0, 2)]'
    argv = arguments(world, tmp_path / 'store', '--cfg-options', option)
    run_tool('render_aan.py', *argv, '--count', 1, monkeypatch=monkeypatch)
    _, _, *again = shlex.split(AANStyleTransfer(str(tmp_path / 'store')).command())
    run_tool('render_aan.py', *again, monkeypatch=monkeypatch)  # the store takes it
    assert len(list((tmp_path / 'store').rglob('*.png'))) == 40
    paper = parse().parse_args([*map(str, arguments(world, tmp_path / 'store')), '--paper'])
    assert made_with(paper)['options'] == '--paper'


def test_a_store_may_be_the_current_folder_but_not_lie_among_the_images(world, tmp_path, monkeypatch, capsys):
    for option in ('source', 'target'):
        message = failure(*arguments(world, world / option / 'aan'), monkeypatch=monkeypatch, capsys=capsys)
        assert f'aan is inside --{option} {world / option}: choose a folder outside of it' in message
    (tmp_path / 'store').mkdir()
    monkeypatch.chdir(tmp_path / 'store')
    monkeypatch.setattr(sys, 'argv', ['render_aan.py', *map(str, arguments(world, '.', '--count', 1))])
    runpy.run_path(str(REPO / 'tools/render_aan.py'), run_name='__main__')
    assert (tmp_path / 'store.preview.png').exists()


def test_a_source_file_that_changed_is_rendered_again(world, tmp_path, monkeypatch, capsys):
    source = shutil.copytree(world / 'source/town0', tmp_path / 'source')
    argv = [world / 'aan.py', '--source', source, '--target', world / 'target', '--out', tmp_path / 'store']
    run_tool('render_aan.py', *argv, '--count', 2, monkeypatch=monkeypatch)
    before = content(tmp_path / 'store')
    shutil.copy(source / '002.png', source / '000.png')
    assert RenderStore(tmp_path / 'store').find(str(source / '000.png')) is None
    run_tool('render_aan.py', *argv, '--count', 2, monkeypatch=monkeypatch)
    assert '1 rendered, 1 to render' in capsys.readouterr().out
    after = content(tmp_path / 'store')
    assert [name for name in after if after[name] != before[name]] == ['000.png']


def test_a_render_is_found_by_the_longest_end_of_the_path_and_resized_to_its_image(tmp_path):
    store = RenderStore(tmp_path)
    flat = np.full((8, 12, 3), (10, 20, 30), np.uint8)
    source = tmp_path / 'source.jpg'
    source.write_bytes(b'12345')
    store.add('a/1', flat, source)
    store.add('1', flat + 100, source)
    assert store.find('/data/a/1.jpg') == store.path('a/1')
    assert store.find('/data/b/1.jpg') == store.path('1')
    assert store.find('2.png') is None
    image = store.read(store.path('a/1'), (16, 24))
    assert image.shape == (16, 24, 3)
    assert (image == (10, 20, 30)).all()
    store.path('1').write_bytes(b'no image')
    with pytest.raises(UserError, match='remove it and run tools/render_aan.py again'):
        store.read(store.path('1'), (8, 12))
    assert not store.holds('1', source)
    for data in (b'no style', b''):
        (tmp_path / STYLE).write_bytes(data)
        with pytest.raises(UserError, match=r'is not a style file \(.+\): remove it'):
            store.style()


def test_a_render_of_another_file_of_that_name_counts_as_missing(tmp_path):
    store, image = RenderStore(tmp_path / 'store'), np.zeros((8, 12, 3), np.uint8)
    one, other, longer = tmp_path / 'a/1.bmp', tmp_path / 'b/1.bmp', tmp_path / 'c/1.bmp'
    for file, data in ((one, b'black'), (other, b'white'), (longer, b'yellow')):
        file.parent.mkdir()
        file.write_bytes(data)
    store.add('1', image, one)
    assert store.find(str(one)) == store.path('1')
    assert store.find(str(other)) is store.find(str(longer)) is None
    text = PngInfo()
    text.add_text('source bytes', '5')  # a store of before the checksum
    Image.fromarray(image).save(store.path('1'), pnginfo=text)
    assert store.find(str(one)) == store.find(str(other)) == store.path('1')
    assert store.find(str(longer)) is None


def test_a_damaged_render_is_named_with_the_cure_whatever_is_damaged(tmp_path):
    store, source = RenderStore(tmp_path), tmp_path / 'source.jpg'
    source.touch()
    store.add('1', np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8), source)
    path = store.path('1')
    whole, damaged = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
        store.holds('1', source)
        try:
            store.read(path, (8, 12))
        except UserError as error:
            damaged += 1
            assert str(error).startswith(f'{path} cannot be read (')
    assert damaged > len(whole) / 2


def test_the_distance_of_channel_statistics_is_that_of_plain_means_and_deviations(
    world, undisturbed, monkeypatch, capsys
):
    folders = ('--source', world / 'source', '--target', world / 'target')
    run_tool('analysis/style_distance.py', undisturbed, *folders, monkeypatch=monkeypatch)
    rows = [[c.strip() for c in line.split('|')[1:-1]] for line in capsys.readouterr().out.splitlines() if '|' in line]
    encoder = VGGStyleEncoder(['relu1_1'])
    encoder.features.load_state_dict(torch.load(world / 'vgg.pth'))

    def means(folder):
        images = [torch.from_numpy(cv2.imread(str(f))).permute(2, 0, 1)[None].float() for f in folder.rglob('*.png')]
        return torch.cat([encoder(image)['relu1_1'].mean((2, 3)) for image in images]).detach()

    target = means(world / 'target')
    for folder, printed in zip((world / 'source', undisturbed, world / 'target'), rows[2][2:]):
        z = (means(folder) - target.mean(0)).abs() / target.std(0)
        assert float(printed) == pytest.approx(z[:, target.std(0) > 0].mean().item(), abs=0.006)
    assert rows[2][:2] == ['relu1_1', 'mean']
    assert rows[3][:2] == ['relu1_1', 'deviation']


def test_the_benchmark_prints_every_method_and_an_iteration(world, monkeypatch, capsys):
    cfg = Config.fromfile(world / 'aan.py')
    cfg.aan.encoder.layers = ['colour', 'relu1_1']
    cfg.aan.objective.alpha = 100.0
    cfg.dump(world / 'coloured.py')
    argv = [world / 'coloured.py', *arguments(world, 'unused')[1:-2], '--judge', world / 'aan.py', '--device', 'cpu']
    size = ('--size', 48, 32, '--pool', 2, '--iterations', 3, '--frames', 2, '--smoothness', 1)
    (page := world / 'page.md').write_text('<!-- thin: begin -->\n<!-- thin: end -->\n')
    run_tool('analysis/benchmark_aan.py', *argv, *size, '--into', page, 'thin', monkeypatch=monkeypatch)
    text = capsys.readouterr().out
    rows = {row[0]: row for line in text.splitlines() if len(row := [c.strip() for c in line.split('|')[1:-1]]) > 2}
    assert float(rows['naive'][1]) > 0 < float(rows['ours'][1])
    starts = ['source', 'colour', 'colour + 5', 'colour + 10', 'colour + 20']
    paper = 'paper, 3 iterations'
    assert {*starts, 'quick', 'fast', 'fast, smoothness 1', paper} < set(rows)
    assert (rows['fast'][1], rows[paper][1]) == ('2', '1')
    assert rows[paper][4] == '3'
    assert tool('analysis/markdown_table.py').rows_of(page, 'thin')[-1] == rows[paper]
    assert float(rows['colour + 20'][2]) < float(rows['colour + 5'][2]) < float(rows['colour'][2])
    assert rows['source'][4:7] == ['0', '1.00', '0.0']
    assert rows['fast'][9:] == ['1.00', '1.00']
    assert all(float(cell) >= 0 for cell in rows['fast'][1:])
    assert float(rows['fast, smoothness 1'][5]) < float(rows['fast'][5])


def test_a_store_notes_the_start_that_was_chosen(world, monkeypatch):
    argv = arguments(world, world / 'started', '--count', 1, '--device', 'cpu', '--cfg-options')
    layers, start = "aan.encoder.layers=['colour','relu1_1']", 'aan.recipe.start=best'
    run_tool('render_aan.py', *argv, layers, start, 'aan.recipe.levels=[(1.0,1)]', monkeypatch=monkeypatch)
    with Image.open(next((world / 'started').rglob('*.png'))) as file:
        assert file.info['start'] in ('content', 'colour')
    assert json.loads((world / 'started' / MANIFEST).read_text())['settings']['recipe']['start'] == 'best'


def test_a_column_of_the_benchmark_that_was_not_measured_is_left_out():
    nan = float('nan')
    rows = {'fast': [[1.0, 2.0, 3, 4.0, nan, nan, nan]], 'paper': [[2.0, 8.0, 9, 5.0, 1.0, nan, nan]]}
    table = tool('analysis/benchmark_aan.py').table_of(rows)
    shares = ['objective of fast', 'seconds of fast']
    assert table.field_names == ['', 'frames', 'objective', 'seconds', 'gradients', 'variation', 'shift', *shares]
    assert table.rows[0] == ['fast', 1, '1.000', '2.00', '3', '4.00', '–', '1.00', '1.00']
    assert table.rows[1] == ['paper', 1, '2.000', '8.00', '9', '5.00', '1.0', '2.00', '4.00']
