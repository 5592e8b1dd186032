"""Pre-labels are read back as the annotation tools read them, and are the label maps that were predicted."""

import csv
import json
import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmseg_adapt.errors import UserError
from mmseg_adapt.export import export_segmentor
from mmseg_adapt.prelabels import FORMATS, Labelled
from mmseg_adapt.prelabels.cvat import colours_of, labelmap, voc_colour
from mmseg_adapt.prelabels.labelstudio import brush_rle

from .test_training import failure
from .tiny import REPO, random_checkpoint, run_tool, tiny_config

CLASSES = ['road', 'background', 'traffic "light"', 'car', 'never']
PALETTE = [[128, 64, 128], [9, 9, 9], [0, 0, 0], [128, 64, 128], [1, 2, 3]]  # black, and a colour twice
READERS = REPO / '.venv-formats/bin/python'


@pytest.fixture(scope='module')
def labelled(tmp_path_factory) -> tuple[Path, list[Labelled]]:
    """Label maps in a folder, as predict writes them: blobs, one pixel, one class, a run longer than 2^16 bytes."""
    out, rng = tmp_path_factory.mktemp('labelled'), np.random.default_rng(0)
    blobs = np.kron(rng.integers(0, 4, (7, 9), np.uint8), np.ones((5, 3), np.uint8))
    noise = rng.integers(0, 4, (31, 17), np.uint8)
    wide = np.full((130, 140), 3, np.uint8)  # 72,800 bytes
    wide[129, 139] = 0
    images = []
    for name, labels in (('town 1/é', blobs), ('7', noise), ('one', np.uint8([[2]])), ('wide', wide)):
        file = out / f'labels/{name}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(labels)
        image.putpalette(np.uint8(PALETTE).tobytes())
        image.save(file)
        confidence = rng.random(labels.shape, np.float32)
        images.append(Labelled.of(name, f'{name}.jpg', labels, confidence, 1 - confidence))
    for write in FORMATS.values():
        write(images, CLASSES, PALETTE, out, 'a model')
    return out, images


def maps_of(out: Path, images: list[Labelled]) -> dict[str, np.ndarray]:
    """``NAME/CLASS`` → mask, of every class that occurs but for the background."""
    return {
        f'{image.name}/{CLASSES[c]}': image.labels(out) == c
        for image in images
        for c in np.unique(image.labels(out))
        if CLASSES[c] != 'background'
    }


def check(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for key, mask in expected.items():
        assert np.array_equal(found[key], mask), key


def test_the_confidence_of_an_image_and_of_a_class_is_a_mean_over_its_pixels():
    labels, p = np.uint8([[0, 2], [2, 2]]), np.float32([[0.5, 0.9], [0.6, 0.3]])
    image = Labelled.of('a', 'a.png', labels, p, p / 2)
    assert (image.height, image.width) == (2, 2)
    assert image.confidence == pytest.approx(0.575) == 2 * image.entropy
    assert image.by_class == {0: pytest.approx(0.5), 2: pytest.approx(0.6)}


def test_coco_is_read_back_by_pycocotools(labelled):
    out, images = labelled
    coco = COCO(str(out / 'coco.json'))
    names = {row['id']: row['name'] for row in coco.loadCats(coco.getCatIds())}
    assert names == {i + 1: name for i, name in enumerate(CLASSES) if name != 'background'}
    files = [row['file_name'] for row in coco.dataset['images']]
    assert files == [image.file for image in images]
    found = {}
    for row in coco.loadAnns(coco.getAnnIds()):
        image, mask = images[row['image_id'] - 1], coco.annToMask(row)
        found[f'{image.name}/{names[row["category_id"]]}'] = mask == 1
        assert row['area'] == mask.sum() == coco_mask.area(coco.annToRLE(row))
        assert row['bbox'] == coco_mask.toBbox(coco.annToRLE(row)).tolist()
        assert row['score'] == image.by_class[row['category_id'] - 1]
    check(found, maps_of(out, images))


def test_cvat_is_read_back_by_the_rules_of_pascal_voc(labelled):
    out, images = labelled
    with zipfile.ZipFile(out / 'cvat.zip') as archive:
        rows = [row.split(':') for row in archive.read('labelmap.txt').decode().splitlines()]
        assert rows[0][0][0] == '#'
        colours = {tuple(map(int, colour.split(','))): name for name, colour, parts, actions in rows[1:]}
        assert len(colours) == len(rows) - 1 == len(CLASSES)
        assert colours[0, 0, 0] == 'background'
        listed = archive.read('ImageSets/Segmentation/default.txt').decode().splitlines()
        assert listed == [image.name for image in images]
        found = {}
        for name in listed:
            classes, objects = (
                np.asarray(Image.open(BytesIO(archive.read(f'Segmentation{folder}/{name}.png'))))
                for folder in ('Class', 'Object')
            )
            assert classes.shape[2:] == (3,)
            for colour in np.unique(objects.reshape(-1, 3), axis=0):
                mask = (objects == colour).all(axis=-1)
                (one,) = np.unique(classes[mask], axis=0)
                if colour.any():
                    found[f'{name}/{colours[tuple(one.tolist())]}'] = mask
                else:
                    assert not one.any()
    check(found, maps_of(out, images))
    labels = json.loads((out / 'cvat_labels.json').read_text())
    assert [label['name'] for label in labels] == [name for name in CLASSES if name != 'background']


def test_the_colours_of_pascal_voc_are_the_published_ones():
    assert [voc_colour(i) for i in (0, 1, 2, 7, 8, 20, 255)] == [
        *[(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 128)],
        *[(64, 0, 0), (0, 64, 128), (224, 224, 192)],
    ]


def test_a_colour_says_one_class_in_cvat_and_black_none():
    colours = colours_of(CLASSES, PALETTE)
    assert colours[0] == tuple(PALETTE[0])
    assert colours[1] == (0, 0, 0)
    assert len(set(colours)) == len(colours)
    with pytest.raises(UserError, match=r"class 'a:b': CVAT's labelmap.txt cannot contain this name; .* choose a name"):
        labelmap(['a:b'], [(1, 2, 3)])


def unpack(data: list[int]) -> np.ndarray:
    """Label Studio's rle, bit by bit: a count, the size of a value and of four lengths; then runs, or single values."""
    bits = np.unpackbits(np.uint8(data))
    place = 0

    def read(size: int) -> int:
        nonlocal place
        place += size
        return int(''.join(map(str, bits[place - size : place])), 2)

    number, word, sizes = read(32), read(5) + 1, [read(4) + 1 for _ in range(4)]
    values = []
    while len(values) < number:
        run = read(1)
        length = read(sizes[read(2)]) + 1
        values += [read(word)] * length if run else [read(word) for _ in range(length)]
    assert len(bits) - place < 8
    return np.uint8(values)


def test_label_studio_is_read_back_bit_by_bit(labelled):
    out, images = labelled
    tasks = json.loads((out / 'labelstudio.json').read_text())
    found = {}
    for task, image in zip(tasks, images, strict=True):
        (prediction,) = task['predictions']
        assert prediction['score'] == image.confidence
        assert prediction['model_version'] == 'a model'
        for region in prediction['result']:
            size = region['original_height'], region['original_width']
            pixels = unpack(region['value']['rle']).reshape(*size, 4)
            assert (pixels == pixels[..., :1]).all()
            assert set(np.unique(pixels)) <= {0, 255}
            found[f'{image.name}/{region["value"]["brushlabels"][0]}'] = pixels[..., 3] == 255
        assert len({region['id'] for region in prediction['result']}) == len(prediction['result'])
    check(found, maps_of(out, images))
    assert tasks[0]['data']['image'] == '/data/local-files/?d=town%201/%C3%A9.jpg'
    view = ElementTree.fromstring((out / 'labelstudio.xml').read_text())
    image, brush = view
    assert [label.get('value') for label in brush] == [name for name in CLASSES if name != 'background']
    assert (brush.get('name'), image.get('name')) == (region['from_name'], region['to_name'])
    assert brush.get('toName') == image.get('name')
    assert image.get('value') == '$image'


@pytest.mark.parametrize('length', [1, 2, 3, 64, 65, 16384, 16385, 40000])
def test_a_brush_mask_of_any_length_is_unpacked_to_itself(length):
    mask = np.zeros((3, length), bool)
    mask[1] = True
    assert np.array_equal(unpack(brush_rle(mask)).reshape(3, length, 4)[..., 0] == 255, mask)


@pytest.mark.slow
@pytest.mark.skipif(not READERS.exists(), reason='the readers need an environment of their own: run make formats')
@pytest.mark.parametrize(('kind', 'file'), [('cvat', 'cvat.zip'), ('labelstudio', 'labelstudio.json')])
def test_the_annotation_tools_own_libraries_read_the_same(kind, file, labelled, tmp_path):
    out, images = labelled
    command = [READERS, REPO / 'tests/read_back.py', kind, out / file, tmp_path / 'found.npz']
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    expected = maps_of(out, images)
    if kind == 'labelstudio':
        expected = {key.replace('town 1/é', 'town%201/%C3%A9'): mask for key, mask in expected.items()}
    with np.load(tmp_path / 'found.npz') as found:
        check(dict(found), expected)


# the tool


@pytest.fixture(scope='module')
def exported(street_data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('prelabels')
    cfg = tiny_config('demo/streets_multilevel.py', street_data, folder / 'run')
    cfg.dump(folder / 'tiny.py')
    random_checkpoint(cfg, folder / 'iter_2.pth')
    export_segmentor(Config.fromfile(folder / 'tiny.py'), str(folder / 'iter_2.pth'), folder / 'exported')
    return folder / 'exported'


@pytest.fixture
def images(street_data, tmp_path) -> Path:
    folder = tmp_path / 'images'
    (folder / 'sub').mkdir(parents=True)
    for i, name in enumerate(('a', 'b', 'sub/a')):
        shutil.copy(sorted(street_data.glob('*/**/images/*.png'))[i], folder / f'{name}.png')
    return folder


def test_the_commands_of_the_docs_write_the_least_confident_image_first(exported, images, tmp_path, monkeypatch):
    text = (REPO / 'docs/prelabels.md').read_text()
    commands = [block.split('\n```')[0] for block in text.split('```bash\n')[1:]]
    assert len(commands) == 3
    for command in commands:
        for place, path in (('exported', exported), ('my_images', images), ('prelabels_', f'{tmp_path}/prelabels_')):
            command = command.replace(place, str(path))
        run_tool(*command.removeprefix('python tools/').split(), monkeypatch=monkeypatch)
    with open(tmp_path / 'prelabels_coco/confidence.csv') as file:
        rows = list(csv.DictReader(file))
    order = [row['name'] for row in rows]
    values = [float(row['confidence']) for row in rows]
    assert sorted(order) == ['a', 'b', 'sub/a']
    assert values == sorted(values)
    assert len(set(values)) == 3
    coco = json.loads((tmp_path / 'prelabels_coco/coco.json').read_text())
    assert [row['file_name'] for row in coco['images']] == [f'{name}.png' for name in order]
    with zipfile.ZipFile(tmp_path / 'prelabels_cvat/cvat.zip') as archive:
        assert archive.read('ImageSets/Segmentation/default.txt').decode().split() == order
    tasks = json.loads((tmp_path / 'prelabels_labelstudio/labelstudio.json').read_text())
    assert [task['data']['image'].partition('?d=')[2] for task in tasks] == [f'street/{name}.png' for name in order]
    for row, value in zip(coco['images'], values):
        labels = np.asarray(Image.open(tmp_path / 'prelabels_coco/labels' / row['file_name']))
        assert labels.shape == (row['height'], row['width'])
        assert row['confidence'] == pytest.approx(value, abs=1e-4)
        mine = [a for a in coco['annotations'] if a['image_id'] == row['id']]
        assert sum(a['area'] for a in mine) == labels.size
        assert {a['category_id'] - 1 for a in mine} == set(np.unique(labels))


def test_a_video_and_a_crop_are_one_sentence_and_leave_nothing(exported, images, tmp_path, monkeypatch, capsys):
    (tmp_path / 'drive.mp4').write_bytes(b'0' * 99)
    shutil.copytree(exported, tmp_path / 'crop')
    data = json.loads((tmp_path / 'crop/model.json').read_text())
    data['pipeline'].insert(1, dict(type='CropBox', top=16))
    (tmp_path / 'crop/model.json').write_text(json.dumps(data))
    before = sorted(tmp_path.rglob('*'))
    for model, given, message in (
        (exported, 'drive.mp4', 'drive.mp4 is a video: save its frames as images'),
        ('crop', 'images', 'a.png has 192×96 pixels, but test_pipeline crops it to 192×80'),
    ):
        arguments = (tmp_path / model, tmp_path / given, '--out', tmp_path / 'out', '--format', 'coco')
        assert message in failure('predict.py', *arguments, monkeypatch=monkeypatch, capsys=capsys)
        assert sorted(tmp_path.rglob('*')) == before
