"""Self-training's networks against the released ones with the same weights: features, logits, BN's statistics, losses.

``reference/selftraining/nets.py`` builds them small, from this package's parts and the weights of the released keys.
"""

import copy
import importlib.util
import json
import warnings
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_adapt.engine.activation_checkpoint_hook import checkpoint_blocks
from mmseg_adapt.errors import UserError
from mmseg_adapt.methods.teacher import set_teacher_mode
from mmseg_adapt.models import hrda_segmentor
from mmseg_adapt.weights.selftraining import mit_of, segmentor_of

from .reference.selftraining import inputs, nets

ITERATIONS = json.loads((Path(__file__).parent / 'reference/selftraining/iterations.json').read_text())
SETTING = {'daformer': 'daformer', 'dlv2': 'dacs_dlv2', 'hrda': 'hrda'}  # network → one that has it
SETTINGS = list(SETTING.values())


def gap(tensor, array):
    """The largest difference; the figures hold every k-th pixel of large maps."""
    step = tensor.shape[-1] // array.shape[-1]
    return np.abs(tensor.detach().numpy()[..., ::step, ::step] - array).max()


def batch(setting, i=0):
    source, labels, target = inputs.batch(i, block=64 if 'hrda' in setting else 32)
    return torch.from_numpy(source), torch.from_numpy(labels)[:, 0], torch.from_numpy(target)


@pytest.mark.parametrize('network', SETTING)
@torch.no_grad()
def test_features_and_logits_equal_the_released_network_s(network):
    segmentor = nets.build(SETTING[network]).eval()
    image = batch('')[0][:1]
    for i in range(4):
        if f'{network}/feature_{i}' in nets.ARRAYS:
            assert gap(segmentor.extract_feat(image)[i], nets.ARRAYS[f'{network}/feature_{i}']) < 1e-12
    assert gap(segmentor(image, mode='tensor')['decode'], nets.ARRAYS[f'{network}/logits_eval']) < 1e-12
    assert gap(segmentor.logits(image), nets.ARRAYS[f'{network}/logits_eval']) < 1e-12


@pytest.mark.parametrize('setting', SETTINGS)
@torch.no_grad()
def test_a_teacher_s_pass_equals_the_released_one_with_bn_s_statistics_after_it(setting):
    teacher, figures = nets.build(setting), ITERATIONS[setting]['iterations'][0]
    set_teacher_mode(teacher)
    logits = resize(teacher.logits(batch(setting)[2]), (128, 128), mode='bilinear', align_corners=False)
    assert logits.sum().item() == pytest.approx(figures['pseudo']['logits_sum'], rel=1e-12)
    assert logits.square().sum().item() == pytest.approx(figures['pseudo']['logits_sumsq'], rel=1e-12)
    parameters = torch.cat([p.flatten() for p in teacher.parameters()])
    buffers = torch.cat([b.flatten() for k, b in teacher.named_buffers() if not k.endswith('num_batches_tracked')])
    for name, values in (('params', parameters), ('buffers', buffers)):
        assert values.sum().item() == pytest.approx(figures['teacher'][f'{name}_sum'], rel=1e-12)
        assert values.square().sum().item() == pytest.approx(figures['teacher'][f'{name}_sumsq'], rel=1e-12)
    forwards = {int(b) for k, b in teacher.named_buffers() if k.endswith('num_batches_tracked')}
    assert {min(forwards), max(forwards)} == {figures['teacher'][f'bn_forwards_{end}'] for end in ('min', 'max')}


@pytest.mark.parametrize('setting', SETTINGS)
def test_the_source_s_losses_equal_the_released_ones(setting, monkeypatch):
    segmentor, figures = nets.build(setting), ITERATIONS[setting]['iterations'][0]
    box = tuple(figures.get('hr_crop_boxes_y1y2x1x2_source_mix_masked', [()])[0])
    monkeypatch.setattr(hrda_segmentor, 'draw_detail_box', lambda *args: box)
    images, labels, _ = batch(setting)
    losses = segmentor.loss_by_outputs(segmentor(images, mode='tensor'), labels)
    assert losses['decode.loss_ce'].item() == pytest.approx(figures['log']['decode.loss_seg'], rel=1e-10)
    if setting == 'hrda':
        assert losses['detail.loss_ce'].item() == pytest.approx(figures['log']['decode.hr.loss_seg'], rel=1e-10)

    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
    stock = segmentor(images, samples, mode='loss')  # training on the source alone
    assert stock['decode.loss_ce'].item() == pytest.approx(losses['decode.loss_ce'].item(), rel=1e-10)


# --- MiT


def mit(**kwargs):
    return MODELS.build({**nets.config('daformer')['backbone'], **kwargs}).double()


def test_fused_attention_is_the_same_function():
    fused, plain = mit(), mit(fused_attention=False)
    weights = {k.removeprefix('backbone.'): v for k, v in nets.state('daformer').items() if k.startswith('backbone.')}
    images, results = batch('')[0], []
    for module in (fused, plain):
        nets.load(module, weights)
        features = module(images)
        sum(f.square().sum() for f in features).backward()
        results.append((features, [p.grad for p in module.parameters()]))
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(results[0][0], results[1][0]))
    for a, b in zip(results[0][1], results[1][1]):
        assert (a - b).norm() <= 1e-11 * (b.norm() + 1)


def test_mmsegmentation_s_mit_differs_by_its_epsilons_alone():
    stock = nets.config('daformer')['backbone']
    stock = MODELS.build({**stock, 'type': 'MixVisionTransformer'}).double().eval()
    nets.load(stock, {k.removeprefix('backbone.'): v for k, v in nets.state('daformer').items() if 'backbone' in k})
    image = batch('')[0][:1]
    assert gap(stock(image)[3], nets.ARRAYS['daformer/feature_3']) > 1e-6
    for name, module in stock.named_modules():
        if isinstance(module, nn.LayerNorm) and name.endswith(('0.norm', 'attn.norm')):
            module.eps = 1e-5
    assert gap(stock(image)[3], nets.ARRAYS['daformer/feature_3']) < 1e-12


def test_published_sizes():
    def millions(**cfg):
        return round(sum(p.numel() for p in MODELS.build(cfg).parameters()) / 1e6, 2)

    assert millions(type='DAFormerMixTransformer') == 81.44
    assert millions(type='DAFormerHead', num_classes=19) == 3.71
    assert millions(type='DAFormerHead', num_classes=19, dilations=None) == 0.53
    backbone = millions(type='ResNetV1c', depth=101, norm_cfg=dict(type='BN'))
    head = millions(type='DeepLabV2Head', in_channels=2048, in_index=3, dilations=(6, 12), num_classes=19)
    assert backbone + head == pytest.approx(43.22, abs=0.011)


@pytest.fixture
def imagenet(tmp_path):
    """A file as SegFormer's authors publish it: MiT and ImageNet's classifier."""
    state = {k.removeprefix('backbone.'): v for k, v in nets.released('daformer').items() if k.startswith('backbone.')}
    state |= {'head.weight': torch.zeros(1000, 32), 'head.bias': torch.zeros(1000)}
    torch.save(state, tmp_path / 'mit_b5.pth')
    return tmp_path / 'mit_b5.pth'


def initialised(path, **kwargs):
    module = mit(init_cfg=dict(type='Pretrained', checkpoint=str(path), **kwargs))
    module.init_weights()
    return module.state_dict()


def test_the_usual_imagenet_file_is_converted_when_it_is_loaded(imagenet, tmp_path):
    ours = {k.removeprefix('backbone.'): v for k, v in nets.state('daformer').items() if k.startswith('backbone.')}
    loaded = initialised(imagenet)
    assert ours.keys() == loaded.keys() and all(torch.equal(loaded[k], ours[k]) for k in ours)
    torch.save(ours, tmp_path / 'converted.pth')  # as MMSegmentation publishes it
    again = initialised(tmp_path / 'converted.pth')
    assert all(torch.equal(again[k], ours[k]) for k in ours)


def test_a_fine_tuned_segformer_is_refused_unless_it_is_named_on_purpose(tmp_path):
    torch.save({'state_dict': nets.released('daformer')}, tmp_path / 'segformer.b5.ade.pth')
    with pytest.raises(UserError, match=r'segformer\.b5\.ade\.pth is a complete segmentor .* ImageNet file'):
        initialised(tmp_path / 'segformer.b5.ade.pth')
    loaded = initialised(tmp_path / 'segformer.b5.ade.pth', prefix='backbone.')
    assert torch.equal(loaded['layers.0.0.norm.weight'], nets.released('daformer')['backbone.patch_embed1.norm.weight'])


def test_mit_s_keys_are_mmsegmentation_s():
    script = Path(mmseg.__file__).parent / '.mim/tools/model_converters/mit2mmseg.py'
    if not script.exists():
        pytest.skip('this MMSegmentation ships no converters')
    spec = importlib.util.spec_from_file_location('mit2mmseg', script)
    spec.loader.exec_module(stock := importlib.util.module_from_spec(spec))
    state = {k.removeprefix('backbone.'): v for k, v in nets.released('daformer').items() if k.startswith('backbone.')}
    theirs, ours = stock.convert_mit(state), mit_of(state)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


# --- released checkpoints


@pytest.mark.parametrize('setting', SETTINGS)
def test_a_released_checkpoint_holds_student_and_teacher(setting):
    student, teacher = nets.released(setting), nets.released(setting, 'imnet.')
    bn = [key.removesuffix('weight') for key in student if key.endswith('bn.weight')]
    for state in (student, teacher):
        state.update({f'{key}running_mean': torch.full((1,), 3.0) for key in bn})
    checkpoint = {f'model.{k}': v for k, v in student.items()} | {f'ema_model.{k}': v for k, v in teacher.items()}
    for part, seeded in (('model', nets.state(setting)), ('ema_model', nets.state(setting, 'imnet.'))):
        ours = segmentor_of(checkpoint, part)
        assert all(torch.equal(ours[k], v) for k, v in seeded.items())
        assert ours.keys() <= nets.build(setting).state_dict().keys()
        assert sum(k.endswith('running_mean') for k in ours) == len(bn)
    with pytest.raises(UserError, match=r'has no imnet_model\.…'):
        segmentor_of(checkpoint, 'imnet_model')


# --- HRDA


@pytest.fixture
def hrda():
    return nets.build('hrda')


@torch.no_grad()
def test_training_sees_a_box_and_evaluation_windows(hrda):
    images = batch('hrda')[0]
    hrda.generator = torch.Generator().manual_seed(1)
    first, second = hrda(images, mode='tensor'), hrda(images, mode='tensor')
    assert first['detail'].shape == (2, 5, 16, 16) and first['decode'].shape == (2, 5, 32, 32)
    assert first['backbone'].shape == (2, 32, 2, 2)
    assert all(side % 8 == 0 for side in first['box']) and first['box'] != second['box']
    hrda.generator = torch.Generator().manual_seed(1)
    assert hrda(images, mode='tensor')['box'] == first['box']

    outputs = hrda.eval()(images, mode='tensor')
    assert outputs.keys() == {'decode', 'backbone'}
    assert hrda(images, mode='tensor', levels=('backbone',)).keys() == {'backbone'}


@torch.no_grad()
def test_windows_may_be_run_a_few_at_a_time(hrda):
    hrda.eval()
    images = batch('hrda')[2]
    once = hrda.logits(images)
    hrda.window_batch = 4
    assert torch.allclose(hrda.logits(images), once, rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_outer_slide_is_mmsegmentation_s(hrda):
    hrda.eval()
    wide = torch.cat([batch('hrda')[2][:1], batch('hrda', 1)[2][:1]], 3)
    logits = hrda.predict(wide)[0].seg_logits.data
    parts = [hrda.logits(wide[..., x : x + 128]) for x in (0, 64, 128)]
    parts = [resize(part, (128, 128), mode='bilinear', align_corners=False)[0] for part in parts]
    assert torch.allclose(logits[..., 64:128], (parts[0][..., 64:] + parts[1][..., :64]) / 2, rtol=0, atol=1e-12)
    assert torch.allclose(logits[..., 192:], parts[2][..., 64:], rtol=0, atol=1e-12)


def test_gradients_reach_every_part_and_outside_the_box_the_context_alone(hrda):
    images, labels, _ = batch('hrda')
    images.requires_grad_()
    outputs = hrda(images, mode='tensor')
    weight = torch.full(labels.shape, 0.5, dtype=torch.float64)
    losses = hrda.loss_by_outputs(outputs, labels, weight)
    full = hrda.loss_by_outputs(outputs, labels)
    assert all(2 * losses[k].item() == pytest.approx(full[k].item()) for k in losses if 'loss' in k)
    (losses['decode.loss_ce'] + losses['detail.loss_ce']).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in hrda.parameters())


def test_hrda_takes_a_head_of_another_stride():
    parts = dict(backbone=nets._resnet(), decode_head=nets._deeplab())
    parts['attention_head'] = dict(nets._deeplab(), dilations=(1,))
    segmentor = MODELS.build({**nets.config('hrda'), **parts})
    outputs = segmentor(torch.rand(2, 3, 128, 128), mode='tensor')
    assert outputs['decode'].shape == (2, 5, 16, 16) and outputs['detail'].shape == (2, 5, 8, 8)
    assert segmentor.logits(torch.rand(1, 3, 96, 128)).shape == (1, 5, 12, 16)
    with pytest.raises(UserError, match='image of 104×128: both sides must be multiples of 16'):
        segmentor.logits(torch.rand(1, 3, 104, 128))


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(scales=(1.0, 0.5)), 'must be the scale of the context'),
        (dict(detail_crop=(60, 64)), 'both sides must be multiples of 8'),
        (dict(detail_weight=2), 'must be between 0 and 1'),
    ],
)
def test_an_hrda_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        MODELS.build({**nets.config('hrda'), **change})


def test_checkpointed_blocks_change_nothing(hrda, monkeypatch):
    monkeypatch.setattr(hrda_segmentor, 'draw_detail_box', lambda *args: (32, 96, 56, 120))
    other = copy.deepcopy(hrda)
    checkpoint_blocks(other, tuple(f'backbone.layers.{i}.1' for i in range(4)) + ('decode_head',))
    images, labels, _ = batch('hrda')
    for segmentor in (hrda, other):
        losses = segmentor.loss_by_outputs(segmentor(images, mode='tensor'), labels)
        (losses['decode.loss_ce'] + losses['detail.loss_ce']).backward()
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(hrda.parameters(), other.parameters()))
    assert all(torch.equal(b, c) for b, c in zip(hrda.buffers(), other.buffers()))


@torch.no_grad()
def test_windows_can_be_traced_at_a_fixed_size(hrda):
    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.segmentor = hrda.eval()

        def forward(self, images):
            return self.segmentor.logits(images)

    with warnings.catch_warnings():
        warnings.simplefilter('ignore', torch.jit.TracerWarning)
        traced = torch.jit.trace(Logits(), batch('hrda')[0][:1], check_trace=False)
    images = batch('hrda', 1)[2][:1]
    assert torch.allclose(traced(images), hrda.logits(images), rtol=0, atol=1e-12)


@pytest.mark.parametrize('setting', SETTINGS)
def test_bfloat16_autocast_trains(setting):
    segmentor = nets.build(setting).float()
    images, labels, _ = batch(setting)
    with torch.autocast('cpu', torch.bfloat16):
        losses = segmentor.loss_by_outputs(segmentor(images.float(), mode='tensor'), labels)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad.isfinite().all() for p in segmentor.parameters())


def test_a_segmentor_with_a_generator_can_be_copied(hrda):
    hrda.generator = torch.Generator().manual_seed(0)
    assert copy.deepcopy(hrda).state_dict().keys() == hrda.state_dict().keys()
