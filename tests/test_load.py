"""Checkpoints that run code, are damaged or belong to another network: one sentence, nothing run, nothing written."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS
from torch import nn

from mmseg_adapt.errors import UserError
from mmseg_adapt.weights.load import UNSAFE, read_checkpoint, tensors_of


class Bomb:
    """A pickle of it makes the folder ``mark`` when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture(params=[True, False], ids=['zip', 'before PyTorch 1.6'])
def bomb(request, tmp_path) -> Path:
    file = tmp_path / 'bomb.pth'
    content = dict(state_dict=dict(weight=torch.ones(2)), meta=Bomb(tmp_path / 'ran'))
    torch.save(content, file, _use_new_zipfile_serialization=request.param)
    return file


@pytest.mark.parametrize('load', [read_checkpoint, CheckpointLoader.load_checkpoint], ids=['ours', 'mmengine'])
def test_a_pickle_bomb_is_refused_unexploded_with_the_flag_that_would_load_it(load, bomb, tmp_path, monkeypatch):
    with pytest.raises(
        UserError, match=rf'loading .*bomb.pth would execute code \(posix.mkdir\).* pass --unsafe or set {UNSAFE}=1'
    ):
        load(str(bomb))
    assert not (tmp_path / 'ran').exists()
    monkeypatch.setenv(UNSAFE, '1')
    assert load(str(bomb))['state_dict']['weight'].sum() == 2
    assert (tmp_path / 'ran').exists()


def test_a_downloaded_bomb_is_refused_too_and_a_harmless_file_is_taken_from_the_cache(bomb, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    cache = tmp_path / 'hub/checkpoints'
    cache.mkdir(parents=True)
    bomb.rename(cache / 'model.pth')
    with pytest.raises(UserError, match='would execute code'):
        CheckpointLoader.load_checkpoint('https://example.invalid/model.pth')
    assert not (tmp_path / 'ran').exists()
    torch.save(dict(weight=torch.ones(3)), cache / 'model.pth')
    loaded = CheckpointLoader.load_checkpoint('https://example.invalid/model.pth', map_location='cpu')
    assert loaded['weight'].sum() == 3
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


def test_what_cannot_be_downloaded_says_where_the_file_is_expected(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))

    def offline(*args, **kwargs):
        raise OSError('no network')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', offline)
    for name, file in (
        ('torchvision://vgg16', 'vgg16-397923af.pth'),
        ('open-mmlab://detectron2/resnet101_caffe', 'resnet101_msra-6cc46731.pth'),
    ):
        with pytest.raises(UserError) as error:
            CheckpointLoader.load_checkpoint(name)
        assert f'{name} cannot be downloaded (no network)' in str(error.value)
        assert f'copy it to {tmp_path}/hub/checkpoints/{file}' in str(error.value)
    with pytest.raises(UserError, match='torchvision://nothing is not a known model'):
        CheckpointLoader.load_checkpoint('torchvision://nothing')


@pytest.mark.parametrize('new', [True, False])
def test_a_truncated_file_is_refused(new, tmp_path):
    file = tmp_path / 'whole.pth'
    torch.save(dict(weight=torch.rand(1000)), file, _use_new_zipfile_serialization=new)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(
        UserError, match='whole.pth is truncated, damaged or not a checkpoint: download or save it again'
    ):
        read_checkpoint(file)


def test_what_is_no_checkpoint_is_refused_by_name(tmp_path):
    (tmp_path / 'empty.pth').touch()
    (tmp_path / 'text.pth').write_text('weights\n' * 9)
    torch.save(torch.ones(2), tmp_path / 'tensor.pth')
    torch.save(dict(iteration=3), tmp_path / 'no_tensor.pth')
    torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(str(tmp_path / 'script.pth'))
    for name, message in (
        ('empty', 'is truncated, damaged or not a checkpoint'),
        ('text', 'is truncated, damaged or not a checkpoint'),
        ('tensor', 'contains a Tensor, not a checkpoint'),
        ('no_tensor', 'contains no weights'),
        ('script', 'is a TorchScript model, not a checkpoint'),
        ('absent', f'does not exist: copy or link the checkpoint to {tmp_path}/absent.pth'),
    ):
        file = tmp_path / f'{name}.pth'
        with pytest.raises(UserError, match=f'{file} {message}'):
            tensors_of(read_checkpoint(file), file)


# init_cfg


def backbone(checkpoint: Path, **init) -> nn.Module:
    cfg = dict(type='DeepLabV2ResNet', depth=18, stem_channels=4, base_channels=4)
    return MODELS.build(dict(cfg, init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint), **init)))


def test_init_cfg_takes_a_local_file_and_leaves_a_classifier_out(tmp_path):
    donor = backbone(tmp_path / 'unused.pth')
    weights = {f'segmentor.backbone.{key}': torch.rand_like(value.float()) for key, value in donor.state_dict().items()}
    torch.save(dict(state_dict={**weights, 'fc.weight': torch.ones(10, 3)}), tmp_path / 'init.pth')
    model = backbone(tmp_path / 'init.pth', prefix='segmentor.backbone')
    model.init_weights()
    for key, value in model.state_dict().items():
        expected = weights[f'segmentor.backbone.{key}']
        assert torch.equal(value, expected.to(value.dtype))


def test_init_cfg_refuses_a_missing_file_another_network_and_other_widths(tmp_path):
    torch.save(dict(weight=torch.ones(1)), tmp_path / 'other.pth')
    wide = MODELS.build(dict(type='DeepLabV2ResNet', depth=18, stem_channels=4, base_channels=8))
    torch.save(wide.state_dict(), tmp_path / 'wide.pth')
    for name, message in (
        ('absent', f'{tmp_path}/absent.pth does not exist: copy or link the checkpoint to'),
        ('other', 'other.pth belongs to another network: none of its keys'),
        ('wide', r'wide.pth belongs to another network: layer1.0.bn1.bias has shape \(8,\)'),
    ):
        with pytest.raises(UserError, match=message):
            backbone(tmp_path / f'{name}.pth').init_weights()


def test_torchvisions_names_lead_to_torchvisions_weights(tmp_path, monkeypatch):
    torchvision = pytest.importorskip('torchvision')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    (tmp_path / 'hub/checkpoints').mkdir(parents=True)
    torch.manual_seed(0)
    resnet = torchvision.models.resnet18(weights=None).eval()
    torch.save(resnet.state_dict(), tmp_path / 'hub/checkpoints/resnet18-f37072fd.pth')
    init = dict(type='Pretrained', checkpoint='torchvision://resnet18.imagenet1k_v1')
    cfg = dict(type='ResNet', depth=18, style='pytorch', norm_eval=True, init_cfg=init)
    ours = MODELS.build(cfg)
    ours.init_weights()
    ours.eval()
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        stem = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(x))))
        expected = resnet.layer4(resnet.layer3(resnet.layer2(resnet.layer1(stem))))
        torch.testing.assert_close(ours(x)[-1], expected)

    vgg = {
        f'features.{i}.{name}': value
        for i, layer in enumerate(torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs['D']))
        for name, value in layer.state_dict().items()
    }
    torch.save({**vgg, 'classifier.6.bias': torch.ones(1000)}, tmp_path / 'hub/checkpoints/vgg16-397923af.pth')
    init = dict(type='Pretrained', checkpoint='torchvision://vgg16', prefix='features.')
    ours = MODELS.build(dict(type='DeepLabV2VGG', fc_channels=8, init_cfg=init))
    ours.init_weights()
    for key, value in vgg.items():
        assert torch.equal(ours.state_dict()[key], value), key
