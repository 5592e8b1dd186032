"""Vision foundation models: weights by timm's and Meta's names, sizes, rates per layer, the feature distance."""

import importlib.util

import numpy as np
import pytest
import timm
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from timm.layers import resample_abs_pos_embed

from mmseg_adapt.errors import UserError
from mmseg_adapt.methods.feature_distance import cosine_distance
from mmseg_adapt.optim import MergedOptimWrapperConstructor

from .tiny import CONFIGS

NAME = dict(plain='vit_small_patch14_dinov2', registers='vit_small_patch14_reg4_dinov2')
TINY = dict(depth=3, embed_dim=24, num_heads=2, img_size=70, patch_size=14)
V3 = 'vit_small_patch16_dinov3'


def backbone(kind: str = 'plain', file=None, **kwargs) -> torch.nn.Module:
    init = dict(type='Pretrained', checkpoint=str(file)) if file else None
    return MODELS.build(
        dict(type='FoundationViT', model_name=NAME.get(kind, kind), init_cfg=init, **{**TINY, **kwargs})
    )


def seeded(kind: str, seed: int = 1, **kwargs) -> torch.nn.Module:
    """timm's own model."""
    torch.manual_seed(seed)
    model = timm.create_model(NAME.get(kind, kind), **{**TINY, **kwargs}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
    return model


def metas(model: torch.nn.Module) -> dict:
    """The weights under the names of Meta's DINOv2 files."""
    state = model.state_dict()
    state['mask_token'] = torch.zeros(1, TINY['embed_dim'])
    if 'pos_embed' not in state:
        return v3s(state)
    if 'reg_token' in state:
        state['register_tokens'] = state.pop('reg_token')
        first = torch.full((1, 1, TINY['embed_dim']), 0.25)  # of the class token, which timm adds to it
        state['cls_token'] = state['cls_token'] - first
        state['pos_embed'] = torch.cat([first, state['pos_embed']], 1)
    return state


def v3s(state: dict) -> dict:
    """The same for DINOv3: biases of queries, keys and values are 0, and timm's model has none."""
    names = {'reg_token': 'storage_tokens', 'gamma_1': 'ls1.gamma', 'gamma_2': 'ls2.gamma'}
    for old, new in names.items():
        state = {key.replace(old, new): value for key, value in state.items()}
    for i in range(TINY['depth']):
        state[f'blocks.{i}.attn.qkv.bias'] = torch.zeros(3 * TINY['embed_dim'])
        state[f'blocks.{i}.attn.qkv.bias_mask'] = torch.ones(3 * TINY['embed_dim'])
    return {**state, 'rope_embed.periods': torch.ones(3)}


@pytest.mark.parametrize('names', ['meta', 'timm'])
@pytest.mark.parametrize('kind', [*NAME, V3])
@torch.no_grad()
def test_a_released_file_loads_whole_and_gives_timms_features(kind, names, tmp_path, capsys):
    more = dict(patch_size=16, img_size=64) if kind == V3 else {}
    theirs = seeded(kind, **more)
    torch.save(metas(theirs) if names == 'meta' else theirs.state_dict(), tmp_path / 'released.pth')
    ours = backbone(kind, tmp_path / 'released.pth', out_indices=(0, 2), **more).eval()
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    ours.init_weights()
    assert 'q_bias' not in capsys.readouterr().out  # timm's converter prints
    assert all(not torch.equal(value, before[key]) for key, value in ours.state_dict().items() if 'rope' not in key)
    images = torch.randn(2, 3, *(4 * s for s in (2 * [more.get('patch_size', 14)])))
    if kind != V3:
        theirs = timm.create_model(NAME[kind], **TINY, dynamic_img_size=True).eval()
        theirs.load_state_dict(seeded(kind).state_dict())
    expected = theirs.forward_intermediates(images, indices=[0, 2], intermediates_only=True)
    assert len(ours(images)) == 2
    for found, wanted in zip(ours(images), expected):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_positional_embeddings_are_resized_as_timm_does_when_a_file_is_loaded_and_for_every_image(tmp_path):
    theirs = seeded('plain', img_size=98)
    torch.save(metas(theirs), tmp_path / 'released.pth')
    ours = backbone(file=tmp_path / 'released.pth')
    ours.init_weights()
    found = ours.state_dict()['timm_model.model.pos_embed']
    expected = resample_abs_pos_embed(theirs.pos_embed, (5, 5))
    assert expected.shape == (1, 26, 24)
    torch.testing.assert_close(found, expected)
    seen = []
    ours.timm_model.model.blocks[0].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    images = torch.randn(1, 3, 42, 84)
    ours.eval()(images)
    vit = ours.timm_model.model
    tokens = vit.patch_embed(images).flatten(1, 2)
    tokens = torch.cat([vit.cls_token, tokens], 1) + resample_abs_pos_embed(vit.pos_embed, (3, 6))
    torch.testing.assert_close(seen[0], tokens)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(kind='registers'), r'has 4 registers, but vit_small_patch14_dinov2 has 0: use the file of this model'),
        (dict(depth=2), r'is not the file of vit_small_patch14_dinov2: it lacks blocks.2.norm1.weight'),
        (dict(embed_dim=48), r'belongs to another network: .* has shape \(.*48.*\), but FoundationViT needs'),
    ],
)
def test_weights_of_another_variant_are_refused(wrong, message, tmp_path):
    kind = wrong.pop('kind', 'plain')
    torch.save(seeded(kind, **wrong).state_dict(), tmp_path / 'released.pth')
    with pytest.raises(UserError, match=message):
        backbone(file=tmp_path / 'released.pth').init_weights()


def test_sides_that_are_no_multiples_of_the_patch_are_refused_with_the_nearest_that_are():
    with pytest.raises(UserError, match='patches of 14 pixels, but an image is 64×100: .* such as 56×98'):
        backbone()(torch.zeros(1, 3, 64, 100))


def test_an_unknown_model_and_a_missing_timm_are_one_sentence(monkeypatch):
    with pytest.raises(UserError, match="has no model 'vit_small_patch13_dinov2'"):
        backbone('vit_small_patch13_dinov2')
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name, *_: None if name == 'timm' else found(name, *_))
    with pytest.raises(UserError, match=r"FoundationViT needs timm: run: pip install 'mmseg_adapt\[vfm\]'"):
        MODELS.build(Config.fromfile(CONFIGS / 'vfm/gta2cs_vits.py').model)


def test_the_learning_rate_of_every_layer():
    cfg = Config.fromfile(CONFIGS / 'vfm/gta2cs_vits.py')
    cfg.model.segmentor.backbone.update(TINY)
    cfg.model.segmentor.decode_head.update(in_channels=24, channels=8)
    segmentor = MODELS.build(cfg.model.segmentor)
    settings = dict(cfg.optim_wrapper.segmentor)
    wrapper = MergedOptimWrapperConstructor(settings, settings.pop('paramwise_cfg'))(segmentor)
    names = {id(p): name.removeprefix('backbone.timm_model.model.') for name, p in segmentor.named_parameters()}
    found = {
        names[id(p)]: (group['lr'] / 5e-6, group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }
    assert found.keys() == set(names.values())
    table = {  # the factor of the learning rate, weight decay
        'cls_token': (0.9**4, 0.01),
        'pos_embed': (0.9**4, 0.01),
        'patch_embed.proj.weight': (0.9**4, 0.01),
        'blocks.0.attn.qkv.weight': (0.9**3, 0.01),
        'blocks.0.norm1.weight': (0.9**3, 0.0),
        'blocks.1.mlp.fc1.bias': (0.9**2, 0.01),
        'blocks.2.ls2.gamma': (0.9, 0.01),
        'decode_head.conv_seg.weight': (10, 0.01),
    }
    for name, (rate, decay) in table.items():
        assert found[name] == (pytest.approx(rate), pytest.approx(decay)), name
    assert len(wrapper.optimizer.param_groups) == 8  # of each block two: norms do not decay


def test_a_decay_of_layers_needs_layers():
    segmentor = torch.nn.ModuleDict(dict(backbone=torch.nn.Linear(2, 2)))
    optimizer = dict(optimizer=dict(type='AdamW', lr=1.0))
    for decay, message in ((0.9, 'needs a plain ViT'), (1.5, 'layer_decay = 1.5 must be above 0 and at most 1')):
        with pytest.raises(UserError, match=message):
            MergedOptimWrapperConstructor(dict(optimizer), dict(layer_decay=decay))(segmentor)


def test_the_distance_to_the_frozen_encoder_is_the_papers():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 2, 5, 3, 4))
    cos = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    gap = np.abs(a - b)
    smooth = np.where(gap < 1, gap**2 / 2, gap - 0.5).mean(1)
    expected = (0.9 * (1 - cos) + 0.1 * smooth).mean()
    assert cosine_distance(torch.from_numpy(a), torch.from_numpy(b)).item() == pytest.approx(expected, rel=1e-12)
    small = torch.from_numpy(a)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert cosine_distance(torch.ones_like(small), torch.ones_like(large)).item() == pytest.approx(0, abs=1e-12)
    assert cosine_distance(small.bfloat16(), large.bfloat16()).dtype == torch.float32


def test_recomputed_activations_change_no_bit_and_keep_less():
    def trained(**kwargs) -> tuple[list[torch.Tensor], int]:
        torch.manual_seed(0)
        model, kept = backbone(drop_path_rate=0.5, init_values=0.5, **kwargs), {}
        torch.manual_seed(1)
        images = torch.randn(2, 3, 70, 70)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.setdefault(t.data_ptr(), t), t)[1], lambda t: t):
            (features,) = model(images)
        features.square().sum().backward()
        return [features, *(p.grad for p in model.parameters())], sum(t.nbytes for t in kept.values())

    (ours, less), (plain, more) = trained(), trained(recompute_gelu=False)
    assert all(torch.equal(a, b) for a, b in zip(ours, plain))
    assert less < 0.85 * more
