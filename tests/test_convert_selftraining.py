"""Released checkpoints of DAFormer, HRDA and MIC: converted, loaded whole, equal to the authors' logits."""

import re

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_adapt.errors import UserError
from mmseg_adapt.weights.load import read_checkpoint
from mmseg_adapt.weights.segmentor import load_segmentor

from .reference.selftraining import nets
from .test_selftraining_networks import batch, gap
from .tiny import run_tool

BN = re.compile(r'(.*(?:\bbn\d?|downsample\.1|stem\.[147]))\.weight')
SETTING = {'daformer': 'daformer', 'mic_daformer': 'daformer', 'mic_hrda': 'hrda', 'dacs_dlv2': 'dlv2'}
CLASSES = ('road', 'sidewalk', 'building', 'wall', 'fence')


def released(setting: str, path, parts=('model', 'ema_model', 'imnet_model')):
    """A file as mmcv wrote it, float64: student, teacher with weights of its own, ImageNet network with a head."""
    state = {}
    for part in parts:
        weights = nets.released(setting, {'model': '', 'ema_model': 'ema.', 'imnet_model': 'imnet.'}[part])
        for key, weight in list(weights.items()):
            if found := BN.fullmatch(key):
                zeros = torch.zeros_like(weight)
                weights[f'{found[1]}.running_mean'], weights[f'{found[1]}.running_var'] = zeros, zeros + 1
                weights[f'{found[1]}.num_batches_tracked'] = torch.tensor(0)
        state.update({f'{part}.{key}': weight for key, weight in weights.items()})
    palette = [[i, i, i] for i in range(5)]
    torch.save(dict(meta=dict(CLASSES=CLASSES, PALETTE=palette, iter=40000), state_dict=state), path)
    return path


def config(setting: str, path, **changes):
    """A config of the method on the same network."""
    kind = setting.split('_')[0]
    segmentor = nets.config(setting)
    model = dict(type=dict(dacs='DACS', daformer='DAFormer', mic='MIC')[kind], segmentor=segmentor)
    if kind != 'dacs':
        model['feature_distance'] = dict(weight=0.005)
        segmentor['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint='mit.pth')
    segmentor['decode_head'].update(changes)
    dataset = dict(type='BaseSegDataset', metainfo=dict(classes=CLASSES, palette=[[i, i, i] for i in range(5)]))
    Config(dict(model=model, default_scope='mmseg', test_dataloader=dict(dataset=dataset))).dump(path)
    return path


def convert(monkeypatch, *arguments):
    run_tool('model_converters/selftraining.py', *arguments, monkeypatch=monkeypatch)


@pytest.mark.parametrize('setting', SETTING)
def test_a_released_checkpoint_loads_strictly_and_gives_the_authors_logits(setting, tmp_path, monkeypatch, capsys):
    parts = ('model', 'ema_model') + (('imnet_model',) if 'dlv2' not in setting else ())
    file, cfg = released(setting, tmp_path / 'released.pth', parts), config(setting, tmp_path / 'config.py')
    convert(monkeypatch, file, tmp_path / 'ours.pth', '--to', cfg)
    assert 'teacher: ' in capsys.readouterr().out
    found = read_checkpoint(tmp_path / 'ours.pth')
    assert found['meta']['dataset_meta']['classes'] == list(CLASSES)

    model = MODELS.build(Config.fromfile(cfg).model).double()
    model.load_state_dict(found['state_dict'])  # strictly
    image, expected = batch('')[0][:1], nets.ARRAYS[f'{SETTING[setting]}/logits_eval']
    with torch.no_grad():
        assert gap(model.segmentor.eval()(image, mode='tensor')['decode'], expected) < 1e-12
        assert gap(model.teacher.eval()(image, mode='tensor')['decode'], expected) > 1e-3
    deployed, _ = load_segmentor(Config.fromfile(cfg), str(tmp_path / 'ours.pth'))  # as tests and exports load it
    with torch.no_grad():
        assert gap(deployed(image.float(), mode='tensor')['decode'], expected) < 1e-5 * abs(expected).max()
    for player, part in ((model.teacher, 'ema.'), (getattr(model, 'imagenet', None), 'imnet.')):
        if player is not None:
            weights = nets.state(setting, part)
            for key, value in player.named_parameters():
                assert torch.equal(value, weights[key if part == 'ema.' else f'backbone.{key}']), key


def test_without_a_config_the_classes_are_the_file_s(tmp_path, monkeypatch):
    file = released('mic_daformer', tmp_path / 'released.pth')
    convert(monkeypatch, file, tmp_path / 'ours.pth')
    found = read_checkpoint(tmp_path / 'ours.pth')
    assert found['meta']['dataset_meta']['classes'] == list(CLASSES)
    assert {key.split('.')[0] for key in found['state_dict']} == {'segmentor', 'teacher', 'imagenet'}


def test_a_config_without_a_feature_distance_leaves_the_imagenet_network_out(tmp_path, monkeypatch, capsys):
    file, cfg = released('daformer', tmp_path / 'released.pth'), config('dacs_daformerhead', tmp_path / 'config.py')
    convert(monkeypatch, file, tmp_path / 'ours.pth', '--to', cfg)
    assert 'imagenet is skipped' in capsys.readouterr().out
    found = read_checkpoint(tmp_path / 'ours.pth')['state_dict']
    MODELS.build(Config.fromfile(cfg).model).load_state_dict(found)


@pytest.mark.parametrize(
    ('setting', 'other', 'changes', 'message'),
    [
        ('mic_hrda', 'mic_daformer', {}, r'config.py has no segmentor.attention_head'),
        ('mic_daformer', 'mic_hrda', {}, r'released.pth has no segmentor.attention_head'),
        ('daformer', 'daformer', dict(num_classes=7), r'conv_seg\.\w+ has shape \(5,.*needs \(7,'),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(setting, other, changes, message, tmp_path, monkeypatch, capsys):
    file, cfg = released(setting, tmp_path / 'released.pth'), config(other, tmp_path / 'config.py', **changes)
    with pytest.raises(SystemExit) as error:
        convert(monkeypatch, file, tmp_path / 'ours.pth', '--to', cfg)
    assert re.search(message, f'{error.value}{capsys.readouterr().err}')
    assert not (tmp_path / 'ours.pth').exists()


def test_a_file_that_is_not_of_these_releases_is_refused(tmp_path):
    from mmseg_adapt.cli.convert_selftraining import converted

    torch.save({'backbone.conv1.weight': torch.zeros(1)}, tmp_path / 'other.pth')
    with pytest.raises(UserError, match='use a checkpoint of DAFormer, HRDA or MIC'):
        converted(str(tmp_path / 'other.pth'), None)
