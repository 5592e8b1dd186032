"""A user's own folders: docs/own_data.md is walked as it stands; what is looked at, reported and refused."""

import locale
import os
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from PIL import Image

from mmseg_adapt.cli.look import Wanted, look_at
from mmseg_adapt.cli.own_config import scales_of
from mmseg_adapt.datasets.transforms import LoadImage
from mmseg_adapt.demo import streets
from mmseg_adapt.errors import UserError

from .tiny import REPO, load

GUIDE = (REPO / 'docs/own_data.md').read_text()
COMMANDS = [block.replace('\\\n', ' ') for block in re.findall(r'```bash\n(.*?)\n```', GUIDE, flags=re.S)]
FEW = ['train_cfg.max_iters=2', 'train_dataloader.batch_size=1', 'default_hooks.logger.interval=1']
for loader in ('train', 'test', 'val'):
    FEW += [f'{loader}_dataloader.num_workers=0', f'{loader}_dataloader.persistent_workers=False']


def run(command: str, monkeypatch, *further) -> None:
    """``python tools/… …`` in this process and in the current directory."""
    python, tool, *arguments = shlex.split(command)
    assert python == 'python'
    monkeypatch.setattr(sys, 'argv', [tool, *arguments, *map(str, further)])
    runpy.run_path(str(REPO / tool), run_name='__main__')


@pytest.fixture
def here(street_data, tmp_path, monkeypatch) -> Path:
    """An empty folder with the demo's data, in which commands are run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/streets').symlink_to(street_data)
    return tmp_path


def test_the_walk_through_the_guide(here, monkeypatch, capsys):
    prepare, write, browse, train, test, train_cached = COMMANDS
    assert prepare == 'python -m mmseg_adapt.demo.streets data/streets'  # here: fewer images, by the fixture
    run(write, monkeypatch)
    said = capsys.readouterr().out
    assert 'source: 4 pairs, data/streets/source/images/*.png + data/streets/source/labels/*.png' in said
    assert '  sizes: 4 of 192×96\n  ids in 4 labels: 0, 1, 2, 3, 4, 5, 6, 7\n' in said
    assert 'target: 4 images, data/streets/target/train/images/*.png' in said
    assert 'target, validation: 2 pairs, data/streets/target/val/images/*.png' in said
    labels = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (here / 'data/streets/source/labels').iterdir()]
    assert f'share of the pixels: road {100 * (np.stack(labels) == 0).mean():.1f} %, sidewalk' in said
    config = Path('configs/own/streets.py').read_text()
    assert [line for line in config.splitlines() if len(line) > 120 and '_base_/' not in line] == []

    run(browse, monkeypatch)
    assert cv2.imread('work_dirs/streets/data.png').shape[0] > 500
    run(train, monkeypatch, '--cfg-options', *FEW, 'experiment_name=walk', 'visualizer.name=walk')
    capsys.readouterr()
    few = test.replace('iter_500.pth', 'iter_2.pth')
    assert few != test
    assert Config.fromfile('configs/own/streets.py').train_cfg.max_iters == 500
    run(few, monkeypatch, '--cfg-options', *FEW, 'experiment_name=walk_test', 'visualizer.name=walk_test')
    assert 'IoU.car' in capsys.readouterr().out
    assert sorted(os.listdir('work_dirs/streets/pictures')) == ['00000.png', '00001.png']
    run(train_cached, monkeypatch, '--cfg-options', *FEW, 'experiment_name=cached', 'visualizer.name=cached')
    assert list(Path('data/cache').rglob('*.npz'))
    assert Path('work_dirs/streets_cached/iter_2.pth').exists()


NEW = (
    'python tools/new_config.py own.py --source-images data/streets/source/images '
    '--source-labels data/streets/source/labels --target-images data/streets/target/train/images --network small '
)


def test_without_target_labels_a_config_trains_and_predicts(here, monkeypatch, capsys):
    run(NEW + '--classes street=0+1,road_user=6+7', monkeypatch)
    said = capsys.readouterr().out
    run(
        'python tools/train.py own.py', monkeypatch, '--cfg-options', *FEW[:5], 'experiment_name=o', 'visualizer.name=o'
    )
    command = 'python tools/test.py own.py work_dirs/own/iter_2.pth'
    run(command, monkeypatch, '--cfg-options', *FEW[5:7], 'experiment_name=ot', 'visualizer.name=ot')
    predicted = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in Path('work_dirs/own/predictions').iterdir()]
    assert [p.shape for p in predicted] == [(96, 192)] * 4
    assert np.stack(predicted).max() <= 1
    labels = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in Path('data/streets/source/labels').iterdir()]
    ignored = 100 * np.isin(np.stack(labels), [2, 3, 4, 5]).mean()
    assert f'ignored {ignored:.1f} %' in said


def test_the_default_network_is_the_papers_with_as_many_classes_as_were_named(here, monkeypatch):
    run(NEW.replace(' --network small', '') + '--classes street=0+1,other=2+3+4+5,road_user=6+7', monkeypatch)
    cfg = Config.fromfile('own.py')
    cfg.model.segmentor.backbone.init_cfg = None
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert {level: d.in_channels for level, d in model.discriminator.items()} == {'decode': 3, 'aux': 3}
    assert model.decode_head.num_classes == model.segmentor.auxiliary_head.num_classes == 3
    assert cfg.train_dataloader.batch_size == 1
    assert re.findall(r'model\.lambda_adv\.(\w+)=0', GUIDE) == list(cfg.model.lambda_adv)  # no level plays on
    steps = [step.type for step in cfg.train_dataloader.dataset.source.pipeline]
    assert steps == ['LoadImage', 'LoadLabels', 'Resize', 'RandomFlip', 'PhotoMetricDistortion', 'PackSegInputs']


@pytest.mark.parametrize('method', ['dacs', 'daformer', 'mic'])
def test_a_config_of_self_training_trains_and_tests(method, here, monkeypatch, capsys):
    run(NEW + f'--classes street=0+1,other=2+3+4+5,road_user=6+7 --method {method}', monkeypatch)
    monkeypatch.setenv('XDG_CACHE_HOME', str(here / 'cache'))
    few = [*FEW[:5], f'experiment_name={method}', f'visualizer.name={method}']
    run('python tools/train.py own.py', monkeypatch, '--cfg-options', *few)
    parts = {key.split('.')[0] for key in load('work_dirs/own/iter_2.pth')['state_dict']}
    assert parts == {'segmentor', 'teacher'}
    assert (here / 'cache/mmseg_adapt/class_statistics').exists() == (
        method == 'daformer'
    )  # classes are counted for rare class sampling
    run(
        'python tools/test.py own.py work_dirs/own/iter_2.pth',
        monkeypatch,
        '--cfg-options',
        *FEW[5:7],
        f'experiment_name={method}t',
    )
    assert len(list(Path('work_dirs/own/predictions').iterdir())) == 4
    assert cv2.imread('work_dirs/own/predictions/00000.png', -1).shape == (96, 192)  # whole images are tested


@pytest.mark.parametrize('method', ['dacs', 'daformer', 'mic'])
def test_a_config_of_self_training_for_the_papers_network_is_built(method, here, monkeypatch):
    command = (
        NEW.replace(' --network small', '') + f'--classes street=0+1,other=2+3+4+5,road_user=6+7 --method {method}'
    )
    run(command, monkeypatch)
    cfg = Config.fromfile('own.py')
    assert bool(cfg.model.get('feature_distance')) == (method == 'daformer')
    assert cfg.train_dataloader.batch_size == 2
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert model.decode_head.num_classes == 3
    for domain in ('source', 'target'):
        assert [step.type for step in cfg.train_dataloader.dataset[domain].pipeline][-3:-1] == [
            'RandomCrop',
            'RandomFlip',
        ]
    assert [step.type for step in cfg.train_dataloader.dataset.source.pipeline][:4] == [
        'LoadImage',
        'LoadLabels',
        'Resize',
        'PhotoMetricDistortion',
    ]
    assert [step.type for step in cfg.test_dataloader.dataset.pipeline] == ['LoadImage', 'Resize', 'PackSegInputs']


@pytest.mark.parametrize('method', ['adaptsegnet', 'mic'])
def test_a_config_for_dinov2_is_built_and_its_sizes_are_multiples_of_the_patch(method, here, monkeypatch):
    command = NEW.replace('--network small', '--network dinov2') + f'--classes street=0+1,other=2+3 --method {method}'
    run(command, monkeypatch)
    cfg = Config.fromfile('own.py')
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert model.decode_head.num_classes == 2
    wrapper_cfg = dict(cfg.optim_wrapper)
    kind = wrapper_cfg.pop('constructor')
    wrappers = OPTIM_WRAPPER_CONSTRUCTORS.build(dict(type=kind, optim_wrapper_cfg=wrapper_cfg))(model)
    assert len({group['lr'] for group in wrappers['segmentor'].optimizer.param_groups}) == 14  # 12 blocks
    pipelines = [cfg.train_dataloader.dataset[domain].pipeline for domain in ('source', 'target')]
    steps = [step for pipeline in [*pipelines, cfg.test_dataloader.dataset.pipeline] for step in pipeline]
    sides = [side for step in steps for side in step.get('crop_size', step.get('scale', ()))]
    assert len(sides) >= 6 and not [side for side in sides if side % 14]


@pytest.mark.parametrize(
    ('network', 'source', 'target', 'expected'),
    [
        ('small', (160, 80), (320, 240), ((160, 80), (160, 120))),
        ('small', (333, 222), (333, 111), ((333, 222), (333, 111))),
        ('small', (720, 1280), (1280, 720), ((720, 1280), (1280, 720))),
        ('r101', (1914, 1052), (2048, 1024), ((1296, 712), (1296, 648))),  # above 1280×720
        ('r101', (4000, 3000), (640, 480), ((640, 480), (640, 480))),
        ('dinov2', (160, 80), (320, 240), ((154, 84), (154, 112))),
    ],
)
def test_both_domains_get_the_same_longer_side_and_keep_their_shapes(network, source, target, expected):
    looks = dict(source=SimpleNamespace(size=source), target=SimpleNamespace(size=target))
    assert tuple(scales_of(looks, network, keep_sizes=False).values()) == expected


def test_two_sizes_are_said_to_be_made_one_unless_a_pixel_is_the_same_distance_in_both(here, monkeypatch, capsys):
    shutil.copytree('data/streets/target/train/images', 'smaller')
    for path in Path('smaller').iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (160, 120)))
    command = NEW.replace('data/streets/target/train/images', 'smaller') + '--classes street=0+1,other=2+3+4+5 '
    scales = []
    for flag, said in (
        ('', 'resized to: source 160×80, target 160×120, so that things have about the same size in both. If a pixel'),
        ('--keep-sizes', ''),
    ):
        Path('own.py').unlink(missing_ok=True)
        run(command + flag, monkeypatch)
        printed = capsys.readouterr().out
        assert said in printed and ('resized' in printed) == bool(said)
        dataset = Config.fromfile('own.py').train_dataloader.dataset
        steps = [step for domain in ('source', 'target') for step in dataset[domain].pipeline]
        scales.append([tuple(step.scale) for step in steps if step.type == 'Resize'])
    assert scales == [[(160, 80), (160, 120)], [(192, 96), (160, 120)]]


def test_a_config_is_never_overwritten(here, monkeypatch, capsys):
    Path('own.py').write_text('mine')
    assert 'own.py exists: choose another name, or remove it' in refusal(NEW + '--classes road', monkeypatch, capsys)
    assert Path('own.py').read_text() == 'mine'


def refusal(command: str, monkeypatch, capsys) -> str:
    """The one sentence on standard error with which a command stops."""
    with pytest.raises(SystemExit) as stop:
        run(command, monkeypatch)
    assert stop.value.code == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    return line.removeprefix('error: ')


VAL = '--target-val-images data/streets/target/val/images --target-val-labels data/streets/target/val/labels '


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ('--classes ""', "--classes '' contains no class: write e.g. road,car"),
        ('--classes road,car,road', "--classes has 'road' twice: join its ids with +"),
        ('--classes road=0,car', '--classes gives ids to some classes only: write car=<id>'),
        ('--classes road=0,car=0+7', '--classes has the id 0 twice'),
        ('--classes road=256,car=7', "--classes: '256' is not a class id: ids must be in 0…255"),
        ('--classes road=x,car=7', "--classes: 'x' is not a class id"),
        ('--classes road,car', 'source/labels contains the ids [0, 1, 2, 3, 4, 5, 6, 7], but --classes has 2 classes'),
        ('--classes road=70,car=71', 'but none of those in --classes: write the id of each class'),
        (
            VAL + '--classes road=0,sky=5 --target-val-classes car=7',
            '--classes (road, sky) and --target-val-classes (car) have no common class',
        ),
        (
            VAL + '--classes road=0,sky=5 --target-val-classes road=0,car=7',
            "has 'car': it must be one of --classes, road, sky",
        ),
        (
            '--classes road=0,car=7 --source-images nowhere',
            'nowhere does not exist: pass the folder',
        ),
        (
            '--classes road=0,car=7 --target-images data/empty',
            'no image in data/empty: pass the folder',
        ),
    ],
)
def test_what_cannot_become_a_config_is_refused_in_one_sentence(options, message, here, monkeypatch, capsys):
    (here / 'data/empty').mkdir()
    assert message in refusal(NEW + options, monkeypatch, capsys)
    assert not Path('own.py').exists()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ('--look -1', '--look -1 must be at least 1'),
        ('--look 0', '--look 0 must be at least 1'),
    ],
)
def test_nothing_cannot_be_looked_at(options, message, here, monkeypatch, capsys):
    assert message in refusal(f'{NEW} --classes road=0 {options}', monkeypatch, capsys)


def test_a_config_is_named_py_and_written_in_utf_8_as_it_is_read(here, monkeypatch, capsys):
    command = f'{NEW} --classes straße=0,car=7'
    assert 'own is not a Python file: pass own.py' in refusal(command.replace('own.py', 'own'), monkeypatch, capsys)
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, 'C')  # where files are ASCII if nothing else is said
    try:
        run(command, monkeypatch)
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    assert Config.fromfile('own.py').metainfo.classes == ('straße', 'car')


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def tree(root: Path, *names: str, label: np.ndarray | None = None) -> None:
    """Images, and labels where ``labels`` stands in the path."""
    for name in names:
        ids = np.arange(16, dtype=np.uint8).reshape(4, 4) if label is None else label
        write(root / name, ids if 'labels' in name else np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ('images', 'labels', 'suffixes'),
    [
        (['0001.png', '0002.png'], ['0001.png', '0002.png'], ('.png', '.png')),
        (['1.jpg', '10.jpg', '2.jpg'], ['1.png', '10.png', '2.png'], ('.jpg', '.png')),
        (['a/x_1_rgb.png', 'b/x_1_rgb.png'], ['a/x_1_seg.png', 'b/x_1_seg.png'], ('_rgb.png', '_seg.png')),
        (['u/u_0_leftImg8bit.png'], ['u/u_0_gtFine_labelIds.png'], ('_leftImg8bit.png', '_gtFine_labelIds.png')),
        (['7.png', '7_b.png'], ['7.png', '7_b.png'], ('.png', '.png')),
    ],
)
def test_names_are_paired_by_how_they_begin(images, labels, suffixes, tmp_path):
    tree(tmp_path, *(f'images/{n}' for n in images), *(f'labels/{n}' for n in labels))
    look = look_at(str(tmp_path / 'images'), str(tmp_path / 'labels'))
    assert (look.img_suffix, look.seg_map_suffix) == suffixes
    assert len(look.names) == len(images)
    assert look.without_label == look.without_image == []


def test_images_and_labels_without_a_partner_are_counted_and_left_out(here, monkeypatch, capsys):
    shutil.copytree('data/streets', 'own')
    Path('own/source/labels/00001.png').unlink()
    Path('own/source/images/00002.png').unlink()
    command = NEW.replace('data/streets', 'own') + f'--classes {",".join(streets.CLASSES)}'
    assert (
        '2 images of own/source/images have a label in own/source/labels; 1 images are unpaired, such as 00001; '
        '1 labels are unpaired, such as 00002: set the word that differs'
    ) in refusal(command, monkeypatch, capsys)
    run(f'{command} --allow-unpaired', monkeypatch)
    said = capsys.readouterr().out
    assert 'source: 2 pairs' in said
    assert 'skipped: 1 images without a label, such as 00001' in said
    assert 'skipped: 1 labels without an image, such as 00002' in said
    assert Config.fromfile('own.py').train_dataloader.dataset.source.without_label == 'skip'


def test_the_labelled_ones_among_the_target_images_validate_where_no_others_are_named(here, monkeypatch, capsys):
    (here / 'few').mkdir()
    shutil.copy('data/streets/source/labels/00000.png', 'few/00002.png')
    run(NEW + '--classes road=0,car=7 --target-val-labels few --target-val-classes car=7', monkeypatch)
    assert 'target, validation: 1 pairs' in capsys.readouterr().out
    cfg = Config.fromfile('own.py')
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    (sample,) = list(dataset)
    assert sample['data_samples'].img_path == 'data/streets/target/train/images/00002.png'
    truth = cv2.imread('few/00002.png', cv2.IMREAD_UNCHANGED)
    assert np.array_equal(sample['data_samples'].gt_sem_seg.data[0], np.where(truth == 7, 1, 255))  # road: no id here
    assert 'seg_map_path' not in cfg.train_dataloader.dataset.target.data_prefix


def test_carlas_raw_labels_are_read_from_their_red_channel(here, monkeypatch, capsys):
    shutil.copytree('data/streets', 'own')
    for path in Path('own/source/labels').iterdir():
        ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        write(path, np.stack([ids, ids * 0, ids * 0, ids * 0 + 255], axis=-1))
    run(NEW.replace('data/streets', 'own') + f'--classes {",".join(streets.CLASSES)}', monkeypatch)
    assert 'ids in 4 labels (their red channel): 0, 1, 2, 3, 4, 5, 6, 7' in capsys.readouterr().out
    assert Config.fromfile('own.py').train_dataloader.dataset.source.label_channel == 'red'


def test_the_guides_conversion_makes_ids_of_colours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (script,) = re.findall(r'```python\n(.*?)```', GUIDE, flags=re.S)
    write(tmp_path / 'colours/a.png', np.array([[[128, 64, 128], [0, 0, 142], [1, 2, 3], [244, 35, 232]]], np.uint8))
    exec(script, {})
    assert cv2.imread('labels/a.png', cv2.IMREAD_UNCHANGED).tolist() == [[0, 2, 255, 1]]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda r: tree(r, 'images/1.jpg'),
            r'images/1.jpg and 1.png differ only in their file extension: keep one of them',
        ),
        (lambda r: tree(r, 'labels/1.tif'), r'labels/1.png and 1.tif differ only in their file extension'),
        (lambda r: write(r / 'labels/1.png', np.full((4, 4), 300, np.uint16)), r'1.png contains ids up to 300'),
        (
            lambda r: write(r / 'labels/1.png', np.zeros((4, 5), np.uint8)),
            r'labels/1.png is 5×4, but its image .* is 4×4',
        ),
        (lambda r: (r / 'images/1.png').write_bytes(b'no image'), r'images/1.png cannot be read'),
        (
            lambda r: tree(r, 'labels/1_color.png'),
            r'1.png has several labels in .*, ending with .png, _color.png: choose',
        ),
        (
            lambda r: [p.rename(p.with_name(f'lbl{ord(p.name[0])}.png')) for p in list((r / 'labels').iterdir())],
            r'no name in .*labels matches one in .*images, such as lbl49.png and 1.png: set the word ',
        ),
    ],
)
def test_folders_that_cannot_be_read_as_pairs_are_refused_by_name(change, message, tmp_path):
    tree(tmp_path, 'images/1.png', 'images/2.png', 'labels/1.png', 'labels/2.png')
    change(tmp_path)
    with pytest.raises(UserError, match=message):
        look_at(str(tmp_path / 'images'), str(tmp_path / 'labels'))


def test_labels_that_are_colours_are_refused(tmp_path):
    tree(tmp_path, 'images/1.png')
    write(tmp_path / 'labels/1.png', np.full((4, 4, 3), (128, 64, 128), np.uint8))
    with pytest.raises(UserError, match='labels/1.png contains colours, .*: export ids .*docs/own_data.md'):
        look_at(str(tmp_path / 'images'), str(tmp_path / 'labels'))
    tree(tmp_path, 'images/0.png')
    write(tmp_path / 'labels/0.png', np.zeros((4, 4, 3), np.uint8))  # black says nothing of the others
    with pytest.raises(UserError, match='labels/1.png contains colours'):
        look_at(str(tmp_path / 'images'), str(tmp_path / 'labels'))


def test_a_photo_on_its_side_is_looked_at_as_it_is_loaded(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (8, 6)).save(tmp_path / 'images/1.jpg', exif=exif)
    loaded = LoadImage()(dict(img_path=str(tmp_path / 'images/1.jpg')))['img']
    assert loaded.shape == (8, 6, 3)
    assert look_at(str(tmp_path / 'images')).size == (6, 8)
    write(tmp_path / 'labels/1.png', np.zeros((8, 6), np.uint8))
    assert look_at(str(tmp_path / 'images'), str(tmp_path / 'labels')).size == (6, 8)


def test_one_kind_of_several_labels_is_chosen_by_its_suffix(tmp_path):
    tree(tmp_path, 'images/1_leftImg8bit.png', 'labels/1_gtFine_color.png', 'labels/1_gtFine_labelIds.png')
    look = look_at(str(tmp_path / 'images'), str(tmp_path / 'labels'), Wanted(label_suffix='_gtFine_labelIds.png'))
    assert (look.img_suffix, look.seg_map_suffix, look.names) == ('_leftImg8bit.png', '_gtFine_labelIds.png', ['1'])
