"""Predictions in Python and on the command line: the model's labels, probabilities by hand, pictures, video."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.apis import inference_model, init_model
from mmseg.registry import DATASETS
from PIL import Image

import mmseg_adapt
from mmseg_adapt import Predictor
from mmseg_adapt.cli.adapt_bn import dataset_of
from mmseg_adapt.cli.predict import collect
from mmseg_adapt.errors import UserError
from mmseg_adapt.export import export_segmentor
from mmseg_adapt.style.reading import images_in

from .test_convert import CONVERTER, release
from .test_training import failure
from .tiny import REPO, random_checkpoint, run_tool, tiny_config


@pytest.fixture(scope='module')
def trained(street_data, tmp_path_factory) -> Path:
    """A folder with tiny.py (which crops and resizes), iter_2.pth and the export."""
    folder = tmp_path_factory.mktemp('predict')
    cfg = tiny_config('demo/streets_multilevel.py', street_data, folder / 'run')
    cfg.test_pipeline = [
        dict(type='LoadImage'),
        dict(type='CropBox', top=16),
        dict(type='Resize', scale=(128, 64), keep_ratio=False),
        dict(type='LoadLabels'),
        dict(type='PackSegInputs'),
    ]
    cfg.val_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline = cfg.test_pipeline
    cfg.dump(folder / 'tiny.py')
    random_checkpoint(cfg, folder / 'iter_2.pth')
    export_segmentor(Config.fromfile(folder / 'tiny.py'), str(folder / 'iter_2.pth'), folder / 'exported')
    return folder


@pytest.fixture(scope='module')
def predictor(trained) -> Predictor:
    return Predictor(trained / 'exported', device='cpu')


@pytest.fixture(scope='module')
def images(street_data) -> list[Path]:
    return sorted((street_data / 'target/val/images').iterdir())


def test_labels_and_certainty_are_those_of_mmsegmentations_own_api(trained, predictor, images):
    found = predictor(images[0])
    model = init_model(Config.fromfile(trained / 'tiny.py'), str(trained / 'iter_2.pth'), device='cpu')
    expected = inference_model(model, str(images[0]))
    p = expected.seg_logits.data.softmax(0)
    assert found.labels.shape == (80, 192)
    assert found.labels.dtype == np.uint8
    assert len(np.unique(found.labels)) > 2
    assert np.array_equal(found.labels, expected.pred_sem_seg.data[0].numpy())
    np.testing.assert_allclose(found.confidence, p.max(0).values.numpy(), atol=1e-5)
    entropy = -(p * p.log()).sum(0) / np.log(8)
    np.testing.assert_allclose(found.entropy, entropy.numpy(), atol=1e-4)
    assert np.array_equal(found.image, cv2.imread(str(images[0]))[16:, :, ::-1])


def test_files_arrays_batches_and_configs_give_the_same(trained, predictor, images):
    arrays = [cv2.imread(str(file))[..., ::-1] for file in images]
    other = np.zeros((120, 100, 3), np.uint8)
    one_by_one = [predictor(image) for image in (*images, other)]
    batched = predictor([*arrays, other], batch_size=3)
    assert [p.labels.shape for p in batched] == [(80, 192), (80, 192), (104, 100)]
    from_config = Predictor(trained / 'tiny.py', trained / 'iter_2.pth')([*images, other])
    for single, batch, config in zip(one_by_one, batched, from_config):
        assert np.array_equal(single.labels, config.labels)
        assert (single.labels != batch.labels).mean() < 1e-3  # a batch rounds otherwise
        np.testing.assert_allclose(single.confidence, batch.confidence, atol=1e-4)


@pytest.mark.parametrize(
    ('dtype', 'shape'),
    [('uint8', (96, 192, 4)), ('float32', (96, 192, 3)), ('uint8', (96, 192)), ('uint8', (3, 96, 192))],
)
def test_an_array_that_is_no_image_is_refused_with_its_type_and_shape(dtype, shape, predictor):
    with pytest.raises(UserError, match=rf'an array of {dtype}, {re.escape(str(shape))}, is not an image: pass uint8'):
        predictor(np.zeros(shape, dtype))


def test_an_overlay_is_half_the_image_and_half_the_classs_colour(predictor, images):
    found = predictor(images[0])
    colours = np.array(predictor.palette)[found.labels]
    assert np.array_equal(found.colours(), colours)
    np.testing.assert_allclose(found.overlay(), (colours + found.image) / 2, atol=0.51)
    assert np.array_equal(found.overlay(opacity=0.0), found.image)
    assert predictor.classes[0] == 'road'


def test_the_tool_writes_labels_overlays_and_maps_below_the_names_of_a_folder(
    trained, predictor, images, tmp_path, monkeypatch
):
    folder = tmp_path / 'images'
    (folder / 'sub').mkdir(parents=True)
    shutil.copy(images[0], folder / 'a.png')
    shutil.copy(images[1], folder / 'sub/a.png')
    out = tmp_path / 'out'
    arguments = (folder, '--out', out, '--entropy', '--confidence', '--batch-size', 2)
    run_tool('predict.py', trained / 'tiny.py', trained / 'iter_2.pth', *arguments, monkeypatch=monkeypatch)
    for name, image in (('a', images[0]), ('sub/a', images[1])):
        found = predictor(image)
        written = {k: Image.open(out / k / f'{name}.png') for k in ('labels', 'overlay', 'confidence', 'entropy')}
        assert (np.asarray(written['labels']) != found.labels).mean() < 1e-3
        assert written['labels'].mode == 'P'
        assert written['labels'].getpalette()[:24] == [v for colour in predictor.palette for v in colour]
        assert np.abs(np.asarray(written['overlay']).astype(int) - found.overlay()).mean() < 0.5
        for kind in ('confidence', 'entropy'):
            np.testing.assert_allclose(np.asarray(written[kind]), 255 * getattr(found, kind), atol=0.6)
    with Image.open(out / 'legend.png') as legend:
        assert legend.size == (260, 8 * 28)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['images', 'out']


def test_every_tool_finds_the_same_images_in_a_folder(images, tmp_path):
    folder, elsewhere = tmp_path / 'images', tmp_path / 'elsewhere'
    folder.mkdir(), elsewhere.mkdir()
    for name in (folder / 'a.png', folder / 'c.ppm', folder / 'd.JPG', elsewhere / 'b.png'):
        Image.open(images[0]).save(name)
    (folder / 'sub').symlink_to(elsewhere)
    (folder / '._a.png').write_bytes(b"of a Mac's")
    shutil.copytree(elsewhere, folder / '.ipynb_checkpoints')
    found, _ = collect([str(folder)])
    assert list(found) == ['a', 'c', 'd', 'sub/b']
    assert images_in(folder, '--source') == found
    cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=[]))))
    dataset = DATASETS.build(dataset_of(cfg, str(folder)))
    assert [Path(dataset.get_data_info(i)['img_path']) for i in range(len(dataset))] == list(found.values())


def test_a_video_becomes_a_video(trained, images, tmp_path, monkeypatch):
    video = tmp_path / 'drive.avi'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'MJPG'), 5, (192, 96))
    for image in images * 2:
        writer.write(cv2.imread(str(image)))
    writer.release()
    run_tool('predict.py', trained / 'exported', video, '--out', tmp_path / 'out', monkeypatch=monkeypatch)
    overlay = cv2.VideoCapture(str(tmp_path / 'out/overlay/drive.mp4'))
    sizes = [frame.shape for found, frame in iter(overlay.read, (False, None)) if found]
    assert sizes == [(80, 192, 3)] * 4
    assert len(list((tmp_path / 'out/labels/drive').iterdir())) == 4


def test_what_cannot_be_predicted_is_one_sentence_and_leaves_nothing(trained, images, tmp_path, monkeypatch, capsys):
    (tmp_path / 'half.png').write_bytes(images[0].read_bytes()[:999])
    (tmp_path / 'text.txt').write_text('no image')
    (tmp_path / 'half.mp4').write_bytes(b'0' * 999)
    (tmp_path / 'taken').mkdir()
    (tmp_path / 'taken/mine').write_text('mine')
    (tmp_path / 'none').mkdir()
    before = sorted(tmp_path.rglob('*'))
    exported, config = trained / 'exported', trained / 'tiny.py'
    for arguments, message in (
        ((exported, tmp_path / 'half.png'), 'half.png cannot be read'),
        ((exported, tmp_path / 'half.mp4'), 'half.mp4 cannot be read as a video'),
        ((exported, tmp_path / 'text.txt'), 'text.txt must be an image'),
        ((exported, tmp_path / 'none'), 'none contains no images'),
        ((exported, tmp_path / 'absent.png'), 'absent.png does not exist'),
        ((exported, images[0], images[0]), 'would get the same name'),
        ((tmp_path / 'absent', images[0]), 'absent does not exist: pass the folder of an exported model'),
        ((config, images[0]), 'is a config: pass its checkpoint and then the images'),
        ((exported, images[0], '--device', 'gpu'), 'device gpu cannot be used here: choose another'),
        ((exported, images[0], '--batch-size', 0), '--batch-size 0 must be at least 1'),
        ((exported, images[0], '--opacity', 5), '--opacity 5.0 must be between 0 and 1'),
        ((config, tmp_path / 'text.txt', images[0]), 'text.txt is truncated, damaged or not a checkpoint'),
    ):
        out = ('--out', tmp_path / 'out')
        assert message in failure('predict.py', *arguments, *out, monkeypatch=monkeypatch, capsys=capsys)
        assert sorted(tmp_path.rglob('*')) == before
    taken = ('--out', tmp_path / 'taken')
    assert 'taken exists' in failure('predict.py', exported, images[0], *taken, monkeypatch=monkeypatch, capsys=capsys)
    with pytest.raises(UserError, match='tiny.py is not the folder of an exported model'):
        Predictor(config)
    with pytest.raises(UserError, match='device cuda:99 cannot be used here'):
        Predictor(exported, device='cuda:99')
    with pytest.raises(AttributeError, match="no attribute 'Predictors'"):
        mmseg_adapt.Predictors  # noqa: B018


@pytest.mark.parametrize('batch_size', [1, 3])
def test_a_broken_image_costs_no_other_image_and_is_named_at_the_end(
    batch_size, trained, images, tmp_path, monkeypatch, capsys
):
    folder, out = tmp_path / 'images', tmp_path / 'out'
    (folder / 'town1').mkdir(parents=True), (folder / 'town2').mkdir()
    for name, image in (('town1/7', images[0]), ('town2/7', images[1]), ('town2/9', images[0])):
        shutil.copy(image, folder / f'{name}.png')
    for broken in ('town1/8.png', 'town2/95.png'):  # in the middle and the last
        (folder / broken).write_bytes(images[0].read_bytes()[:999])
    (tmp_path / 'half.mp4').write_bytes(b'0' * 999)
    arguments = (trained / 'exported', folder, tmp_path / 'half.mp4', '--out', out, '--batch-size', batch_size)
    message = failure('predict.py', *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert message.startswith('error: 3 files were skipped: ')
    for broken in ('town1/8.png', 'town2/95.png', 'half.mp4'):
        assert broken in message
    for kind in ('labels', 'overlay'):
        found = sorted(str(path.relative_to(out / kind)) for path in (out / kind).rglob('*.png'))
        assert found == ['town1/7.png', 'town2/7.png', 'town2/9.png']
    for name, image in (('town1/7', images[0]), ('town2/7', images[1]), ('town2/9', images[0])):
        expected = Predictor(trained / 'exported', device='cpu')(image).labels
        assert (np.asarray(Image.open(out / f'labels/{name}.png')) != expected).mean() < 1e-3


def test_the_commands_and_the_code_of_the_docs_run_in_their_order(trained, images, tmp_path, monkeypatch):
    text = (REPO / 'docs/weights.md').read_text()
    cfg = Config.fromfile(trained / 'tiny.py')
    from mmseg.registry import MODELS

    from mmseg_adapt.weights.released import LAYOUTS

    torch.save(release(MODELS.build(cfg.model).segmentor, LAYOUTS['multi']), tmp_path / 'RELEASED.pth')
    shutil.copy(images[0], tmp_path / 'street.png')
    places = {
        'configs/adaptseg/gta2cs_multilevel.py': trained / 'tiny.py',
        'CONFIG CHECKPOINT': f'{trained}/tiny.py {trained}/iter_2.pth',
        'weights/ours.pth': tmp_path / 'ours.pth',
        'RELEASED.pth': tmp_path / 'RELEASED.pth',
        'street.png': tmp_path / 'street.png',
        '--out predictions': f'--out {tmp_path}/predictions',
    }
    for command in re.findall(r'```bash\npython tools/(.*?)\n```', text, flags=re.S):
        for place, path in places.items():
            command = command.replace(place, str(path))
        command = re.sub(r'\bexported\b', f'{tmp_path}/exported', command).split()
        if command[0] == 'test.py':
            command += ['--work-dir', tmp_path / 'test', '--cfg-options', 'experiment_name=docs']
        run_tool(*command, monkeypatch=monkeypatch)
    expected = {'RELEASED.pth', 'exported', 'ours.pth', 'predictions', 'street.png', 'test'}
    assert {p.name for p in tmp_path.iterdir()} == expected
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r'```python\n(.*?)```', text + (REPO / 'README.md').read_text(), flags=re.S)
    for snippet in [snippet for snippet in snippets if 'Predictor(' in snippet]:
        scope: dict = {}
        exec(snippet, scope)
        assert scope['labels'].shape == (80, 192)
    assert 'Predictor(' in text
    assert CONVERTER in text
