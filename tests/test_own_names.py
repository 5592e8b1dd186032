"""Labels and names as people bring them, and the frameworks' refusals that have one answer."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.structures import PixelData
from mmseg.registry import DATASETS, METRICS, MODELS
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_adapt.cli.class_ids import ClassIds
from mmseg_adapt.cli.launch import read_config
from mmseg_adapt.cli.look import Wanted, look_at
from mmseg_adapt.datasets.transforms import LoadLabels, read_label
from mmseg_adapt.demo import streets
from mmseg_adapt.engine.picture_hook import PictureHook
from mmseg_adapt.errors import UserError, one_sentence, writing
from mmseg_adapt.export.plain import stock

from .bands import write_png16
from .test_own_data import FEW, refusal, run

RNG = np.random.default_rng(0)
SMALL = '--network small'


def items(dataset) -> list[dict]:
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def write(path: Path, array: np.ndarray, **kwargs) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **kwargs)


def picture(size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return RNG.integers(0, 255, (*size, 3), np.uint8)


def mask(high: int = 255, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return np.uint8(high * (RNG.random(size) < 0.4))


def binary(root: Path, high: int = 255, names: tuple[str, ...] = ('1', '2', '3', '4')) -> str:
    """Two domains with masks of 0 and ``high``; the command that writes their config, without its classes."""
    for name in names:
        write(root / f's/{name}.png', picture())
        write(root / f'm/{name}.png', mask(high))
        write(root / f't/{name}.png', picture())
        write(root / f'v/{name}.png', mask(high))
    return (
        'python tools/new_config.py own.py --source-images s --source-labels m --target-images t '
        f'--target-val-labels v {SMALL} '
    )


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- masks of 0 and 255, one class


def test_masks_of_0_and_255_whose_255_is_a_class_are_learned_and_measured(here, monkeypatch, capsys):
    run(binary(here) + '--classes background=0,fg=255', monkeypatch)
    said = capsys.readouterr().out
    assert 'ids in 4 labels: 0, 255' in said
    assert 'masks with two values: pass e.g. --classes background=0,foreground=255' in said
    masks = np.stack([np.asarray(Image.open(p)) for p in sorted(Path('m').iterdir())])
    assert f'fg {100 * (masks == 255).mean():.1f} %, ignored 0.0 %' in said
    cfg = Config.fromfile('own.py')
    source = cfg.train_dataloader.dataset.source
    source.pipeline = [step for step in source.pipeline if step.type != 'RandomFlip']
    dataset = DATASETS.build(cfg.train_dataloader.dataset).domains['source']
    found = np.stack([dataset[i]['data_samples'].gt_sem_seg.data[0].numpy() for i in range(4)])
    assert np.array_equal(found, masks // 255)
    few = ('--cfg-options', *FEW, 'experiment_name=bin', 'visualizer.name=bin')
    run('python tools/train.py own.py', monkeypatch, *few)
    assert 'IoU.fg' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('classes', 'high', 'message'),
    [
        (
            'background,fg',
            255,
            'no pixel of fg in the 4 labels .* the ids [0, 255]: .*--classes background=0,fg=255',
        ),
        ('background=0,fg=1', 255, 'no pixel of fg in the 4 labels .*--classes background=0,fg=255'),
        ('background=0,fg=1,sky=7', 1, 'no pixel of sky in the 4 labels .*pass --allow-absent'),
    ],
)
def test_no_config_is_written_in_which_a_class_has_no_pixel(classes, high, message, here, monkeypatch, capsys):
    command = binary(here, high) + f'--classes {classes}'
    pattern = message.replace('[', r'\[').replace(']', r'\]')
    assert re.search(pattern, refusal(command, monkeypatch, capsys))
    assert not Path('own.py').exists()
    run(f'{command} --allow-absent', monkeypatch)
    assert 'note: no pixel of' in capsys.readouterr().out


def test_one_class_alone_is_refused_with_the_cure(here, monkeypatch, capsys):
    said = refusal(binary(here, 1) + '--classes crack=1', monkeypatch, capsys)
    assert "has only the class 'crack'" in said
    assert 'background=0,crack=1' in said
    with pytest.raises(UserError, match="has only the class 'crack', .*: add the background"):
        DATASETS.build(dict(type='IdMappedDataset', metainfo=dict(classes=('crack',)), id_map={1: 0}, lazy_init=True))
    assert ClassIds.parse('crack=255', '--target-val-classes').ids == {'crack': [255]}  # of labels that show one only


# ---- labels of several channels, JPEG


@pytest.mark.parametrize('channels', [2, 3, 4])
def test_labels_of_equal_channels_are_ids(channels, tmp_path):
    ids = RNG.integers(0, 9, (6, 5), np.uint8)
    label = np.repeat(ids[..., None], channels, axis=2)
    if channels != 3:
        label[..., -1] = 255
    write(tmp_path / 'm/1.png', label)
    write(tmp_path / 's/1.png', picture((6, 5)))
    assert np.array_equal(read_label(str(tmp_path / 'm/1.png')), ids)
    look = look_at(str(tmp_path / 's'), str(tmp_path / 'm'))
    assert look.label_channel is None
    assert look.ids == np.unique(ids).tolist()


def test_16_bit_labels_of_equal_channels_are_ids(tmp_path):
    ids = RNG.integers(0, 9, (6, 5, 1)).astype(np.uint16)
    write_png16(tmp_path / '1.png', np.repeat(ids, 3, axis=2))  # Pillow reads the upper 8 bits: zeros
    assert np.array_equal(read_label(str(tmp_path / '1.png')), ids[..., 0])


def test_colours_fractions_and_transparency_are_not_ids(tmp_path):
    write(tmp_path / 'c.png', picture((6, 5)))
    with pytest.raises(UserError, match='c.png has 3 channels, but a label must have one .*colours'):
        read_label(str(tmp_path / 'c.png'))
    Image.fromarray(np.float32([[0.5, 1]])).save(tmp_path / 'f.tif')
    with pytest.raises(UserError, match='f.tif contains fractions such as 0.5: ids must be integers'):
        read_label(str(tmp_path / 'f.tif'))


def test_a_jpeg_mask_is_refused_by_the_word_jpeg(here, monkeypatch, capsys):
    command = binary(here) + '--classes background=0,fg=255'
    for path in list(Path('m').iterdir()):
        Image.open(path).save(path.with_suffix('.jpg'))
        path.unlink()
    said = refusal(command, monkeypatch, capsys)
    assert re.search(r'm/1.jpg is a JPEG, whose compression changes the ids along every edge: export .* as PNG', said)
    with pytest.raises(UserError, match='1.jpg is a JPEG'):
        LoadLabels()(dict(seg_map_path='m/1.jpg', img_path='s/1.png', ori_shape=(64, 64)))


# ---- images and labels by their names


def test_images_and_masks_in_one_folder_are_told_apart_by_their_ends(here, monkeypatch, capsys):
    for i in range(4):
        write(here / f'd/{i}_sat.jpg', picture())
        write(here / f'd/{i}_mask.png', mask(1))
    command = f'python tools/new_config.py own.py --source-images d --source-labels d --target-images d {SMALL} '
    said = refusal(command + '--classes a=0,b=1', monkeypatch, capsys)
    assert 'd contains both images and labels' in said
    assert re.search(r'\*_\w+.\w+ \(4\), \*_\w+.\w+ \(4\): choose each kind with --source-image-suffix', said)
    ends = '--source-image-suffix _sat.jpg --source-label-suffix _mask.png --target-image-suffix _sat.jpg '
    run(command + ends + '--classes a=0,b=1', monkeypatch)
    assert 'source: 4 pairs, d/*_sat.jpg + d/*_mask.png' in capsys.readouterr().out
    dataset = DATASETS.build(Config.fromfile('own.py').train_dataloader.dataset)
    assert [Path(s['img_path']).name for s in items(dataset.domains['source'])] == [f'{i}_sat.jpg' for i in range(4)]
    assert [Path(s['seg_map_path']).name for s in items(dataset.domains['source'])] == [
        f'{i}_mask.png' for i in range(4)
    ]
    assert len(dataset.domains['target']) == 4
    one = look_at('d', 'd', Wanted(label_suffix='_mask.png'))  # what is not a label is an image
    assert (one.img_suffix, len(one.files)) == ('_sat.jpg', 4)


def test_masks_among_target_images_are_shown(here, monkeypatch, capsys):
    command = binary(here, 1, ('1', '2', '3'))
    for i in range(3):
        write(here / f'u/{i}_sat.png', picture())
        write(here / f'u/{i}_mask.png', mask(1))
    command = command.replace('--target-images t --target-val-labels v', '--target-images u')
    run(command + '--classes a=0,b=1', monkeypatch)
    said = capsys.readouterr().out
    assert re.search(r'names end with .*_mask.png \(3\).*: choose one kind with --target-image-suffix', said)


def test_a_data_set_in_which_an_image_is_its_own_label_is_refused(here):
    write(here / 'd/1.png', mask(1))
    cfg = dict(type='IdMappedDataset', data_prefix=dict(img_path='d', seg_map_path='d'), img_suffix='.png')
    with pytest.raises(UserError, match='d/1.png would be its own label: set img_suffix and seg_map_suffix'):
        DATASETS.build(dict(cfg, seg_map_suffix='.png', metainfo=dict(classes=('a', 'b'))))


@pytest.mark.parametrize(
    ('image', 'label', 'word'),
    [
        ('run{run}_rgb_{i:04d}.png', 'run{run}_sem_{i:04d}.png', ('rgb', 'sem')),
        ('rgb/{i}_rgb.png', 'sem/{i}_sem.png', ('rgb', 'sem')),
        ('image_{i}.jpg', 'label_{i}.png', ('image', 'label')),
        ('{run}/{i}.png', '{run}/gt_{i}.png', ('', 'gt_')),
    ],
)
def test_names_that_differ_in_a_word_are_paired_and_the_word_is_said(image, label, word, here, monkeypatch, capsys):
    for i in range(40):
        write(here / 's' / image.format(run=f'{i % 3:02d}', i=i), picture((8, 8)))
        write(here / 'm' / label.format(run=f'{i % 3:02d}', i=i), mask(1, (8, 8)))
    command = f'python tools/new_config.py own.py --source-images s --source-labels m --target-images s {SMALL} '
    run(command + '--classes a=0,b=1', monkeypatch)
    said = capsys.readouterr().out
    assert 'source: 40 pairs' in said
    assert f'names: {word[0]!r} in an image is {word[1]!r} in its label (change it with --pair)' in said
    pairs = items(DATASETS.build(Config.fromfile('own.py').train_dataloader.dataset).domains['source'])
    numbers = [[int(re.findall(r'\d+', Path(p[k]).name)[-1]) for p in pairs] for k in ('img_path', 'seg_map_path')]
    assert numbers[0] == numbers[1]
    assert len(pairs) == 40
    Path('own.py').unlink()
    run(command + f'--classes a=0,b=1 --pair {word[0]}={word[1]}', monkeypatch)
    assert 'source: 40 pairs' in capsys.readouterr().out


def test_a_pairing_that_leaves_out_more_than_a_few_stops_with_counts_and_examples(here, monkeypatch, capsys):
    for i in range(20):
        write(here / f's/{i:02d}.png', picture((8, 8)))
        write(here / f'm/{i + 10:02d}.png', mask(1, (8, 8)))
    command = f'python tools/new_config.py own.py --source-images s --source-labels m --target-images s {SMALL} '
    command += '--classes a=0,b=1'
    said = refusal(command, monkeypatch, capsys)
    assert '10 images of s have a label in m; 10 images are unpaired, such as 00, 01, 02; 10 labels are' in said
    run(f'{command} --allow-unpaired', monkeypatch)
    assert len(DATASETS.build(Config.fromfile('own.py').train_dataloader.dataset).domains['source']) == 10


def test_a_folder_of_several_endings_is_read_as_a_whole(here, monkeypatch, capsys):
    command = binary(here, 1, ('1', '2', '3'))
    for folder in 'st':
        write(here / f'{folder}/4.JPG', picture(), format='JPEG')
    write(here / 'm/4.png', mask(1))
    run(command + '--classes a=0,b=1', monkeypatch)
    said = capsys.readouterr().out
    assert 'source: 4 pairs, s/*.png, s/*.JPG + m/*.png' in said
    assert 'target: 4 images, t/*.png, t/*.JPG' in said
    dataset = DATASETS.build(Config.fromfile('own.py').train_dataloader.dataset)
    assert {Path(dataset.domains['source'][i]['data_samples'].img_path).name for i in range(4)} == {
        '1.png',
        '2.png',
        '3.png',
        '4.JPG',
    }
    assert len(dataset.domains['target']) == 4


def test_images_of_an_ending_that_is_not_named_are_counted_in_the_log(here, monkeypatch):
    said = []
    monkeypatch.setattr('mmseg_adapt.datasets.id_mapped.print_log', lambda text, logger: said.append(text))
    write(here / 's/1.png', picture())
    write(here / 's/2.JPG', picture(), format='JPEG')
    DATASETS.build(dict(type='IdMappedDataset', data_prefix=dict(img_path='s'), img_suffix='.png'))
    assert said == ["IdMappedDataset: skipped 1 images of s, such as 2.JPG, because img_suffix is '.png'"]


def test_an_ann_file_may_end_with_empty_lines_and_name_endings(here):
    binary(here, 1)
    cfg = dict(type='IdMappedDataset', data_prefix=dict(img_path='s', seg_map_path='m'), img_suffix='.png')
    cfg.update(seg_map_suffix='.png', metainfo=dict(classes=('a', 'b')), ann_file='list.txt')
    Path('list.txt').write_text('3\n1.png\n\n')
    found = items(DATASETS.build(cfg))
    assert [(p['img_path'], p['seg_map_path']) for p in found] == [('s/3.png', 'm/3.png'), ('s/1.png', 'm/1.png')]
    Path('list.txt').write_text('1\n9\n')
    with pytest.raises(UserError, match=r"list.txt lists '9', which is not in s \(1 of 2 lines\): correct the list"):
        DATASETS.build(cfg)
    with pytest.raises(UserError, match='nowhere.txt cannot be read .*: correct ann_file of IdMappedDataset'):
        DATASETS.build(dict(cfg, ann_file='nowhere.txt'))


# ---- what is written per image


def sample(path: str) -> dict:
    return dict(img_path=path, pred_sem_seg=dict(data=torch.ones(1, 2, 2, dtype=torch.long)))


def test_predictions_of_nested_folders_with_equal_names_stay_apart(here, monkeypatch):
    command = binary(here, 1)
    for town in '123':
        for i in range(3):
            write(here / f'towns/{town}/{i}.jpg', picture())
    run(
        command.replace('--target-images t --target-val-labels v', '--target-images towns') + '--classes a,b',
        monkeypatch,
    )
    run(
        'python tools/train.py own.py', monkeypatch, '--cfg-options', *FEW[:5], 'experiment_name=n', 'visualizer.name=n'
    )
    test = 'python tools/test.py own.py work_dirs/own/iter_2.pth --show-dir shown'
    options = ('--cfg-options', 'test_dataloader.num_workers=0', 'experiment_name=nt', 'visualizer.name=nt')
    run(test, monkeypatch, *options)
    expected = sorted(f'{town}/{i}.png' for town in '123' for i in range(3))
    for folder in ('work_dirs/own/predictions', 'shown'):
        assert sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob('*.png')) == expected


def test_a_metric_that_knows_no_folder_refuses_to_write_two_predictions_to_one_file(tmp_path):
    metric = METRICS.build(dict(type='ClassIoUMetric', format_only=True, output_dir=str(tmp_path)))
    metric.dataset_meta = dict(classes=('a', 'b'))
    metric.process({}, [sample('x/a/1.png'), sample('x/a/2.png')])
    with pytest.raises(UserError, match='x/a/1.png and x/b/1.png would both be written to .*1.png'):
        metric.process({}, [sample('x/b/1.png')])
    metric.folder = 'x'
    metric.process({}, [sample('x/b/1.png')])
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob('*.png')) == ['1.png', '2.png', 'b/1.png']


def test_a_picture_that_cannot_be_written_stops_the_test(tmp_path, monkeypatch):
    class Runner:
        class test_dataloader:
            class dataset:
                metainfo = dict(palette=[[0, 0, 0]] * 2)

    found = SegDataSample(metainfo=dict(img_path='1.png'))
    found.pred_sem_seg = PixelData(data=torch.zeros(1, 2, 2, dtype=torch.long))
    monkeypatch.setattr('cv2.imwrite', lambda *args: False)
    with pytest.raises(UserError, match='1.png cannot be written: free some space'):
        PictureHook(str(tmp_path)).after_test_iter(Runner, 0, dict(inputs=[torch.zeros(3, 2, 2)]), [found])


# ---- refusals of the frameworks, and the disk


def settled(tmp_path: Path, text: str) -> Config:
    (tmp_path / 'c.py').write_text(text)
    args = type(
        'Args', (), dict(config=str(tmp_path / 'c.py'), cfg_options=None, launcher='none', work_dir=None, local_rank=0)
    )
    return read_config(args)


def test_no_workers_need_no_persistence(tmp_path):
    loader = 'dict(num_workers={}, persistent_workers=True, prefetch_factor=2)'
    cfg = settled(tmp_path, f'train_dataloader = {loader.format(0)}\nval_dataloader = {loader.format(1)}\n')
    assert cfg.train_dataloader == dict(num_workers=0)
    assert cfg.val_dataloader.persistent_workers


@pytest.mark.parametrize(('best', 'rule'), [('IoU.car', 'greater'), (['mIoU', 'IoU.car'], 'greater'), ('score', None)])
def test_the_best_iou_of_a_class_is_the_greatest(best, rule, tmp_path, capsys):
    checkpoint = dict(type='CheckpointHook', save_best=best)
    cfg = settled(tmp_path, f'default_hooks = dict(checkpoint={checkpoint})\n')
    assert cfg.default_hooks.checkpoint.get('rule') == rule
    options = {k: v for k, v in cfg.default_hooks.checkpoint.items() if k in ('save_best', 'rule')}
    if rule:
        assert set(CheckpointHook(**options).rules) == {'greater'}
        return
    with pytest.raises(ValueError, match='Cannot infer the rule') as error:
        CheckpointHook(**options)
    assert "set default_hooks.checkpoint.rule to 'greater' or 'less'" in stopped(error.value, capsys)


def stopped(error: BaseException, capsys) -> str:
    with pytest.raises(SystemExit), one_sentence():
        raise error
    return capsys.readouterr().err.strip()


def test_a_full_disk_names_the_file(capsys):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match='No space left') as error, writing('out/1.png'):
        raise full
    said = stopped(error.value, capsys)
    assert said == 'error: out/1.png cannot be written, because the disk is full: free some space, then start again'
    said = stopped(OSError(errno.ENOSPC, 'No space left on device'), capsys)
    assert 'cannot be written, because the disk is full' in said
    said = stopped(PermissionError(errno.EACCES, 'Permission denied', 'a.png'), capsys)
    assert said.startswith('error: a.png cannot be opened or written (Permission denied): change the permissions')
    with pytest.raises(OSError, match='a bug'), one_sentence():
        raise OSError('a bug')  # not of the disk: with its traceback


def test_refusals_of_the_frameworks_come_with_their_cure(capsys):
    error = AssertionError(
        'Caught AssertionError in DataLoader worker process 0.\nAssertionError: Pillow backend only support uint8 type'
    )
    assert "set backend='cv2' and interpolation='area' in Resize" in stopped(error, capsys)
    error = ValueError('persistent_workers option needs num_workers > 0')
    assert 'remove persistent_workers, or set num_workers to 1 or more' in stopped(error, capsys)


@pytest.mark.parametrize('avg_non_ignore', [False, True])
def test_class_weights_and_ignored_labels_are_pytorchs_weighted_mean(avg_non_ignore):
    weights = [1.0, 2.0, 0.5]
    loss = MODELS.build(dict(type='CrossEntropyLoss', class_weight=weights, avg_non_ignore=avg_non_ignore))
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    label = torch.randint(0, 3, (2, 4, 5))
    label[0, 0] = 255
    expected = torch.nn.functional.cross_entropy(
        logits, label, torch.tensor(weights, dtype=torch.float64), ignore_index=255
    )
    found = loss(logits, label, ignore_index=255)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    (gradient,) = torch.autograd.grad(found, logits)
    assert (gradient[0, :, 0] == 0).all()


def test_the_demos_classes_are_still_paired_by_their_starts(street_data):
    look = look_at(str(street_data / 'source/images'), str(street_data / 'source/labels'))
    assert (look.word, len(look.names), len(look.ids)) == (None, 4, len(streets.CLASSES))


@pytest.mark.parametrize('option', [dict(pair=('rgb', 'sem')), dict(img_suffix=('.png', '.JPG'))])
def test_an_export_keeps_a_data_set_that_mmsegmentation_cannot_read(option):
    part = dict(type='IdMappedDataset', data_prefix=dict(img_path='s'), img_suffix='.png')
    assert stock(part)['type'] == 'BaseSegDataset'
    assert stock({**part, **option})['type'] == 'IdMappedDataset'


def test_an_export_keeps_a_loader_of_more_than_8_bits():
    assert stock(dict(type='LoadImage'))['type'] == 'LoadImageFromFile'
    assert stock(dict(type='LoadImage', value_range=(0, 4095)))['type'] == 'LoadImage'


def test_a_missing_file_that_is_not_named_is_one_sentence_still(capsys):
    assert stopped(FileNotFoundError('a.pth can not be found.'), capsys) == 'error: a.pth can not be found.'
