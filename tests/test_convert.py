"""Released checkpoints in, ours out; what does not fit is named. (Their logits: test_reference.py.)"""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import nn

from mmseg_adapt.weights.convert import convert
from mmseg_adapt.weights.load import read_checkpoint
from mmseg_adapt.weights.released import DISCRIMINATORS, LAYOUTS, Layout, vgg_pairs

from .test_training import failure
from .tiny import run_tool, tiny_config

CONVERTER = 'model_converters/adaptsegnet.py'


def release(module: nn.Module, layout: Layout, idle: tuple[int, ...] = (2, 3), seed: int = 0) -> dict:
    """Random weights under the released keys; the convolutions ``idle`` as the released code draws and leaves them."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, value in module.state_dict().items():
        if (name := layout.released(key)) is None or key.endswith('num_batches_tracked'):
            continue
        for i in range(4) if 'list.0.' in name else [0]:
            std = 0.01 if i in idle and value.ndim == 4 else 0.05
            state[name.replace('list.0.', f'list.{i}.')] = std * torch.randn(value.shape, generator=generator)
    return state


@pytest.fixture(scope='module')
def cfg(tmp_path_factory):
    return tiny_config('demo/streets_multilevel.py', Path('nowhere'), tmp_path_factory.mktemp('convert') / 'run')


@pytest.fixture(scope='module')
def model(cfg):
    return MODELS.build(cfg.model).eval()


@pytest.fixture(scope='module')
def config(cfg) -> Path:
    path = Path(cfg.work_dir).with_name('tiny.py')
    cfg.dump(path)
    return path


@pytest.fixture
def released(model, tmp_path) -> Path:
    torch.save(release(model.segmentor, LAYOUTS['multi']), tmp_path / 'released.pth')
    return tmp_path / 'released.pth'


def test_the_tool_converts_with_discriminators_and_says_what_it_found(
    released, model, config, tmp_path, monkeypatch, capsys
):
    players = {'aux': 'discriminator', 'main': 'discriminator_advent'}
    for i, (level, layout) in enumerate(players.items(), start=1):
        state = release(model.discriminator['decode'], DISCRIMINATORS[layout], seed=i)
        torch.save({f'module.{key}': value for key, value in state.items()}, tmp_path / f'{level}.pth')
    arguments = [part for level in players for part in (f'--discriminator-{level}', tmp_path / f'{level}.pth')]
    ours = tmp_path / 'ours.pth'
    run_tool(CONVERTER, released, ours, *arguments, '--to', config, '--verbose', monkeypatch=monkeypatch)
    out = capsys.readouterr().out
    assert 'released.pth is: AdaptSegNet or ADVENT, multi-level' in out
    assert 'applied: 2 dilated convolutions (AdaptSegNet and CLAN apply 2, ADVENT 4: --branches)' in out
    assert 'layer6.conv2d_list.1.bias → decode_head.conv_seg.1.bias' in out
    assert 'layer5.conv2d_list.3.weight: not applied (--branches)' in out
    assert 'unused: 8 tensors' in out
    assert 'missing: 0 tensors' in out

    model.load_state_dict(read_checkpoint(ours)['state_dict'], strict=True)
    source = read_checkpoint(released)
    assert torch.equal(model.segmentor.decode_head.conv_seg[1].weight, source['layer6.conv2d_list.1.weight'])
    assert torch.equal(model.segmentor.auxiliary_head.conv_seg[0].bias, source['layer5.conv2d_list.0.bias'])


def test_a_config_with_more_branches_than_act_gets_zeros_and_predicts_the_same(model):
    released = release(model.segmentor, LAYOUTS['multi'])
    own = model.segmentor.state_dict()
    four = dict(own)
    for i in (2, 3):
        four.update({k.replace('seg.0', f'seg.{i}'): v for k, v in own.items() if 'conv_seg.0' in k})
    found = convert(released, 'released.pth', four, branches=2)
    assert four.keys() - found.state.keys() == {k for k in own if k.endswith('num_batches_tracked')}
    assert not any(found.state[k].any() for k in four.keys() - own.keys())


def test_clan_adds_its_two_classifiers(model):
    single = release(model.segmentor, LAYOUTS['advent_single'], idle=())
    second = {k.replace('layer6', 'layer5'): torch.rand_like(v) for k, v in single.items() if 'layer6' in k}
    found = convert({**single, **second}, 'clan.pth')
    assert found.name == LAYOUTS['clan'].name
    for i in range(4):
        expected = single[f'layer6.conv2d_list.{i}.weight'] + second[f'layer5.conv2d_list.{i}.weight']
        torch.testing.assert_close(found.state[f'decode_head.conv_seg.{i}.weight'], expected)


def test_the_coco_initialisation_loses_its_classifier_of_21_classes_with_a_line_and_keeps_the_backbone(
    model, config, tmp_path, monkeypatch, capsys
):
    state = release(model.segmentor, LAYOUTS['advent_single'])
    for key in [key for key in state if 'layer6' in key]:
        value = state.pop(key)
        state[key.replace('layer6', 'layer5')] = value.repeat(3, *[1] * (value.ndim - 1))[:21]
    torch.save({f'Scale.{key}': value for key, value in state.items()}, tmp_path / 'init.pth')
    for i, arguments in enumerate(([], ['--to', config])):
        ours = tmp_path / f'ours{i}.pth'
        run_tool(CONVERTER, tmp_path / 'init.pth', ours, *arguments, monkeypatch=monkeypatch)
        out = capsys.readouterr().out
        assert 'is: DeepLab initialisation (ImageNet + COCO)' in out
        assert 'layer5.conv2d_list.0.bias: classifier of 21 classes, dropped' in out
        assert {key.split('.')[1] for key in read_checkpoint(ours)['state_dict']} == {'backbone'}
    assert 'decode_head.conv_seg.0.weight' in out.split('missing:')[1]


@pytest.mark.parametrize('numbers', [(), (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 30, 32)])
def test_vgg_comes_in_whatever_it_numbers_its_layers(numbers):
    with torch.device('meta'):
        net = MODELS.build(
            dict(
                type='MultiLevelSegmentor',
                backbone=dict(type='DeepLabV2VGG', fc_channels=8),
                decode_head=dict(type='DeepLabV2Head', in_channels=8, in_index=0, num_classes=19, dilations=(6, 12)),
            )
        )
    layout = Layout('', vgg_pairs(numbers)) if numbers else LAYOUTS['vgg']
    net.to_empty(device='cpu')
    source = release(net, layout)
    found = convert(source, 'vgg.pth', net.state_dict())
    net.load_state_dict(found.state, strict=True)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        features = net.backbone.features(x)
        fc6, fc7 = numbers[-2:] if numbers else (29, 31)
        for i in (fc6, fc7):
            weight, bias = source[f'features.{i}.weight'], source[f'features.{i}.bias']
            features = F.relu(F.conv2d(features, weight, bias, padding=4, dilation=4))
        expected = sum(
            F.conv2d(
                features,
                source[f'classifier.conv2d_list.{i}.weight'],
                source[f'classifier.conv2d_list.{i}.bias'],
                padding=rate,
                dilation=rate,
            )
            for i, rate in enumerate((6, 12))
        )
        torch.testing.assert_close(net(x, mode='tensor')['decode'], expected)


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (Path(self.mark),)


def edited(kind: str, state: dict, folder: Path) -> dict:
    """A multi-level checkpoint with one thing wrong."""
    if kind == 'bomb':
        return {**state, 'bomb': Bomb(folder / 'ran')}
    if kind == 'another network':
        return {f'encoder.{key}': value for key, value in state.items()}
    if kind == 'another depth':
        return {key.replace('layer1.1', 'layer1.2'): value for key, value in state.items()}
    if kind == 'other classes':
        return {key: value[:5] if 'conv2d_list' in key else value for key, value in state.items()}
    return {f'segmentor.{key}': value for key, value in state.items()}


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        ('bomb', 'If you trust its author, pass --unsafe or set MMSEG_ADAPT_UNSAFE=1'),
        ('another network', 'is not a DeepLabV2 of AdaptSegNet'),
        ('another depth', 'belongs to another network: backbone.layer1.1.'),
        ('other classes', 'predicts 5 classes, but the config has 8'),
        ('ours', 'is already in our format'),
        ('truncated', 'is truncated, damaged or not a checkpoint'),
        ('absent', 'wrong.pth does not exist'),
    ],
)
def test_what_cannot_be_converted_is_one_sentence_and_writes_nothing(
    kind, message, released, config, tmp_path, monkeypatch, capsys
):
    wrong = tmp_path / 'wrong.pth'
    torch.save(edited(kind, read_checkpoint(released), tmp_path), wrong)
    if kind == 'truncated':
        wrong.write_bytes(wrong.read_bytes()[:9999])
    if kind == 'absent':
        wrong.unlink()
    before = sorted(tmp_path.iterdir())
    arguments = (wrong, tmp_path / 'ours.pth', '--to', config)
    assert message in failure(CONVERTER, *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert sorted(tmp_path.iterdir()) == before


def test_more_branches_than_the_config_has_are_refused(released, config, tmp_path, monkeypatch, capsys):
    arguments = (released, tmp_path / 'ours.pth', '--to', config, '--branches', 4)
    message = failure(CONVERTER, *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert '--branches 4 is too large, because auxiliary_head of the config has 2 dilated convolutions' in message
    assert not (tmp_path / 'ours.pth').exists()


def test_an_output_that_exists_is_kept_and_a_missing_folder_is_named(released, tmp_path, monkeypatch, capsys):
    kwargs = dict(monkeypatch=monkeypatch, capsys=capsys)
    (tmp_path / 'ours.pth').write_text('mine')
    assert 'ours.pth exists: choose another name, or pass --overwrite' in failure(
        CONVERTER, released, tmp_path / 'ours.pth', **kwargs
    )
    assert (tmp_path / 'ours.pth').read_text() == 'mine'
    run_tool(CONVERTER, released, tmp_path / 'ours.pth', '--overwrite', monkeypatch=monkeypatch)
    assert 'segmentor.backbone.conv1.weight' in read_checkpoint(tmp_path / 'ours.pth')['state_dict']
    assert f'{tmp_path}/nowhere is not a folder' in failure(CONVERTER, released, tmp_path / 'nowhere/a.pth', **kwargs)
