"""An exported model is the adapted one: same labels from MMSegmentation's own tools and from ONNX."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mmcv
import mmseg
import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.registry import MODELS
from PIL import Image
from safetensors.torch import load_file

from mmseg_adapt.errors import UserError
from mmseg_adapt.export import export_segmentor, graph, plain
from mmseg_adapt.export.card import _title
from mmseg_adapt.weights.load import read_checkpoint
from mmseg_adapt.weights.segmentor import build_segmentor

from .test_training import failure
from .tiny import CONFIGS, REPO, load, random_checkpoint, run_tool, tiny_config

STOCK_TEST = Path(mmseg.__file__).parent / '.mim/tools/test.py'


def adapted(name: str, data: Path, folder: Path) -> tuple[Path, Path]:
    """A config that resizes images before they are predicted, and a checkpoint of it."""
    cfg = tiny_config('demo/streets_multilevel.py', data, folder / 'run')
    if name == 'stock':
        cfg.model = Config.fromfile(CONFIGS / 'adaptseg/gta2cs_segformer_b0.py').model
        segmentor = cfg.model.segmentor
        segmentor.backbone.update(init_cfg=None, embed_dims=8, num_layers=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
        segmentor.decode_head.update(in_channels=[8, 8, 16, 16], channels=16, num_classes=8)
        cfg.model.discriminator.decode.update(in_channels=8, base_channels=2)
    resize = dict(type='Resize', scale=(160, 80), keep_ratio=False, interpolation='bicubic', backend='pillow')
    cfg.test_pipeline.insert(1, resize)
    cfg.test_dataloader.dataset.pipeline = cfg.test_pipeline
    cfg.train_dataloader.dataset.labeled_target = cfg.train_dataloader.dataset.source
    cfg.dump(folder / 'trained.py')
    return folder / 'trained.py', random_checkpoint(cfg, folder / 'run/iter_2.pth')


@pytest.fixture(scope='module')
def deeplab(street_data, tmp_path_factory) -> Path:
    """A folder with trained.py, run/ and the export: everything that can be asked for."""
    folder = tmp_path_factory.mktemp('deeplab')
    config, checkpoint = adapted('deeplab', street_data, folder)
    log = folder / 'run/20260101/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({'mIoU': 12.34, 'IoU.road': 56.78, 'step': 2}) + '\n{"mIoU": 99.0, "step": 4}\n')
    options = dict(onnx='probabilities', safetensors=True)
    export_segmentor(Config.fromfile(config), str(checkpoint), folder / 'exported', **options)
    return folder


@pytest.fixture(scope='module')
def stock(street_data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('stock')
    config, checkpoint = adapted('stock', street_data, folder)
    export_segmentor(Config.fromfile(config), str(checkpoint), folder / 'exported')
    return folder


def labels_of(config: Path, checkpoint: Path, image: Path) -> np.ndarray:
    model = init_model(Config.fromfile(config), str(checkpoint), device='cpu')
    return inference_model(model, str(image)).pred_sem_seg.data[0].numpy()


def val_image(data: Path) -> Path:
    return data / 'target/val/images/00000.png'


def test_the_exported_deeplab_labels_every_pixel_as_the_adapter_and_its_weights_are_encoder_decoders(
    deeplab, street_data
):
    expected = labels_of(deeplab / 'trained.py', deeplab / 'run/iter_2.pth', val_image(street_data))
    exported = deeplab / 'exported'
    assert len(np.unique(expected)) > 2
    assert np.array_equal(labels_of(exported / 'config.py', exported / 'model.pth', val_image(street_data)), expected)
    cfg = Config.fromfile(exported / 'config.py')
    assert cfg.custom_imports.imports == ['mmseg_adapt']
    assert 'discriminator' not in str(cfg)
    state = load(exported / 'model.pth')['state_dict']
    for kind in ('MultiLevelSegmentor', 'EncoderDecoder'):
        MODELS.build(dict(cfg.model, type=kind)).load_state_dict(state, strict=True)
    safe = load_file(exported / 'model.safetensors')
    assert safe.keys() == state.keys()
    assert all(torch.equal(safe[key], state[key]) for key in state)
    assert read_checkpoint(exported / 'model.safetensors')['state_dict'].keys() == state.keys()


def test_encoder_decoder_itself_labels_as_the_adapter_where_no_image_is_resized(deeplab, street_data, tmp_path):
    cfg = Config.fromfile(deeplab / 'trained.py')
    cfg.test_pipeline.pop(1)
    cfg.dump(tmp_path / 'trained.py')
    plain = Config.fromfile(deeplab / 'exported/config.py')
    plain.test_pipeline.pop(1)
    plain.model.type = 'EncoderDecoder'
    plain.dump(tmp_path / 'plain.py')
    image = val_image(street_data)
    expected = labels_of(tmp_path / 'trained.py', deeplab / 'run/iter_2.pth', image)
    assert np.array_equal(labels_of(tmp_path / 'plain.py', deeplab / 'exported/model.pth', image), expected)


def test_mmsegmentations_own_test_script_scores_the_export_as_ours_scores_the_adapter(
    deeplab, tmp_path, monkeypatch, capsys
):
    def score(work_dir: Path) -> dict:
        rows = json.loads(max(work_dir.glob('*/*.json')).read_text().splitlines()[-1])
        return {key: value for key, value in rows.items() if 'IoU' in key or 'Acc' in key}

    arguments = ('--work-dir', tmp_path / 'adapter', '--cfg-options', 'experiment_name=export_adapter')
    run_tool('test.py', deeplab / 'trained.py', deeplab / 'run/iter_2.pth', *arguments, monkeypatch=monkeypatch)
    exported = deeplab / 'exported'
    run_tool(
        *(STOCK_TEST, exported / 'config.py', exported / 'model.pth', '--work-dir', tmp_path / 'plain'),
        *('--cfg-options', 'experiment_name=export_plain'),
        monkeypatch=monkeypatch,
    )
    assert score(tmp_path / 'plain') == score(tmp_path / 'adapter') != {}


WITHOUT_THE_PACKAGE = """
import importlib.util, runpy, sys
spec = importlib.util.spec_from_file_location('compat', {compat!r})
compat = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compat)
compat.stub_missing_ops()
sys.modules['mmseg_adapt'] = None  # importing it fails from here on
import mmcv, numpy as np, torch
from mmseg.apis import MMSegInferencer, inference_model, init_model
model = init_model({config!r}, {weights!r}, device='cpu')
model.load_state_dict(torch.load({weights!r}, weights_only=True)['state_dict'], strict=True)
print(type(model))
labels = inference_model(model, {image!r}).pred_sem_seg.data[0].numpy()
np.save({out!r}, labels)
array = mmcv.imread({image!r})
for found in MMSegInferencer({config!r}, {weights!r}, device='cpu')([{image!r}, array])['predictions']:
    assert np.array_equal(found, labels)
for found in inference_model(model, [{image!r}, array]):
    assert np.array_equal(found.pred_sem_seg.data[0].numpy(), labels)
sys.argv = ['test.py', {config!r}, {weights!r}, '--work-dir', {work_dir!r}]
runpy.run_path({test!r}, run_name='__main__')
"""


def test_a_stock_model_is_exported_to_a_config_that_runs_where_this_package_is_not_installed(
    stock, street_data, tmp_path
):
    exported = stock / 'exported'
    cfg = Config.fromfile(exported / 'config.py')
    assert cfg.model.type == 'EncoderDecoder'
    assert 'custom_imports' not in cfg
    assert not plain.ours(cfg.to_dict())
    image = val_image(street_data)
    code = WITHOUT_THE_PACKAGE.format(
        compat=str(REPO / 'mmseg_adapt/compat/stack.py'),
        config=str(exported / 'config.py'),
        weights=str(exported / 'model.pth'),
        out=str(tmp_path / 'labels.npy'),
        image=str(image),
        work_dir=str(tmp_path / 'work'),
        test=str(STOCK_TEST),
    )
    run = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert 'encoder_decoder.EncoderDecoder' in run.stdout
    assert 'mIoU' in run.stdout
    expected = labels_of(stock / 'trained.py', stock / 'run/iter_2.pth', image)
    assert len(np.unique(expected)) > 1
    assert np.array_equal(np.load(tmp_path / 'labels.npy'), expected)


@pytest.mark.parametrize(
    ('options', 'steps', 'equal'),
    [
        (dict(), (), 'BaseSegDataset'),
        (dict(others='error', without_label='error', label_channel=None, id_map={0: 0}), (), 'BaseSegDataset'),
        (dict(others='ignore'), (), None),
        (dict(without_label='skip'), (), None),
        (dict(label_channel='red'), (), None),
        (dict(id_map={7: 0}), (), None),
        (dict(), ('CropBox',), None),  # LoadLabels crops the label, LoadAnnotations would not
        (dict(type='GTADataset'), (), None),
        (dict(type='CityscapesLabelsDataset'), (), 'CityscapesDataset'),
        (dict(type='CityscapesLabelsDataset', id_map={7: 0}), (), None),
    ],
)
def test_a_test_set_becomes_mmsegmentations_as_a_whole_or_stays_as_it_is(options, steps, equal):
    pipeline = [dict(type=step) for step in ('LoadImage', *steps, 'LoadLabels', 'PackSegInputs')]
    part = dict(dict(type='IdMappedDataset', data_root='data', pipeline=pipeline), **options)
    found = plain.stock(dict(dataset=part))['dataset']
    if equal is None:
        loader = dict(type='LoadImageFromFile', imdecode_backend='pillow')
        assert found == dict(part, pipeline=[loader, *pipeline[1:]])
    else:
        suffix = dict(seg_map_suffix='.png') if equal == 'BaseSegDataset' else {}
        loaders = [
            dict(imdecode_backend='pillow', type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            pipeline[-1],
        ]
        assert found == dict(type=equal, data_root='data', pipeline=loaders, **suffix)


@pytest.fixture(scope='module')
def by_hand(deeplab):
    """Class probabilities of an RGB image by plain PyTorch around the exported network."""
    cfg = Config.fromfile(deeplab / 'exported/config.py')
    model = MODELS.build(cfg.model)
    model.load_state_dict(load(deeplab / 'exported/model.pth')['state_dict'])
    model.eval()

    @torch.no_grad()
    def probabilities(image):
        mean = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
        std = torch.tensor([58.395, 57.12, 57.375])[:, None, None]
        logits = model((image - mean) / std, mode='tensor')['decode']
        return F.interpolate(logits, image.shape[2:], mode='bilinear', align_corners=True).softmax(1)

    return probabilities


@pytest.mark.parametrize('size', [(96, 192), (80, 64), (77, 123)])
def test_onnx_equals_pytorch_at_any_size(size, deeplab, by_hand):
    image = 255 * torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    expected = by_hand(image)
    session = onnxruntime.InferenceSession(str(deeplab / 'exported/model.onnx'))
    found = torch.from_numpy(session.run(['probabilities'], {'image': image.numpy()})[0])
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.slow
def test_attention_goes_through_the_second_exporter(stock):
    out = stock / 'with_onnx'
    cfg = Config.fromfile(stock / 'trained.py')
    export_segmentor(cfg, str(stock / 'run/iter_2.pth'), out, onnx='labels')
    session = onnxruntime.InferenceSession(str(out / 'model.onnx'))
    model = init_model(Config.fromfile(out / 'config.py'), str(out / 'model.pth'), device='cpu')
    for size in ((64, 96), (97, 131)):
        image = 255 * torch.rand(1, 3, *size)
        labels = torch.from_numpy(session.run(['labels'], {'image': image.numpy()})[0])
        top = graph.deployed(model, image)[0].topk(2, dim=1)
        clear = top.values[:, 0] - top.values[:, 1] > 2e-4
        assert torch.equal(labels[clear], top.indices[:, 0][clear])


def test_a_graph_that_differs_from_pytorch_is_not_written(deeplab, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(graph, 'check', lambda *args: 2e-4)
    # the exporters take long, and are not what is looked at
    monkeypatch.setattr(graph, '_export', lambda _, path, dynamo: shutil.copy(deeplab / 'exported/model.onnx', path))
    arguments = (deeplab / 'trained.py', deeplab / 'run/iter_2.pth', tmp_path / 'out')
    kwargs = dict(monkeypatch=monkeypatch, capsys=capsys)
    message = failure('export_segmentor.py', *arguments, '--onnx', **kwargs)
    assert 'this model cannot be exported to ONNX exactly (it differs from PyTorch by 2.0e-04)' in message
    assert list(tmp_path.iterdir()) == []


class Traced(torch.nn.Module):
    """A graph whose output is not a number where the image is larger than the one it is traced on, or that raises."""

    images = staticmethod(graph.images)

    def __init__(self, beyond: float) -> None:
        super().__init__()
        self.output, self.beyond, self.size = 'probabilities', beyond, None
        self.segmentor = SimpleNamespace(test_cfg={})

    def forward(self, image):
        if self.beyond == 0:
            raise RuntimeError
        return image.softmax(1) + torch.where(torch.tensor(image.shape[2]) > graph.SIZES[0][0], self.beyond, 0.0)


def test_a_gap_that_is_not_a_number_is_no_equality_and_a_failed_trace_is_one_sentence(tmp_path, monkeypatch):
    export = graph._export  # only the one that traces: the other one raises a message of its own
    monkeypatch.setattr(graph, '_export', lambda traced, path, dynamo: export(traced, path, dynamo=False))
    monkeypatch.setattr(graph, 'deployed', lambda _, image: (image.softmax(1), image.argmax(1)))
    for beyond, message in ((float('nan'), 'it differs from PyTorch by nan'), (0, 'RuntimeError')):
        with pytest.raises(UserError, match=f'this model cannot be exported to ONNX exactly .{message}'):
            graph.write_onnx(Traced(beyond), tmp_path / 'model.onnx')
        assert not list(tmp_path.iterdir())


def test_the_card_says_what_the_model_is(deeplab, stock):
    card = (deeplab / 'exported/README.md').read_text()
    assert 'mIoU 12.34 on the validation images of the config at iteration 2' in card
    assert '* road: 56.78' in card
    assert '| 0 | road | (128, 64, 128) |' in card
    assert 'RGB 0–255, minus [123.675, 116.28, 103.53]' in card
    assert "* `Resize` backend='pillow', interpolation='bicubic', keep_ratio=False, scale=(160, 80)" in card
    for domain in ('labelled source', 'unlabelled target', 'labelled target'):
        assert re.search(rf'\* {domain}: IdMappedDataset, `/\S+/images`', card)
    assert re.search(r'\* method: AdaptSegNet, λ_adv \w+: [\d.]+', card)
    assert '## Licence' in card
    assert 'output `probabilities` (N, classes, H, W)' in card
    assert 'Not measured.' in (stock / 'exported/README.md').read_text()


@pytest.mark.parametrize(
    ('file', 'title'), [('configs/own/cars.py', 'cars'), ('cars/config.py', 'cars'), (None, 'exported')]
)
def test_a_card_is_named_after_the_config_or_its_folder(file, title):
    assert _title(SimpleNamespace(filename=file), Path('exported')) == title


def wrong_checkpoint(kind: str, deeplab: Path, folder: Path) -> Path:
    file = folder / 'wrong.pth'
    checkpoint = load(deeplab / 'run/iter_2.pth')
    state = checkpoint['state_dict']
    if kind == 'bomb':
        checkpoint['meta'] = np.array([print], dtype=object)
    elif kind == 'another network':
        checkpoint['state_dict'] = {f'encoder.{key}': value for key, value in state.items()}
    elif kind == 'other classes':
        checkpoint['state_dict'] = {k: v[:5] if 'decode_head' in k else v for k, v in state.items()}
    elif kind == 'a part':
        checkpoint['state_dict'] = {k: v for k, v in state.items() if 'layer4' not in k}
    elif kind == 'four branches':
        state.update({k.replace('seg.1', 'seg.2'): v for k, v in state.items() if 'decode_head.conv_seg.1' in k})
    torch.save(checkpoint, file)
    if kind == 'truncated':
        file.write_bytes(file.read_bytes()[:99_999])
    return file


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        ('bomb', 'stored in the file. If you trust its author, pass --unsafe'),
        ('truncated', 'is truncated, damaged or not a checkpoint'),
        ('another network', 'belongs to another network'),
        ('other classes', 'decode_head.conv_seg.0.bias has shape (5,), but this config needs (8,)'),
        ('a part', 'lacks backbone.layer4.0.conv1.weight'),
        ('four branches', 'this config has no decode_head.conv_seg.2.bias'),
    ],
)
def test_what_cannot_be_exported_is_one_sentence_and_writes_nothing(
    kind, message, deeplab, tmp_path, monkeypatch, capsys
):
    file = wrong_checkpoint(kind, deeplab, tmp_path)
    arguments = (deeplab / 'trained.py', file, tmp_path / 'out')
    assert message in failure('export_segmentor.py', *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert list(tmp_path.iterdir()) == [file]


def test_an_export_that_exists_is_kept(deeplab, monkeypatch, capsys):
    before = (deeplab / 'exported/model.pth').stat()
    arguments = (deeplab / 'trained.py', deeplab / 'run/iter_2.pth', deeplab / 'exported')
    message = failure('export_segmentor.py', *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert 'exported exists: choose another name, or pass --overwrite' in message
    assert (deeplab / 'exported/model.pth').stat() == before


# sliding windows, one output for two classes


def changed(deeplab: Path, folder: Path, change) -> tuple[Path, Path]:
    """The trained config after ``change(segmentor's config)``, and random weights of it."""
    cfg = Config.fromfile(deeplab / 'trained.py')
    change(cfg.model.segmentor)
    cfg.test_pipeline.pop(1)  # images stay as they are
    cfg.test_dataloader.dataset.pipeline = cfg.test_pipeline
    cfg.dump(folder / 'changed.py')
    return folder / 'changed.py', random_checkpoint(cfg, folder / 'changed.pth')


def slide(segmentor) -> None:
    segmentor.test_cfg = dict(mode='slide', crop_size=(64, 80), stride=(40, 50))


def single_output(segmentor) -> None:
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
    head = dict(type='FCNHead', in_channels=128, in_index=3, channels=8, num_convs=1, out_channels=1, threshold=0.4)
    segmentor.decode_head = dict(head, num_classes=2, loss_decode=loss)
    segmentor.pop('auxiliary_head')


USE_SLIDING = """
import sys
sys.modules.update(torch=None, mmseg=None, mmengine=None, mmseg_adapt=None)  # importing them fails
import numpy as np
from PIL import Image
from sliding import SlidingModel
np.save('labels.npy', SlidingModel()(np.asarray(Image.open(sys.argv[1]).convert('RGB'))))
"""


def test_a_model_tested_in_sliding_windows_is_exported_with_a_wrapper_that_labels_every_pixel_as_pytorch_does(
    deeplab, street_data, tmp_path, monkeypatch
):
    config, checkpoint = changed(deeplab, tmp_path, slide)
    out, image, logged = tmp_path / 'out', val_image(street_data), []
    monkeypatch.setattr('mmseg_adapt.export.print_log', lambda message, *_, **__: logged.append(message))
    run_tool('export_segmentor.py', config, checkpoint, out, '--onnx', monkeypatch=monkeypatch)
    (said,) = logged
    assert 'model.onnx takes the whole image at once, but' in said
    assert 'Use sliding.py, which agrees with PyTorch to' in said
    assert 'Use sliding.py' in (out / 'README.md').read_text()
    assert 'sliding windows of (64, 80), every (40, 50)' in (out / 'README.md').read_text()
    expected = labels_of(out / 'config.py', out / 'model.pth', image)
    run = subprocess.run([sys.executable, '-c', USE_SLIDING, image], cwd=out, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    labels = np.load(out / 'labels.npy')
    assert labels.shape == expected.shape == (96, 192)
    assert np.array_equal(labels, expected)
    session = onnxruntime.InferenceSession(str(out / 'model.onnx'))
    pixels = np.asarray(Image.open(image).convert('RGB'), np.float32).transpose(2, 0, 1)[None]
    whole = session.run(None, {'image': pixels})[0][0].argmax(0)
    assert (whole != expected).mean() > 0.005  # what the graph alone would have got wrong


def test_labels_of_a_model_tested_in_sliding_windows_are_not_a_graph(deeplab, tmp_path, monkeypatch, capsys):
    config, checkpoint = changed(deeplab, tmp_path, slide)
    arguments = (config, checkpoint, tmp_path / 'out', '--onnx', 'labels')
    message = failure('export_segmentor.py', *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert '--onnx labels does not work with sliding windows' in message
    assert 'pass --onnx probabilities' in message
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('output', 'mode'), [('probabilities', 'whole'), ('labels', 'whole'), ('probabilities', 'slide')]
)
def test_one_output_for_two_classes_is_a_pair_of_probabilities_and_its_labels_follow_the_threshold(
    output, mode, deeplab, tmp_path
):
    cfg = Config.fromfile(deeplab / 'trained.py')
    single_output(cfg.model.segmentor)
    if mode == 'slide':
        slide(cfg.model.segmentor)
    torch.manual_seed(0)
    model = build_segmentor(cfg)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    image = next(graph.images(((96, 192),), count=1))
    model.decode_head.conv_seg.bias.data -= graph.deployed(model, image)[0][:, 1].logit().median()  # labels of both
    net, path = graph.ImageToLabels(model, output), tmp_path / 'model.onnx'
    assert graph.write_onnx(net, path) < 1e-5
    p, labels = graph.deployed(model, image)
    assert p.shape == (1, 2, 96, 192)
    assert torch.equal(labels, (p[:, 1] > 0.4).long())
    assert 0.02 < labels.float().mean() < 0.98
    assert not torch.equal(labels, p.argmax(1))
    if mode == 'slide':
        assert graph.write_sliding(net, path, tmp_path / 'sliding.py')[0] < 1e-5
        found = runpy.run_path(str(tmp_path / 'sliding.py'))['SlidingModel']()(image[0].permute(1, 2, 0).numpy())
    else:
        found = onnxruntime.InferenceSession(str(path)).run(None, {'image': image.numpy()})[0][0]
        found = found if output == 'labels' else (found[1] > 0.4)
    assert np.array_equal(found, labels[0].numpy())


# MMSegmentation's own ways of predicting


@pytest.mark.parametrize('kind', ['deeplab', 'stock'])
def test_mmsegmentations_inferencer_and_inference_model_take_files_arrays_and_lists_of_both(kind, request, street_data):
    exported = request.getfixturevalue(kind) / 'exported'
    files = [str(file) for file in sorted((street_data / 'target/val/images').iterdir())]
    array = mmcv.imread(files[1])
    model = init_model(str(exported / 'config.py'), str(exported / 'model.pth'), device='cpu')
    expected = [labels_of(exported / 'config.py', exported / 'model.pth', file) for file in files]

    def labels(inputs):
        found = inference_model(model, inputs)
        return [result.pred_sem_seg.data[0].numpy() for result in (found if isinstance(inputs, list) else [found])]

    inferencer = MMSegInferencer(str(exported / 'config.py'), str(exported / 'model.pth'), device='cpu')
    for inputs, numbers in (
        (files[0], [0]),
        (files, [0, 1]),
        (array, [1]),
        ([array, array], [1, 1]),
        ([files[0], array], [0, 1]),
        ([array, files[0]], [1, 0]),
        (files[0], [0]),  # again, after an array
    ):
        found = inferencer(inputs)['predictions']
        for results in (labels(inputs), found if isinstance(inputs, list) else [found]):
            assert len(results) == len(numbers)
            for result, number in zip(results, numbers):
                assert np.array_equal(result, expected[number])
