"""Low-rank adapters: what is trained, what is shared with the teacher, and that they can be merged."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from mmseg_adapt.errors import UserError
from mmseg_adapt.models.low_rank import LowRankLinear, add_low_rank, merge_low_rank

from .test_selftraining_reference import Ready, batch

SIZE = dict(depth=2, embed_dim=16, num_heads=2, img_size=64, patch_size=16)


def segmentor(rank: int | None = 2, **kwargs) -> ConfigDict:
    backbone = dict(type='FoundationViT', model_name='vit_small_patch14_dinov2', **SIZE)
    head = dict(type='SETRUPHead', in_channels=16, channels=8, num_convs=2, up_scale=2, num_classes=5)
    head.update(norm_cfg=dict(type='BN'), align_corners=False, dropout_ratio=0.0)
    low_rank = {} if rank is None else dict(low_rank=dict(rank=rank, alpha=4))
    test_cfg = dict(mode='whole')
    return ConfigDict(
        type='MultiLevelSegmentor', backbone=backbone, decode_head=head, test_cfg=test_cfg, **low_rank, **kwargs
    )


@pytest.fixture
def student() -> nn.Module:
    torch.manual_seed(0)
    model = MODELS.build(segmentor()).double()
    for name, parameter in model.named_parameters():
        if 'lora_b' in name or 'gamma' in name:
            nn.init.normal_(parameter, std=0.5)
    return model


def test_an_adapted_layer_is_the_papers_equation():
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(6, 4)).double()
    weight, bias = layer[0].weight.detach().clone(), layer[0].bias.detach().clone()
    x = torch.randn(3, 5, 6).double()
    before = layer(x)
    add_low_rank(layer, rank=2, alpha=3, layers=('0',))
    assert torch.equal(layer(x), before)  # B is 0 at first
    nn.init.normal_(layer[0].lora_b)
    expected = x @ (weight + 3 / 2 * layer[0].lora_b @ layer[0].lora_a).T + bias
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    assert set(layer.state_dict()) == {'0.weight', '0.bias', '0.lora_a', '0.lora_b'}


def test_only_adapters_and_head_are_trained_and_have_optimiser_state(student):
    model = MODELS.build(dict(type='DACS', segmentor=segmentor(), data_preprocessor=preprocessor()))
    wrappers = optimise(model)
    step(model, wrappers)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    adapters = {f'blocks.{i}.{layer}.lora_{x}' for i in (0, 1) for layer in LAYERS for x in 'ab'}
    assert {name.split('model.')[-1] for name in trained if 'backbone' in name} == adapters
    assert {name.split('.')[1] for name in trained} == {'backbone', 'decode_head'}
    assert {name for name, p in model.named_parameters() if p.grad is not None} <= trained
    state = wrappers['segmentor'].optimizer.state
    assert {id(p) for p in state} == {id(p) for name, p in model.named_parameters() if name in trained}


LAYERS = ('attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2')


def preprocessor() -> dict:
    return dict(type='SegDataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3)


def optimise(model: nn.Module):
    model.train().data_preprocessor = Ready()
    model.clock.runs = True
    cfg = dict(segmentor=dict(optimizer=dict(type='AdamW', lr=1e-2)))
    return OPTIM_WRAPPER_CONSTRUCTORS.build(dict(type='PlayerOptimWrapperConstructor', optim_wrapper_cfg=cfg))(model)


def step(model: nn.Module, wrappers, t: int = 0) -> None:
    model.clock.iteration = model.clock.steps['segmentor'] = t
    data = batch('dacs', t)
    for domain in data.values():
        domain['inputs'] = domain['inputs'].to(next(model.parameters()).dtype)
    model.train_step(data, wrappers)


def test_the_teacher_shares_what_is_frozen_and_averages_the_rest(tmp_path):
    torch.manual_seed(0)
    model = MODELS.build(dict(type='DACS', segmentor=segmentor(), data_preprocessor=preprocessor(), alpha=0.9)).double()
    plain = MODELS.build(segmentor(None))
    count = sum(p.numel() for p in {id(p): p for p in model.parameters()}.values())
    own = sum(p.numel() for p in model.segmentor.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in plain.backbone.parameters())
    assert count == frozen + 2 * own
    assert own < frozen
    storages = {p.untyped_storage().data_ptr() for part in (model.segmentor, model.teacher) for p in part.parameters()}
    assert len(storages) == len({id(p) for p in model.parameters()})

    wrappers, weights = optimise(model), {}
    for t in range(3):
        step(model, wrappers, t)
    weights = {name: p.detach().clone() for name, p in model.segmentor.named_parameters()}
    teacher = {name: p.detach().clone() for name, p in model.teacher.named_parameters()}
    model.clock.iteration = model.clock.steps['segmentor'] = 3
    model.follow()
    for name, p in model.teacher.named_parameters():
        a = min(1 - 1 / 4, 0.9) if model.segmentor.get_parameter(name).requires_grad else 1
        torch.testing.assert_close(p, a * teacher[name] + (1 - a) * weights[name], rtol=1e-12, atol=1e-12)
    assert any(not torch.equal(p, weights[name]) for name, p in model.teacher.named_parameters())

    state = model.state_dict()  # a file has one copy, too
    assert sum(v.numel() for k, v in state.items() if 'attn.qkv.weight' in k) == 2 * 3 * 16 * 16
    torch.manual_seed(1)
    other = MODELS.build(dict(type='DACS', segmentor=segmentor(), data_preprocessor=preprocessor())).double()
    other.load_state_dict(state, strict=True)
    for (name, mine), theirs in zip(other.teacher.named_parameters(), model.teacher.parameters()):
        assert torch.equal(mine, theirs), name
    twin = copy.deepcopy(other)
    assert twin.teacher.backbone.timm_model.model.pos_embed is twin.segmentor.backbone.timm_model.model.pos_embed


@torch.no_grad()
def test_merged_adapters_are_the_same_function(student):
    student.eval()
    images = torch.randn(1, 3, 64, 80).double()
    before = student(images, mode='tensor')['decode']
    plain = MODELS.build(segmentor(None)).double().eval()
    merge_low_rank(student)
    assert not [m for m in student.modules() if isinstance(m, LowRankLinear)]
    plain.load_state_dict(student.state_dict(), strict=True)
    after = plain(images, mode='tensor')['decode']
    assert (after - before).abs().max() < 1e-12 * before.abs().max()
    assert before.std() > 1e-3


def test_adapters_reach_an_attention_that_keeps_its_biases_apart():
    """DINOv3 with biases, where timm applies the weight of ``qkv`` without calling the layer."""
    torch.manual_seed(0)
    cfg = segmentor()
    cfg.backbone.model_name = 'vit_small_patch16_dinov3_qkvb'
    model = MODELS.build(cfg).double().eval()
    for name, parameter in model.named_parameters():
        if 'lora_b' in name or 'gamma' in name:
            nn.init.normal_(parameter, std=0.5)
    images = torch.randn(1, 3, 64, 80).double()
    before = model(images, mode='tensor')['decode']
    before.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for name, p in model.backbone.named_parameters() if 'lora' in name)
    merge_low_rank(model)
    after = model(images, mode='tensor')['decode']
    assert (after - before).abs().max() < 1e-12 * before.abs().max()


@pytest.mark.parametrize(
    ('low_rank', 'message'),
    [
        (dict(rank=0), 'low_rank.rank = 0 must be at least 1 and less than the sides of backbone.*attn.qkv'),
        (dict(rank=16), 'low_rank.rank = 16 must be'),
        (dict(layers=('query',)), r"low_rank.layers = \['query'\]: backbone has no linear layer with such a suffix"),
    ],
)
def test_an_adapter_that_makes_no_sense_is_refused(low_rank, message):
    with pytest.raises(UserError, match=message):
        MODELS.build(dict(segmentor(None), low_rank=low_rank))


def test_a_layers_gradient_does_not_reach_what_is_frozen(student):
    student(torch.randn(2, 3, 64, 64).double(), mode='tensor')['decode'].square().sum().backward()
    frozen = [name for name, p in student.backbone.named_parameters() if 'lora' not in name]
    assert frozen and all(student.backbone.get_parameter(name).grad is None for name in frozen)
    assert all(p.grad.abs().sum() > 0 for name, p in student.backbone.named_parameters() if 'lora' in name)
