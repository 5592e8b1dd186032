"""Every benchmark's config trains and tests on a fake tree in its data set's published layout."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from small_networks import MIT, RESNET, shrink_model

from mmseg_adapt.style import RenderStore

from .test_training import scalars
from .tiny import CONFIGS, train


def image(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (64, 128, 3), np.uint8))


def label(path: Path, highest: int) -> None:
    """Every id from 0 to ``highest``, in blocks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.resize(np.arange(highest + 1, dtype=np.uint8), (8, 16))
    cv2.imwrite(str(path), np.kron(ids, np.ones((8, 8), np.uint8)))


def gta(root):
    for name in ('00001.png', '00002.png'):
        image(root / 'images' / name)
        label(root / 'labels' / name, 34)


def synthia(root):
    image(root / 'RGB/0000000.png')
    label(root / 'GT/LABELS/0000000.png', 22)
    ids = cv2.imread(str(root / 'GT/LABELS/0000000.png'), cv2.IMREAD_UNCHANGED).astype(np.uint16)
    cv2.imwrite(str(root / 'GT/LABELS/0000000.png'), np.stack([ids * 0, ids * 0 + 500, ids], axis=-1))


def cityscapes(root):
    for split in ('train', 'val'):
        image(root / f'leftImg8bit/{split}/ulm/ulm_000000_leftImg8bit.png')
        label(root / f'gtFine/{split}/ulm/ulm_000000_gtFine_labelIds.png', 33)
    image(root / 'leftImg8bit/train/ulm/ulm_000001_leftImg8bit.png')
    label(root / 'gtFine/train/ulm/ulm_000001_gtFine_labelIds.png', 33)


def cross_city(root):
    for city in ('Rome', 'Rio', 'Tokyo', 'Taipei'):
        image(root / city / 'Images/Train/a.png')
        image(root / city / 'Images/Test/b.png')
        label(root / city / 'Labels/Test/b_eval.png', 33)


def bdd100k(root):
    image(root / 'images/10k/train/a.jpg')
    image(root / 'images/10k/train/c.jpg')
    image(root / 'images/10k/val/b.jpg')
    label(root / 'labels/sem_seg/masks/val/b.png', 18)


def acdc(root):
    for split, kind in (('train', ''), ('val', ''), ('train_ref', '_ref')):
        for condition in ('fog', 'night', 'rain', 'snow'):
            name = f'{condition}/{split}/GOPR0475/GOPR0475_frame_000247'
            image(root / f'rgb_anon/{name}_rgb{kind}_anon.png')
            if split == 'val':
                label(root / f'gt/{name}_gt_labelTrainIds.png', 18)


def dark_zurich(root):
    image(root / 'rgb_anon/train/night/GOPR0351/GOPR0351_frame_000001_rgb_anon.png')
    image(root / 'rgb_anon/val/night/GOPR0356/GOPR0356_frame_000324_rgb_anon.png')
    label(root / 'gt/val/night/GOPR0356/GOPR0356_frame_000324_gt_labelTrainIds.png', 18)


TREES = dict(gta=gta, synthia=synthia, cityscapes=cityscapes, cross_city=cross_city, bdd100k=bdd100k)
TREES.update(acdc=acdc, dark_zurich=dark_zurich)


@pytest.fixture(scope='module')
def trees(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('trees')
    for name, make in TREES.items():
        make(root / name)
    renders_of(root / 'gta', root / 'renders')
    for backbone in (dict(MIT, type='DAFormerMixTransformer'), dict(RESNET, type='ResNetV1c')):
        torch.save(MODELS.build(backbone).state_dict(), root / f'{backbone["type"]}.pth')
    return root


def renders_of(data: Path, folder: Path) -> None:
    """A store with a render of every image: the image, darker."""
    store = RenderStore(folder)
    store.create({}, {})
    for file in sorted((data / 'images').rglob('*.png')):
        store.add(file.stem, cv2.imread(str(file)) // 2, file)


def shrink(cfg: Config, root: Path) -> None:
    """The config's own data, game, optimisers and evaluation, on small images and a narrow ResNet-18 or VGG."""
    discriminator = cfg.model.get('discriminator', {}).get('backbone', {})
    stride_256 = discriminator.get('type') == 'OutputSpaceDiscriminator'  # its own 32 times the features' 8
    two_scales = cfg.model.get('segmentor', {}).get('type') == 'HRDASegmentor'  # one of which sees half the crop
    height = 256 if stride_256 else 128 if two_scales else 64
    crop = (96, 128) if two_scales else (48, 64)
    small = dict(
        Resize=dict(scale=(2 * height, height)),
        RandomCrop=dict(crop_size=crop),
        RareClassCrop=dict(crop_size=crop, min_pixels=64),
        HRDASegmentor=dict(detail_crop=(48, 64)),
        RareClassOrder=dict(min_pixels=64, statistics=str(root / 'statistics')),
        AANStyleTransfer=dict(renders=str(root / 'renders')),
        AdaptBNHook=dict(batch_size=2),
        PseudoLabelMargins=dict(top=2, bottom=4, left=2, right=2),
    )
    shrink_model(cfg.model)

    def walk(node):
        if isinstance(node, dict):
            for key in ('data_root', 'target'):  # 'target': of ColourTransfer
                if isinstance(node.get(key), str):
                    node[key] = node[key].replace('data/', f'{root}/')
            node.update(small.get(node.get('type'), {}))
            node.update({key: 0 for key in ('num_workers', 'persistent_workers') if key in node})
            if 'indices' in node:
                node['indices'] = [0]
            if node.get('init_cfg'):
                file = root / f'{node["type"]}.pth'
                node['init_cfg'] = dict(type='Pretrained', checkpoint=str(file)) if file.exists() else None
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
            walk(child)

    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'model', 'custom_hooks'):
        walk(cfg.get(key))
    cfg.train_cfg.update(max_iters=2, val_interval=2)
    cfg.default_hooks.logger.interval = 1


ELSEWHERE = re.compile('deeplabv3plus|segformer')  # trained by test_training.py and test_stock_config.py
SAME = re.compile('semi[12]|bdd_(fcn|ada|conv|ran_aan)')  # as their neighbours, of other numbers
NAMES = sorted(
    f'{folder}/{path.name}'
    for folder in ('adaptseg', 'advent', 'dacs', 'daformer', 'fcan', 'mic', 'oracle', 'source_only')
    for path in (CONFIGS / folder).glob('*.py')
    if not ELSEWHERE.search(path.name) and not SAME.search(path.name)
)


@pytest.mark.parametrize('name', NAMES)
def test_a_benchmark_trains_and_tests_on_its_published_layout(name, trees, tmp_path):
    cfg = Config.fromfile(CONFIGS / name)
    shrink(cfg, trees)
    cfg.work_dir, cfg.launcher = str(tmp_path), 'none'
    train(cfg)
    log = scalars(tmp_path)
    assert all(np.isfinite(v) for row in log[:-1] for v in row.values())
    result = log[-1]
    trained = {'mix.decode.loss_ce'} if name.startswith(('dacs', 'daformer', 'mic')) else set()
    trained |= {'loss_feature_distance'} if 'feature_distance' in cfg.model else set()
    trained |= {'masked.decode.loss_ce'} if name.startswith('mic') else set()
    assert trained <= log[0].keys()
    classes = 13 if 'cs2r' in name or 'cs2t' in name else 19
    assert len([k for k in result if k.startswith('IoU.')]) == classes
    if 'synthia' in name:
        left_out = ('terrain', 'truck', 'train')
        sixteen = [v for k, v in result.items() if k.startswith('IoU.') and k[4:] not in left_out]
        assert result['mIoU16'] == pytest.approx(np.nanmean(sixteen), abs=0.02)
        assert {'mIoU', 'mIoU13'} <= result.keys()
