"""Images of other than 8 bits and three bands: read as what they hold, by everything that reads images."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS, TRANSFORMS
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_adapt import Predictor
from mmseg_adapt.cli.look import look_at
from mmseg_adapt.cli.reading import readings_of
from mmseg_adapt.datasets.cache import Cached
from mmseg_adapt.datasets.transforms import LoadImage
from mmseg_adapt.demo import streets
from mmseg_adapt.errors import UserError
from mmseg_adapt.files.image import read_image
from mmseg_adapt.files.tiff import Tiff
from mmseg_adapt.pictures import printable, repainted, visible
from mmseg_adapt.style.job import RenderJob
from mmseg_adapt.style.store import RenderStore
from mmseg_adapt.weights.pretrained import CheckedPretrainedInit

from .bands import write_png16, write_tiff
from .test_own_data import FEW, refusal, run
from .tiny import random_checkpoint, tiny_config

RNG = np.random.default_rng(0)


def values(dtype: str, bands: int, high: float = 200, size: tuple[int, int] = (6, 5)) -> np.ndarray:
    numbers = RNG.random((*size, bands)) * high
    return numbers.astype(dtype)


def load(path: Path, **kwargs) -> np.ndarray:
    return LoadImage(**kwargs)(dict(img_path=str(path)))['img']


@pytest.mark.parametrize('apart', [False, True])
@pytest.mark.parametrize('bands', [1, 2, 3, 4, 5, 13])
@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'uint32', 'float32', 'float64'])
def test_a_tiff_is_read_as_it_was_written_whatever_its_bits_bands_and_order(dtype, bands, apart, tmp_path):
    image = values(dtype, bands)
    write_tiff(tmp_path / 'a.tif', image, apart)
    found = Tiff.parse((tmp_path / 'a.tif').read_bytes()).read()
    assert found.dtype == image.dtype
    assert np.array_equal(found, image)


@pytest.mark.parametrize(('name', 'write'), [('a.png', write_png16), ('a.tif', write_tiff)])
def test_16_bit_grey_is_scaled_by_its_range_and_repeated_for_a_network_of_three(name, write, tmp_path):
    image = values('uint16', 1, 4096)
    write(tmp_path / name, image)
    expected = np.repeat(255.0 * image / 65535, 3, axis=2)
    np.testing.assert_allclose(load(tmp_path / name), expected, rtol=1e-5)
    expected = np.repeat(np.clip(255.0 * (image - 100.0) / (4000 - 100), 0, 255), 3, axis=2)
    found = load(tmp_path / name, value_range=(100, 4000))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    assert load(tmp_path / name, channels=(0,)).shape == (6, 5, 1)


@pytest.mark.parametrize(('name', 'write'), [('a.png', write_png16), ('a.tif', write_tiff)])
def test_16_bit_colours_are_bgr_as_every_image(name, write, tmp_path):
    image = values('uint16', 3, 65535)
    write(tmp_path / name, image)
    np.testing.assert_allclose(load(tmp_path / name), 255.0 * image[..., ::-1] / 65535, rtol=1e-5)
    np.testing.assert_allclose(load(tmp_path / name, channels=(2, 1, 0)), 255.0 * image / 65535, rtol=1e-5)


def test_an_8_bit_image_is_what_pillow_reads_and_stays_uint8(tmp_path):
    image = values('uint8', 3)
    for name in ('a.png', 'a.tif', 'a.bmp', 'a.ppm'):
        Image.fromarray(image).save(tmp_path / name)
        assert load(tmp_path / name).dtype == np.uint8
        assert np.array_equal(load(tmp_path / name), image[..., ::-1])
    opaque = np.concatenate([image, np.full_like(image[..., :1], 255)], axis=2)
    Image.fromarray(opaque).save(tmp_path / 'b.png')
    assert np.array_equal(load(tmp_path / 'b.png'), image[..., ::-1])
    assert load(tmp_path / 'b.png').dtype == np.uint8


def test_four_bands_are_used_when_they_are_named_and_refused_when_they_are_not(tmp_path):
    image = values('uint16', 4, 1024)
    write_tiff(tmp_path / 'a.tif', image)
    found = load(tmp_path / 'a.tif', value_range=(0, 1023), channels=(0, 1, 2, 3))
    np.testing.assert_allclose(found, 255.0 * image / 1023, rtol=1e-5)
    np.testing.assert_allclose(
        load(tmp_path / 'a.tif', channels=(3, 1, 0))[..., 2], 255.0 * image[..., 3] / 65535, rtol=1e-5
    )
    with pytest.raises(
        UserError, match=r'a.tif has 4 bands .*list those to use in channels.*\(0, 1, 2, 3\) with in_channels=4'
    ):
        load(tmp_path / 'a.tif')
    with pytest.raises(UserError, match=r'a.tif has 4 bands, but channels=\(0, 4\) has band 4: count from 0'):
        load(tmp_path / 'a.tif', channels=(0, 4))


def test_transparency_that_hides_something_is_not_lost_without_a_word(tmp_path):
    Image.fromarray(values('uint8', 4)).save(tmp_path / 'a.png')
    with pytest.raises(UserError, match='a.png has 4 bands .the last one is a transparent alpha channel.: list those'):
        load(tmp_path / 'a.png')
    assert load(tmp_path / 'a.png', channels=(0, 1, 2)).shape == (6, 5, 3)


@pytest.mark.parametrize(
    ('image', 'reading', 'message'),
    [
        (values('float32', 3, 1), {}, r'contains floating point numbers, .*….*: set the values of black and white'),
        (np.full((2, 2, 1), np.nan, np.float32), dict(value_range=(0, 1)), 'contains NaN or infinite values'),
        (
            values('uint8', 3),
            dict(value_range=(0, 4095)),
            r'has 8 bits, values 0…255, which do not fit value_range=\(0, 4095\)',
        ),
    ],
)
def test_values_that_mean_nothing_without_a_word_are_refused(image, reading, message, tmp_path):
    write_tiff(tmp_path / 'a.tif', image)
    with pytest.raises(UserError, match=f'a.tif {message}'):
        load(tmp_path / 'a.tif', **reading)


@pytest.mark.parametrize(
    'reading', [dict(value_range=(1, 0)), dict(value_range=5), dict(value_range=(0, float('inf')))]
)
def test_a_range_is_two_rising_numbers(reading):
    with pytest.raises((UserError, TypeError), match='write the lowest and the highest value|not iterable'):
        LoadImage(**reading)


def test_what_is_guessed_or_cut_off_is_said_once(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmseg_adapt.files.image._said', set())
    monkeypatch.setattr('mmseg_adapt.files.image.print_log', lambda text, logger: said.append(text))
    write_png16(tmp_path / 'a.png', values('uint16', 1, 4096))
    for _ in range(2):
        load(tmp_path / 'a.png')
        load(tmp_path / 'a.png', value_range=(0, 1000))
    assert len(said) == 2
    assert '16 bits: 0…65535 is mapped to 0…255' in said[0]
    assert 'change this with value_range of LoadImage' in said[0]
    assert 'values outside of 0…1000 are clipped' in said[1]


@pytest.mark.parametrize('name', ['a.png', 'a.tif'])
def test_a_deep_file_that_is_cut_off_is_refused_by_name(name, tmp_path):
    (write_png16 if name == 'a.png' else write_tiff)(tmp_path / name, values('uint16', 3, 65535, (40, 50)))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=f'{name} cannot be read .*: restore the file or remove it'):
        load(tmp_path / name)


def test_a_picture_of_more_pixels_than_pillow_believes_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)  # as 178 million are for one of 182
    image, label = values('uint8', 3, size=(8, 8)), np.eye(8, dtype=np.uint8)
    for folder, array in (('images', image), ('labels', label)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / '1.png')
    assert np.array_equal(load(tmp_path / 'images/1.png'), image[..., ::-1])
    look = look_at(str(tmp_path / 'images'), str(tmp_path / 'labels'))
    assert (look.size, look.pixels[:2].tolist()) == ((8, 8), [56, 8])
    assert Image.MAX_IMAGE_PIXELS == 10  # of other code


def test_the_cache_gives_back_the_same_numbers(tmp_path):
    write_tiff(tmp_path / 'a.tif', values('uint16', 4, 1024, (16, 16)))
    steps = [
        dict(type='LoadImage', value_range=(0, 1023), channels=(0, 1, 2, 3)),
        dict(type='Resize', scale=(8, 8), keep_ratio=False, interpolation='area', backend='cv2'),
    ]
    cached = Cached(str(tmp_path / 'cache'), steps)
    first, second = (cached(dict(img_path=str(tmp_path / 'a.tif'))) for _ in range(2))
    assert list((tmp_path / 'cache').rglob('*.npz'))
    expected = read_image(str(tmp_path / 'a.tif'), (0, 1023), (0, 1, 2, 3)).reshape(8, 2, 8, 2, 4).mean((1, 3))
    for found in (first, second):
        np.testing.assert_allclose(found['img'], expected, rtol=1e-5, atol=1e-4)
        assert found['value_range'] == (0, 1023)


def test_a_preprocessor_of_any_number_of_bands(tmp_path):
    mean, std = [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 8.0]
    preprocessor = MODELS.build(dict(type='BandsPreProcessor', mean=mean, std=std))
    image = torch.arange(16.0).reshape(4, 2, 2)
    found = preprocessor(dict(inputs=[image], data_samples=[SegDataSample()]), False)['inputs']
    expected = (image - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    assert torch.equal(found[0], expected)
    with pytest.raises(UserError, match='the image has 3 bands, but data_preprocessor.mean has 4'):
        preprocessor(dict(inputs=[image[:3]], data_samples=[SegDataSample()]), False)


def test_pretrained_weights_of_three_bands_start_a_network_of_four(tmp_path):
    conv = torch.nn.Conv2d(3, 2, 3, bias=False)
    torch.save(conv.state_dict(), tmp_path / 'w.pth')
    four = torch.nn.Conv2d(4, 2, 3, bias=False)
    CheckedPretrainedInit(str(tmp_path / 'w.pth'))(four)
    grey = torch.rand(1, 1, 5, 5)
    torch.testing.assert_close(four(grey.repeat(1, 4, 1, 1)), conv(grey.repeat(1, 3, 1, 1)))  # the same on grey


def test_a_picture_of_any_bands_and_back():
    image = np.float32(RNG.random((2, 2, 5)) * 255)
    assert np.array_equal(visible(image), image[..., [2, 1, 0]])
    painted = repainted(image, np.zeros((2, 2, 3), np.uint8))
    assert (painted[..., :3] == 0).all()
    assert np.array_equal(painted[..., 3:], image[..., 3:])
    assert printable(image[..., :1]).shape == (2, 2, 3)
    assert repainted(image[..., :1], np.full((2, 2, 3), 7, np.uint8)).tolist() == [[[7.0], [7.0]]] * 2


# ---- two domains of such images, from folders to predictions


def grey16(image: np.ndarray) -> np.ndarray:
    """Of RGB: 12 bits."""
    return np.uint16(image.mean(axis=2, keepdims=True) * 4095 / 255)


def four_bands(image: np.ndarray) -> np.ndarray:
    """Of RGB: red, green, blue and something else, up to 10 000."""
    return np.uint16(np.concatenate([image, 255 - image[..., :1]], axis=2) * (10000 / 255))


KINDS = {'grey16': (grey16, write_png16, '.png', 3, 4095), 'four': (four_bands, write_tiff, '.tif', 4, 16383)}


def world(kind: str, street_data: Path, root: Path) -> None:
    """The demo's two domains as images of that kind."""
    convert, write, ending, _, _ = KINDS[kind]
    for part in ('source', 'target/train', 'target/val'):
        for path in sorted((street_data / part / 'images').iterdir()):
            image = cv2.imread(str(path))[..., ::-1]
            write(root / part / 'images' / f'{path.stem}{ending}', convert(image))
        if part != 'target/train':
            (root / part / 'labels').symlink_to(street_data / part / 'labels')


COMMAND = (
    'python tools/new_config.py own.py --source-images w/source/images --source-labels w/source/labels '
    '--target-images w/target/train/images --target-val-images w/target/val/images '
    f'--target-val-labels w/target/val/labels --classes {",".join(streets.CLASSES)} --network small '
)


@pytest.mark.parametrize('kind', list(KINDS))
def test_a_pair_of_domains_trains_validates_renders_and_predicts(kind, street_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    world(kind, street_data, Path('w'))
    _, _, ending, count, high = KINDS[kind]
    run(COMMAND, monkeypatch)
    said = capsys.readouterr().out
    assert f'0…{high} is mapped to 0…255; change it with --source-value-range 0,{high}' in said
    assert ('4 bands, all are used; change this with --target-channels 0,1,2,3' in said) == (count == 4)
    cfg = Config.fromfile('own.py')
    loader = cfg.train_dataloader.dataset.source.pipeline[0]
    assert loader == cfg.val_dataloader.dataset.pipeline[0]
    assert cfg.augment == [dict(type='RandomFlip', prob=0.5)]  # colours vary only in images of 8 bits and three bands
    assert tuple(loader.value_range) == (0, high)
    assert cfg.model.segmentor.backbone.get('in_channels', 3) == count
    files = sorted(str(p) for part in ('source', 'target/train') for p in Path('w', part, 'images').iterdir())
    images = (
        np.stack([read_image(f, (0, high), loader.get('channels')) for f in files]).reshape(-1, count).astype(float)
    )
    order = slice(None, None, -1) if count == 3 else slice(None)
    np.testing.assert_allclose(cfg.model.segmentor.data_preprocessor.mean, images.mean(0)[order], atol=0.01)
    np.testing.assert_allclose(cfg.model.segmentor.data_preprocessor.std, images.std(0)[order], rtol=0.01)

    render(cfg, loader, monkeypatch)
    styled = [loader, dict(type='AANStyleTransfer', renders='store'), *cfg.train_dataloader.dataset.source.pipeline[1:]]
    cfg.train_dataloader.dataset.source.pipeline = styled
    sample = TRANSFORMS.build(styled[1])(TRANSFORMS.build(loader)(dict(img_path=files[0])))
    original = read_image(files[0], (0, high), loader.get('channels'))
    assert sample['img'].dtype == np.float32
    assert not np.array_equal(sample['img'][..., :3], original[..., :3])
    assert np.array_equal(sample['img'][..., 3:], original[..., 3:])
    cfg.dump('styled.py')
    run(
        'python tools/train.py styled.py',
        monkeypatch,
        '--cfg-options',
        *FEW,
        f'experiment_name={kind}',
        f'visualizer.name={kind}',
    )
    predictor = Predictor('styled.py', 'work_dirs/styled/iter_2.pth')
    found = [predictor(f'w/target/val/images/{i:05d}{ending}') for i in range(2)]
    assert found[0].labels.shape == (96, 192)
    assert not np.array_equal(found[0].confidence, found[1].confidence)
    expected = printable(read_image(f'w/target/val/images/00000{ending}', (0, high), loader.get('channels')))
    assert np.array_equal(found[0].image, expected[..., ::-1])
    stored = Tiff.parse(Path(f'w/target/val/images/00000{ending}').read_bytes()).read() if count == 4 else None
    if stored is None:
        stored = cv2.imread(f'w/target/val/images/00000{ending}', cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(
        predictor(stored).confidence, found[0].confidence, atol=1e-6
    )  # an array, as a file holds


def render(cfg: Config, loader: dict, monkeypatch) -> None:
    """Renders of the source, by the tool."""
    aan = dict(
        encoder=dict(type='VGGStyleEncoder', layers=['relu1_1', 'colour']),
        recipe=dict(levels=((1.0, 2),), solver='adam'),
        content=[dict(loader)],
        style=[dict(loader)],
    )
    Config(dict(aan=aan, default_scope='mmseg', custom_imports=cfg.custom_imports)).dump('aan.py')
    run(
        'python tools/render_aan.py aan.py --source w/source/images --target w/target/train/images --out store',
        monkeypatch,
    )
    first = min(Path('w/source/images').iterdir())
    assert RenderStore('store').holds(first.stem, first)


def test_renders_of_images_that_were_read_otherwise_are_refused(street_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    world('grey16', street_data, Path('w'))
    cfg = Config.fromfile(Path(__file__).parents[1] / 'configs/demo/streets_singlelevel.py')
    render(cfg, dict(type='LoadImage'), monkeypatch)
    loader, step = LoadImage(value_range=(0, 4095)), TRANSFORMS.build(dict(type='AANStyleTransfer', renders='store'))
    with pytest.raises(
        UserError, match=r'were made with value_range=None, but LoadImage of this pipeline has value_range=\(0, 4095\)'
    ):
        step(loader(dict(img_path='w/source/images/00000.png')))


@pytest.mark.parametrize(
    ('write', 'message'),
    [
        (
            lambda p: write_tiff(p, values('float32', 3, 1, (96, 192))),
            'contains floating point numbers, .*--source-value-range',
        ),
        (
            lambda p: write_tiff(p, values('uint16', 5, 99, (96, 192))),
            'the domains have different numbers of channels .source: 5, target: 3.',
        ),
    ],
)
def test_new_config_asks_for_what_the_files_do_not_say(write, message, street_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path('w').symlink_to(street_data)
    for path in sorted((street_data / 'source/images').iterdir()):
        write(Path('deep') / f'{path.stem}.tif')
    command = COMMAND.replace('--source-images w/source/images', '--source-images deep')
    assert re.search(message, refusal(command, monkeypatch, capsys))
    assert not Path('own.py').exists()


def test_a_folder_of_8_and_16_bits_is_refused(tmp_path):
    write_png16(tmp_path / 'a/1.png', values('uint16', 1))
    Image.fromarray(values('uint8', 3)).save(tmp_path / 'a/2.png')
    look = look_at(str(tmp_path / 'a'))
    with pytest.raises(
        UserError, match='contains images of several kinds .1 are uint16 of 1 bands, such as .*1.png; 1 are uint8 of 3'
    ):
        readings_of(dict(source=look), dict(source=None), dict(source=None))


def test_aan_sees_grey_three_times(tmp_path):
    write_png16(tmp_path / 'a.png', values('uint16', 1, 4095, (32, 32)))
    step = dict(type='LoadImage', value_range=(0, 4095), channels=(0,))
    job = RenderJob(dict(type='VGGStyleEncoder', layers=['relu1_1']), content=[step], style=[step])
    seen = job.load(tmp_path / 'a.png', 'content')
    assert seen.shape == (1, 3, 32, 32)
    assert torch.equal(seen[:, :1].expand_as(seen), seen)


def test_a_render_of_more_pixels_than_pillow_believes_is_read(tmp_path, monkeypatch):
    source = tmp_path / 's.png'
    Image.fromarray(values('uint8', 3, size=(8, 8))).save(source)
    store, image = RenderStore(tmp_path / 'store'), values('uint8', 3, size=(8, 8))
    store.add('s', image, source)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
    assert store.holds('s', source)
    assert np.array_equal(store.read(store.path('s'), (8, 8)), image)


def test_an_exported_predictor_reads_files_as_training_did(street_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path)
    checkpoint = random_checkpoint(cfg, tmp_path / 'iter_2.pth')
    loader = cfg.test_dataloader.dataset.pipeline[0]
    loader.update(type='LoadImageFromFile', imdecode_backend='pillow')  # as tools/export_segmentor.py writes it
    cfg.dump('c.py')
    image = cv2.imread(str(street_data / 'target/val/images/00000.png'))[..., ::-1]
    Image.fromarray(image).save('a.png')
    write_png16(Path('b.png'), image.astype(np.uint16) * 257)
    predictor = Predictor('c.py', checkpoint)
    expected = predictor(np.ascontiguousarray(image)).confidence
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
    for name in ('a.png', 'b.png'):
        np.testing.assert_allclose(predictor(name).confidence, expected, atol=1e-4)
