"""The colour map against its formula in NumPy, and ColourTransfer in a pipeline."""

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmseg.registry import TRANSFORMS

from mmseg_adapt.errors import UserError
from mmseg_adapt.style import ColourTransfer, RenderStore, Style, colour_map, style_of
from mmseg_adapt.style.colour import colour_features, colour_gram, moments, recoloured

from .tiny import CONFIGS


def image(seed=0, size=(24, 32)) -> np.ndarray:
    """BGR float64 (H, W, 3) in 0–255 whose channels depend on each other."""
    rng = np.random.default_rng(seed)
    mix = np.eye(3) + 0.3 * rng.normal(size=(3, 3))
    mixed = 40 * rng.normal(size=(*size, 3)) @ mix + rng.uniform(60, 190, 3)
    return mixed.clip(0, 255)


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].double()


def pixels(images: torch.Tensor) -> np.ndarray:
    return images[0].permute(1, 2, 0).reshape(-1, 3).numpy()


def root(matrix: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(values**power) @ vectors.T


# ---- the closed form ----


def test_the_map_is_the_formula_of_the_optimal_transport_between_normal_distributions():
    source, pool = image(0), [image(1), image(2, (30, 20))]
    mean_s, cov_s = source.reshape(-1, 3).mean(0), np.cov(source.reshape(-1, 3).T, bias=True)
    # every image of the pool counts alike: first and second moments are averaged over images
    mean_t = np.mean([p.reshape(-1, 3).mean(0) for p in pool], axis=0)
    cov_t = np.mean([p.reshape(-1, 3).T @ p.reshape(-1, 3) / p[..., 0].size for p in pool], axis=0)
    cov_t = cov_t - np.outer(mean_t, mean_t)
    matrix = root(cov_s, -0.5) @ root(root(cov_s, 0.5) @ cov_t @ root(cov_s, 0.5), 0.5) @ root(cov_s, -0.5)
    gram = sum(colour_gram(tensor(p))[0] for p in pool) / 2
    ours, offset = colour_map(colour_gram(tensor(source))[0], gram)
    np.testing.assert_allclose(ours, matrix, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(offset, mean_t - matrix @ mean_s, rtol=1e-6, atol=1e-6)
    expected = (source.reshape(-1, 3) - mean_s) @ matrix.T + mean_t
    np.testing.assert_allclose(pixels(recoloured(tensor(source), gram)), expected, rtol=1e-6, atol=1e-6)


def test_an_image_takes_the_pools_moments_and_one_of_the_pools_moments_stays():
    source, gram = tensor(image(0)), colour_gram(tensor(image(1)))[0]
    for ours, theirs in zip(moments(colour_gram(recoloured(source, gram))[0]), moments(gram)):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(recoloured(source, colour_gram(source)[0]), source, rtol=1e-6, atol=1e-6)
    both = torch.cat([source, tensor(image(2))])  # every image of a batch by itself
    torch.testing.assert_close(recoloured(both, gram)[1:], recoloured(both[1:], gram))


def test_grey_images_single_colours_and_a_pool_of_one_image_give_numbers():
    grey = image(3)[..., :1].repeat(3, axis=2)
    flat = np.full((24, 32, 3), (10.0, 20.0, 30.0))
    colourful = image(1)
    for source in (grey, flat, colourful, flat + 1e-3 * image(4)):
        for pool in (grey, flat, colourful):
            gram = colour_gram(tensor(pool))[0]
            mapped = recoloured(tensor(source), gram)
            assert mapped.isfinite().all()
            torch.testing.assert_close(mapped.mean((0, 2, 3)), moments(gram)[0])
    gram = colour_gram(tensor(colourful))[0]
    line = pixels(recoloured(tensor(grey), gram))
    shifted = line - line.mean(0)
    np.testing.assert_allclose(shifted - shifted[:, :1], 0, atol=1e-6)  # the offset may have a colour, the spread not
    along = np.full(3, 3**-0.5)
    assert np.var(shifted @ along) == pytest.approx(along @ moments(gram)[1].numpy() @ along, rel=1e-6)
    assert np.ptp(pixels(recoloured(tensor(flat), gram)), axis=0).max() < 1e-9


# ---- the transform ----


@pytest.fixture
def folder(tmp_path):
    """Two target images, of two sizes."""
    (tmp_path / 'target').mkdir()
    for seed, size in ((1, (24, 32)), (2, (20, 40))):
        cv2.imwrite(str(tmp_path / 'target' / f'{seed}.png'), image(seed, size).round().astype(np.uint8))
    return tmp_path / 'target'


def pool_gram(folder) -> torch.Tensor:
    return sum(colour_gram(tensor(cv2.imread(str(f)).astype(float)))[0] for f in folder.iterdir()) / 2


def of_folder(folder, **kwargs):
    return TRANSFORMS.build(dict(type='ColourTransfer', target=str(folder), **kwargs))


def test_a_uint8_image_is_mapped_rounded_and_cut_off_and_its_labels_stay(folder):
    source, label = image(0).round().astype(np.uint8), np.arange(24 * 32).reshape(24, 32)
    results = of_folder(folder)(dict(img=source.copy(), gt_seg_map=label, seg_fields=['gt_seg_map'], img_path='a.png'))
    exact = pixels(recoloured(tensor(source.astype(float)), pool_gram(folder))).reshape(source.shape)
    assert results['img'].dtype == np.uint8
    assert (exact < -1).any() or (exact > 256).any()
    expected = np.rint(exact.clip(0, 255))
    close = np.abs(exact - np.floor(exact) - 0.5) > 1e-3  # float32 may round a half to either side
    assert (results['img'] == expected)[close].all()
    assert np.array_equal(results['gt_seg_map'], np.arange(24 * 32).reshape(24, 32))
    single = of_folder(folder)(dict(img=source.astype(np.float32)))['img']
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact.clip(0, 255), atol=1e-3)


def test_a_style_file_and_a_store_say_the_same_as_the_folder(folder, tmp_path):
    pool = [tensor(cv2.imread(str(f)).astype(float)).float() for f in sorted(folder.iterdir())]
    store = RenderStore(tmp_path / 'store')
    store.create({}, {})
    store.add_style(style_of(lambda x: dict(colour=colour_features(x)), pool))
    for target in (tmp_path / 'store', tmp_path / 'store/style.pth'):
        torch.testing.assert_close(of_folder(target).colours, of_folder(folder).colours, rtol=1e-5, atol=0)


def test_prob_is_the_share_that_is_changed_and_every_image_draws_one_number(folder):
    source, steps = image(0).round().astype(np.uint8), of_folder(folder, prob=0.3)
    np.random.seed(0)
    drawn = np.random.rand(100) < 0.3
    np.random.seed(0)
    assert [not np.array_equal(steps(dict(img=source))['img'], source) for _ in range(100)] == drawn.tolist()


def test_the_pool_is_read_as_it_is_told_to_and_no_more_images_than_count(folder):
    crop = [dict(type='LoadImage'), dict(type='CropBox', top=5, right=20)]
    one = of_folder(folder, read=crop, count=1)
    first = cv2.imread(str(folder / '1.png')).astype(float)
    torch.testing.assert_close(one.colours, colour_gram(tensor(first[5:, :20]))[0])


def test_further_bands_stay_and_a_single_band_takes_the_pools_brightness(tmp_path, folder):
    bands = np.concatenate([image(0)[..., ::-1], np.full((24, 32, 1), 7.0)], axis=2).astype(np.float32)
    reading = dict(channels=(0, 1, 2, 3))
    steps = of_folder(folder)
    steps.reading = reading
    changed = steps(dict(img=bands, **reading))['img']
    assert (changed[..., 3] == 7).all()
    rgb = of_folder(folder)(dict(img=bands[..., 2::-1].copy()))['img']
    np.testing.assert_allclose(changed[..., :3], rgb[..., ::-1])
    grey = tmp_path / 'grey'
    grey.mkdir()
    cv2.imwrite(str(grey / '1.png'), (0.5 * image(5)[..., 0]).astype(np.uint8))
    pool = cv2.imread(str(grey / '1.png'), cv2.IMREAD_GRAYSCALE)
    single = of_folder(grey)(dict(img=image(6)[..., :1].astype(np.float32)))['img']
    assert single.shape == (24, 32, 1)
    assert (single.mean(), single.std()) == pytest.approx((pool.mean(), pool.std()), rel=0.02)


def test_the_test_time_direction_is_the_same_transform_behind_a_crop(folder, tmp_path):
    cv2.imwrite(str(tmp_path / 'test.png'), image(0).round().astype(np.uint8))
    steps = [dict(type='LoadImage'), dict(type='CropBox', top=4), dict(type='ColourTransfer', target=str(folder))]
    results = Compose([TRANSFORMS.build(step) for step in steps])(dict(img_path=str(tmp_path / 'test.png')))
    cropped = cv2.imread(str(tmp_path / 'test.png'))[4:].astype(float)
    exact = pixels(recoloured(tensor(cropped), pool_gram(folder))).reshape(cropped.shape).clip(0, 255)
    np.testing.assert_allclose(results['img'], exact, atol=0.501)


def test_what_cannot_be_meant_is_refused_in_a_sentence(folder, tmp_path):
    (tmp_path / 'labels').mkdir()
    cv2.imwrite(str(tmp_path / 'labels/1.png'), np.arange(24 * 32, dtype=np.uint8).reshape(24, 32))
    style = tmp_path / 'style.pth'
    style.write_bytes(Style({'conv1': torch.eye(3)}).dumps())
    source = image(0).round().astype(np.uint8)
    steps = of_folder(tmp_path / 'labels')
    with pytest.raises(UserError, match=r'labels are grey \(or one colour\), but a.png is not and would lose'):
        steps(dict(img=source, img_path='a.png'))
    with pytest.raises(UserError, match='target were read with value_range=None, but LoadImage of this pipeline has'):
        of_folder(folder)(dict(img=source, value_range=(0.0, 99.0)))
    for kwargs, message in (
        (dict(target=str(style)), 'style.pth needs the target.s colours, .* the layers conv1: add'),
        (dict(target='nowhere'), 'nowhere does not exist: set ColourTransfer.target to a folder'),
        (dict(target=str(CONFIGS)), 'configs contains no images'),
        (dict(target=str(CONFIGS / 'README.md')), 'README.md is not a style file'),
        (dict(target=str(folder), prob=-1), 'prob = -1 must be between 0 and 1'),
        (dict(target=str(folder), count=0), 'count = 0 must be at least 1'),
        (dict(target=str(folder), read=[dict(type='Lod')]), 'ColourTransfer.read: '),
    ):
        with pytest.raises(UserError, match=message):
            ColourTransfer(**kwargs)


def test_the_row_of_the_test_time_direction_differs_from_source_only_in_the_test_images_colours():
    plain, row = (
        Config.fromfile(CONFIGS / f'real/carla2camvid_{name}.py').to_dict() for name in ('source_only', 'target_colour')
    )
    for name in ('val_dataloader', 'test_dataloader'):
        steps = row[name]['dataset']['pipeline']
        assert steps.pop(3) == dict(type='ColourTransfer', target='data/carla/images')
        assert steps == plain[name]['dataset']['pipeline']
    assert row['train_dataloader'] == plain['train_dataloader']


@pytest.mark.parametrize(
    'name',
    [
        'real/carla2camvid_{}_source_only.py',
        'real/carla2camvid_{}_dacs.py',
        'real/carla2camvid_fcan_ran_{}.py',
        'demo/streets_fcan_ran_{}.py',
        'fcan/gta2cs_ran_{}.py',
    ],
)
def test_colour_rows_differ_from_aans_in_the_transform_alone(name):
    rows = [Config.fromfile(CONFIGS / name.format(change)).to_dict() for change in ('colour', 'aan')]
    for row in rows:
        source = row['train_dataloader']['dataset']
        row['changed'] = source.get('source', source)['pipeline'].pop(1)
    assert [row.pop('changed')['type'] for row in rows] == ['ColourTransfer', 'AANStyleTransfer']
    keys = (
        'model',
        'train_dataloader',
        'val_dataloader',
        'optim_wrapper',
        'train_cfg',
        'param_scheduler',
        'custom_hooks',
    )
    for key in keys:
        assert rows[0][key] == rows[1][key], key
