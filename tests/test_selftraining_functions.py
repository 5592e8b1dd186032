"""Self-training's functions against what the authors' released code printed for the same inputs.

``reference/selftraining/functions.json`` and ``.npz`` hold its figures, ``inputs.py`` the inputs; each test names its
entry. Everything but the float32 cases is computed in double precision.
"""

import json
import math
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler import LinearLR, PolyLR
from mmseg.models.losses import CrossEntropyLoss, accuracy
from mmseg.models.utils import resize
from torch import nn

from mmseg_adapt.errors import UserError
from mmseg_adapt.methods.augmentation import Jitter, blur, draw_blur, draw_jitter, jitter, kernel_size
from mmseg_adapt.methods.ema import ema_alpha, ema_update
from mmseg_adapt.methods.feature_distance import feature_distance, majority
from mmseg_adapt.methods.mixing import (
    class_mask,
    class_table,
    draw_block_mask,
    draw_classes,
    hide,
    mix,
    pseudo_labels,
    weights_with_margins,
)
from mmseg_adapt.models.hrda_segmentor import average, draw_detail_box, fuse, windows

from .reference.selftraining import inputs, nets

REFERENCE = Path(__file__).parent / 'reference/selftraining'
FIGURES = json.loads((REFERENCE / 'functions.json').read_text())
ARRAYS = np.load(REFERENCE / 'functions.npz')
MEAN, STD = torch.from_numpy(inputs.MEAN), torch.from_numpy(inputs.STD)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def near(figure, rel=1e-12, **kwargs):
    return pytest.approx(figure, rel=rel, abs=kwargs.pop('abs', 1e-12))


# --- a_ema


class Student(nn.Module):
    """The parameters and buffers of the entry ``a_ema`` at iteration ``i``."""

    def __init__(self, i=0.0, running_mean=7.0):
        super().__init__()
        step = torch.tensor([0.1, 0.3, -0.2], dtype=torch.float64)
        self.w = nn.Parameter(torch.tensor([1, -2, 0.5], dtype=torch.float64) + i * step + 0.01 * i * i)
        self.s = nn.Parameter(torch.tensor(5.0 - i, dtype=torch.float64))
        self.bn = nn.BatchNorm1d(2, dtype=torch.float64)
        self.bn.weight.data = torch.tensor([1 + 0.05 * i, 2], dtype=torch.float64)
        self.bn.running_mean += running_mean + i


def follow(teacher, student, steps, cap):
    ema_update(teacher.parameters(), student.parameters(), ema_alpha(steps, cap))


def test_the_teacher_follows_as_in_daformers_release_and_leaves_buffers_alone():
    teacher = Student(i=3, running_mean=-4)
    for i, figure in enumerate(FIGURES['a_ema']['daformer_alpha_0_999']):
        follow(teacher, Student(i), i, cap=0.999)
        assert ema_alpha(i, 0.999) == near(figure.get('alpha', 0))
        assert teacher.w.tolist() == near(figure['w'])
        assert teacher.s.item() == near(figure['s'])
        assert teacher.bn.weight.tolist() == near(figure['bn_weight'])
        assert teacher.bn.running_mean.tolist() == figure['bn_running_mean']
    follow(teacher, Student(6), 5000, cap=0.999)
    assert teacher.w.tolist() == near(FIGURES['a_ema']['then_student_6_at_iteration_5000']['w'])
    assert teacher.s.item() == near(FIGURES['a_ema']['then_student_6_at_iteration_5000']['s'])


def test_alpha_rises_to_its_cap():
    for steps, alpha in FIGURES['a_ema']['alpha_at'].items():
        assert ema_alpha(int(steps), 0.999) == near(alpha)


def test_the_teacher_follows_after_the_step_as_in_dacs_release():
    teacher = Student(0)
    for i, figure in enumerate(FIGURES['a_ema']['dacs_released_alpha_0_99']):
        follow(teacher, Student(i + 1), i, cap=0.99)
        assert teacher.w.tolist() == near(figure['w'])


def test_a_copy_is_exact_and_a_teacher_of_another_network_is_refused():
    student, teacher = nn.Linear(3, 3), nn.Linear(3, 3)
    teacher.weight.data.fill_(math.inf)
    follow(teacher, student, 0, cap=0.99)
    assert torch.equal(teacher.weight, student.weight)
    with pytest.raises(ValueError, match='the teacher has 2 parameters, but the student has 1'):
        ema_update(teacher.parameters(), [student.weight], 0.5)


# --- b_classmix


@pytest.fixture(scope='module')
def mixed():
    """Images, labels, pseudo-labels and the mask of the entry ``b_classmix``."""
    source, labels, target = inputs.batch(0, size=64, block=16, classes=7, seed=5)
    labels = torch.from_numpy(labels)[:, 0]
    mask = class_mask(labels, class_table(FIGURES['b_classmix']['chosen']))
    pseudo = torch.from_numpy(np.random.RandomState(9).randint(0, 7, (2, 64, 64)))
    return torch.from_numpy(source), labels, torch.from_numpy(target), pseudo, mask


def test_classmix_equals_the_released_one(mixed):
    source, labels, target, pseudo, mask = mixed
    figures = FIGURES['b_classmix']
    assert mask.numpy().tobytes() == np.unpackbits(ARRAYS['b_mix_masks'], axis=-1)[..., :64].astype(bool).tobytes()
    assert mask.sum((1, 2)).tolist() == figures['mask_pixels']

    image, label, weight = mix(mask, source, target), mix(mask, labels, pseudo), mix(mask, 1.0, torch.tensor(0.25))
    assert image.sum((1, 2, 3)).tolist() == near(figures['image_sum'])
    assert image.square().sum((1, 2, 3)).tolist() == near(figures['image_sumsq'])
    assert np.array_equal(image[..., ::4, ::4], ARRAYS['b_mixed_image_every_4th_pixel'])
    assert str(label.dtype) == figures['label_dtype']
    assert np.array_equal(label, ARRAYS['b_mixed_labels'][:, 0])
    assert label.sum((1, 2)).tolist() == figures['label_sum']
    assert weight.sum((1, 2)).tolist() == figures['weight_sum']


def test_an_image_keeps_half_of_the_values_in_the_batch_rounded_up():
    for n, kept in FIGURES['b_classmix']['classes_chosen_of_n'].items():
        values = torch.tensor([*range(int(n) - 1), 255])
        labels = torch.stack([values, values.flip(0)]).view(2, 1, -1)
        chosen = draw_classes(labels, generator())
        assert chosen.sum(1).tolist() == [kept, kept]
        assert set(chosen.nonzero()[:, 1].tolist()) <= set(values.tolist())


def test_classes_come_from_the_whole_batch_or_from_each_image():
    labels = torch.tensor([[0, 0, 1, 1], [2, 3, 4, 255]]).view(2, 2, 2)
    drawn = [draw_classes(labels, generator(seed)) for seed in range(50)]
    assert all(chosen.sum(1).tolist() == [3, 3] for chosen in drawn)
    assert torch.stack(drawn).any(0).sum(1).tolist() == [6, 6]  # an image may be given what it lacks, and "ignore"

    own = [draw_classes(labels, generator(seed), of='image') for seed in range(50)]
    assert all(chosen.sum(1).tolist() == [1, 2] for chosen in own)
    assert torch.stack(own).any(0)[0].nonzero().flatten().tolist() == [0, 1]
    assert torch.stack(own).any(0)[1].nonzero().flatten().tolist() == [2, 3, 4, 255]
    with pytest.raises(UserError, match="'pixel' must be 'batch' or 'image'"):
        draw_classes(labels, generator(), of='pixel')


def test_every_class_is_drawn_equally_often_and_a_seed_repeats_its_draw():
    labels = torch.arange(5).view(1, 1, 5)
    source = generator()
    counts = sum(draw_classes(labels, source).float() for _ in range(4000))[0, :5]
    assert (counts / 4000 - 3 / 5).abs().max() < 4 * (0.24 / 4000) ** 0.5
    assert torch.equal(draw_classes(labels, generator(7)), draw_classes(labels, generator(7)))


# --- b_jitter, b_blur


@pytest.mark.parametrize('case', range(4))
def test_jitter_equals_the_released_one(case):
    figure = FIGURES['b_jitter']['cases'][case]
    images = torch.from_numpy(inputs.batch(1, size=64, block=16, seed=5)[0][:1, :, 16:32, 16:32])
    factors = torch.tensor([[figure[key] for key in 'bcsh']], dtype=torch.float64)
    out = jitter(images, Jitter(factors, [figure['order']]), MEAN, STD)
    assert np.abs(out.numpy() - ARRAYS[f'b_jitter_{case}']).max() < 1e-12
    assert out.sum().item() == near(figure['sum'])
    assert out.square().sum().item() == near(figure['sumsq'])


@pytest.mark.parametrize('one_order', [True, False])
def test_a_batch_is_jittered_as_its_images_alone(one_order):
    images = torch.from_numpy(inputs.batch(1, n=3, size=64, block=16, seed=5)[0])
    drawn = draw_jitter(3, 0.2, generator(), prob=1, one_order=one_order)
    assert (drawn.orders[0] == drawn.orders[1] == drawn.orders[2]) is one_order
    alone = [
        jitter(images[i : i + 1], Jitter(drawn.factors[i : i + 1], drawn.orders[i : i + 1]), MEAN, STD)
        for i in range(3)
    ]
    assert torch.allclose(jitter(images, drawn, MEAN, STD), torch.cat(alone), rtol=0, atol=1e-14)


def test_factors_fill_the_released_ranges():
    source = generator()
    drawn = torch.cat([draw_jitter(1, 0.2, source, prob=1).factors for _ in range(2000)])
    ranges = FIGURES['b_jitter']['ranges_of_2000_draws_s_0.2']
    for i, name in enumerate(('brightness', 'contrast', 'saturation', 'hue')):
        low, high = ranges[f'{name}_factor']
        assert drawn[:, i].min().item() == pytest.approx(low, abs=2e-3)
        assert drawn[:, i].max().item() == pytest.approx(high, abs=2e-3)


def test_black_grey_and_white_have_no_hue_to_turn():
    grey = torch.tensor([0.0, 100.0, 255.0], dtype=torch.float64).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    images = (grey - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)
    drawn = Jitter(torch.tensor([[1.0, 1.0, 1.0, 0.3]], dtype=torch.float64), [[3, 0, 1, 2]])
    assert torch.allclose(jitter(images, drawn, MEAN, STD), images, rtol=0, atol=1e-12)


def test_four_of_five_iterations_are_jittered_and_half_are_blurred():
    source = generator()
    assert sum(draw_jitter(2, 0.2, source) is not None for _ in range(2000)) / 2000 == pytest.approx(0.8, abs=0.03)
    assert sum(draw_blur(2, source) is not None for _ in range(2000)) / 2000 == pytest.approx(0.5, abs=0.04)
    images = torch.rand(2, 3, 8, 8)
    assert jitter(images, None, MEAN, STD) is images
    assert blur(images, None) is images


def test_blur_equals_the_released_one():
    images = torch.from_numpy(inputs.batch(2, size=64, block=16, seed=5)[0])
    for i, figure in enumerate(FIGURES['b_blur']['cases']):
        out = blur(images, [figure['sigma']] * 2)
        assert np.abs(out[..., ::4, ::4].numpy() - ARRAYS[f'b_blur_{i}_every_4th_pixel']).max() < 1e-12
        assert out.sum().item() == near(figure['sum'])
        assert out.square().sum().item() == near(figure['sumsq'])
    sigma = np.random.RandomState(3).uniform(0.15, 1.15)
    assert blur(images, [sigma] * 2).sum().item() == near(FIGURES['b_blur']['np_seed_3_sum'])


def test_blur_has_the_released_kernel_sizes_and_each_image_its_own_sigma():
    assert {str(k): kernel_size(int(k)) for k in FIGURES['b_blur']['kernel_of_size']} == FIGURES['b_blur'][
        'kernel_of_size'
    ]
    images = torch.from_numpy(inputs.batch(2, size=64, block=16, seed=5)[0])[:, :, :48]
    own = torch.cat([blur(images[:1], [0.3]), blur(images[1:], [1.1])])
    assert torch.allclose(blur(images, [0.3, 1.1]), own, rtol=0, atol=1e-14)
    sigmas = draw_blur(200, generator(), prob=1)
    assert min(sigmas) == pytest.approx(0.15, abs=0.02) and max(sigmas) == pytest.approx(1.15, abs=0.02)
    assert len(set(draw_blur(5, generator(), prob=1, one_sigma=True))) == 1


# --- c_pseudo


@pytest.fixture(scope='module')
def pseudo():
    logits = torch.from_numpy(np.float32(6 * np.random.RandomState(11).standard_normal((2, 5, 32, 48))))
    return logits, *pseudo_labels(logits, 0.968)


def test_pseudo_labels_and_their_weight_equal_the_released_ones(pseudo):
    logits, labels, q = pseudo
    figures = FIGURES['c_pseudo']
    assert np.array_equal(labels, ARRAYS['c_pseudo_labels'])
    assert labels.flatten().bincount().tolist() == figures['label_histogram']
    assert labels.sum().item() == figures['label_sum']
    assert q.item() == near(figures['weight'])
    assert pseudo_labels(logits, 0.968, per_image=True)[1].tolist() == near(
        figures['fraction_of_each_image_for_comparison']
    )


def test_margins_equal_the_released_ones_and_leave_q_alone(pseudo):
    _, labels, q = pseudo
    figures = FIGURES['c_pseudo']
    with_margins = weights_with_margins(q, labels, top=3, bottom=7)
    assert with_margins.sum().item() == near(figures['weight_sum_with_ignore_top_3_bottom_7'], rel=1e-6)
    assert set(with_margins.unique().tolist()) == {0.0, q.item()}
    valid = torch.ones(2, 1, 32, 48)
    valid[:, :, :5], valid[..., :9] = 0, 0
    masked = weights_with_margins(q, labels, valid=valid)
    assert masked.sum().item() == near(figures['weight_sum_with_valid_mask_rows5_cols9_zero'], rel=1e-6)
    padded = torch.where(valid == 0, 255, valid)
    assert torch.equal(weights_with_margins(q, labels, valid=padded), masked)  # the release: 255 q


def test_each_image_may_have_its_own_weight():
    weights = weights_with_margins(torch.tensor([0.25, 0.5]), torch.zeros(2, 4, 3, dtype=torch.long), top=1)
    assert weights.sum((1, 2)).tolist() == [0.25 * 9, 0.5 * 9]


@pytest.mark.parametrize('margins', [dict(top=16, bottom=16), dict(top=-1), dict(top=1, valid=torch.ones(2, 32, 48))])
def test_margins_that_make_no_sense_are_refused(pseudo, margins):
    with pytest.raises(UserError, match='ignore_top = .* less than the 32 rows|twice'):
        weights_with_margins(pseudo[2], pseudo[1], **margins)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_confidence_is_computed_in_float32_or_better(dtype):
    logits = (6 * torch.randn(2, 5, 32, 32, generator=generator(), dtype=torch.float64)).to(dtype)
    labels, q = pseudo_labels(logits, 0.968)
    confidence, best = logits.double().softmax(1).max(1)
    assert torch.equal(labels, best)
    assert q.dtype == torch.promote_types(dtype, torch.float32)
    assert q.item() == near((confidence >= 0.968).double().mean().item(), rel=1e-6)


# --- d_fd


@pytest.mark.parametrize('case', range(5))
def test_feature_distance_equals_the_released_one(case):
    figure = FIGURES['d_fd']['cases'][case]
    draws = np.random.RandomState(23)
    student = torch.from_numpy(draws.standard_normal((2, 8, 4, 4))).requires_grad_()
    frozen = torch.from_numpy(draws.standard_normal((2, 8, 4, 4)))
    labels = torch.from_numpy(ARRAYS['d_gt'])[:, 0].long()
    loss = 0.005 * feature_distance(student, frozen, labels, figure['classes'], figure['min_ratio'] or 0.75)
    loss.backward()
    nothing = math.isnan(figure['loss'])  # the released loss of no cell, whose gradient is 0
    assert loss.item() == near(0.0 if nothing else figure['loss'])
    assert student.grad.norm().item() == near(figure['grad_norm'])
    assert student.grad.sum().item() == near(figure['grad_sum'])
    assert (student.grad != 0).any(1).sum().item() == figure['cells']


@pytest.mark.parametrize('ratio', [0.75, 0.5])
def test_cells_show_the_released_labels(ratio):
    shown, share = majority(torch.from_numpy(ARRAYS['d_gt'])[:, 0].long(), 4, 4)
    cells = torch.where(share >= ratio, shown, 255)
    assert cells.flatten().tolist() == FIGURES['d_fd'][f'downscaled_labels_ratio_{ratio}']


def test_feature_distance_of_equal_features_has_no_gradient_and_half_precision_is_not_enough():
    labels = torch.full((1, 32, 32), 6)
    student = torch.full((1, 4, 2, 2), 300.0, dtype=torch.float16, requires_grad=True)
    frozen = torch.zeros(1, 4, 2, 2, dtype=torch.float16)
    assert feature_distance(student, frozen, labels).item() == 600.0  # its square is infinite in float16
    loss = feature_distance(student, student.detach(), labels)
    loss.backward()
    assert loss.item() == 0 and student.grad.abs().max() == 0


# --- f_mask


@pytest.mark.parametrize('case', FIGURES['f_mask']['cases'], ids=lambda case: case['npz'])
def test_block_masks_equal_the_released_ones(case):
    size, block = case['size'], case['block']
    visible = draw_block_mask(2, size, block, case['ratio'], generator(case['seed']))
    if case['dtype'] == 'torch.float64':  # drawn in double precision, which are other draws
        visible = torch.rand(2, *case['grid'], generator=generator(case['seed']), dtype=torch.float64) > case['ratio']
    assert list(visible.shape[1:]) == case['grid']
    mask = hide(torch.ones(2, 3, *size), visible)[:, 0].bool()
    assert np.array_equal(mask, np.unpackbits(ARRAYS[case['npz']], axis=-1)[..., : size[1]].astype(bool))
    assert mask.float().mean((1, 2)).tolist() == near(case['kept_fraction'], rel=1e-6)


def test_hidden_blocks_have_the_mean_colour():
    images = torch.randn(2, 3, 4, 4, generator=generator())
    visible = torch.tensor([[[True, False], [False, True]], [[False, False], [True, True]]])
    hidden = hide(images, visible)
    assert torch.equal(hidden[0, :, :2, :2], images[0, :, :2, :2])
    assert hidden[0, :, :2, 2:].abs().max() == 0 and hidden[1, :, :2].abs().max() == 0


def test_masks_that_make_no_sense_are_refused():
    with pytest.raises(UserError, match='mask.ratio = 1.5 must be between 0 and 1'):
        draw_block_mask(1, (64, 64), 32, 1.5, generator())
    with pytest.raises(UserError, match='mask.block = 200 is larger than the image .64×64'):
        draw_block_mask(1, (64, 64), 200, 0.7, generator())


# --- g_hrda


@pytest.fixture(scope='module')
def views():
    """Logits of the context, the attention, the detail box and nine windows; labels and weights: entry ``g_hrda``."""
    draws = np.random.RandomState(51)
    maps = [torch.from_numpy(draws.standard_normal((n, 5, 16, 16))) for n in (2, 2, 2, 18)]
    labels = torch.from_numpy(np.random.RandomState(52).choice([0, 1, 2, 3, 4, 255], (2, 1, 128, 128)))[:, 0]
    weight = torch.from_numpy(np.random.RandomState(53).uniform(size=(2, 128, 128)))
    return maps, labels, weight


@pytest.fixture(scope='module')
def segmentor():
    return nets.build('hrda')


def fits(x, figures, name):
    assert x.sum().item() == near(figures[f'{name}_sum'])
    assert x.square().sum().item() == near(figures[f'{name}_sumsq'])


@pytest.mark.parametrize('case', range(3))
def test_hrda_fuses_a_box_and_weighs_its_two_losses_as_released(views, segmentor, case):
    (*maps, _), labels, weight = views
    figure = FIGURES['g_hrda']['crop'][case]
    context, attention, detail = maps = [x.clone().requires_grad_() for x in maps]
    box = tuple(figure['box_y1y2x1x2'])
    fused = fuse(context, attention.sigmoid(), detail, (128, 128), 4, box)
    fits(fused, figure, 'fused')
    if case == 0:
        assert np.abs(fused.detach().numpy() - ARRAYS['g_fused_crop']).max() < 1e-12

    losses = segmentor.loss_by_outputs(dict(decode=fused, detail=detail, box=box), labels, weight)
    loss, detail_loss = losses['decode.loss_ce'], losses['detail.loss_ce']
    assert loss.item() == near(figure['loss_seg'], rel=1e-9)
    assert detail_loss.item() == near(figure['hr_loss_seg'], rel=1e-9)
    (loss + detail_loss).backward()
    assert [x.grad.norm().item() for x in maps] == near(figure['grad_norms_context_attention_detail'], rel=1e-9)


def test_hrda_merges_overlapping_windows_as_released(views):
    (context, attention, _, logits), *_ = views
    figures = FIGURES['g_hrda']
    boxes = windows((128, 128), (64, 64))
    assert [list(box) for box in boxes] == figures['slide_boxes_128x128']
    assert [list(box) for box in windows((100, 128), (64, 64))] == figures['slide_boxes_100x128']

    detail = average(logits, boxes, (128, 128), 4)
    assert np.abs(detail.numpy() - ARRAYS['g_detail_slide']).max() < 1e-12
    fits(detail, figures, 'slide_detail')
    fused = fuse(context, attention.sigmoid(), detail, (128, 128), 4)
    assert np.abs(fused.numpy() - ARRAYS['g_fused_slide']).max() < 1e-12
    fits(fused, figures, 'slide_fused')
    fits(fuse(context, torch.full_like(attention, 0.5), detail, (128, 128), 4), figures, 'fixed_attention_0.5_slide')


def test_detail_boxes_lie_on_the_grid_where_the_released_ones_do():
    figure = FIGURES['g_hrda']['crop_offsets_of_20000_draws_1024_512_divisible_8']
    source = generator()
    boxes = [draw_detail_box((1024, 1024), (512, 512), source) for _ in range(3000)]
    assert all(y2 - y1 == x2 - x1 == 512 for y1, y2, x1, x2 in boxes)
    for offsets in ({y1 for y1, *_ in boxes}, {x1 for _, _, x1, _ in boxes}):
        assert (min(offsets), max(offsets), len(offsets)) == (figure['min'], figure['max'], figure['distinct'])
    assert draw_detail_box((64, 72), (64, 64)) == (0, 64, 0, 64)  # never the last place
    with pytest.raises(UserError, match='detail_crop = .512, 512. is larger than the image .256×1024'):
        draw_detail_box((256, 1024), (512, 512))


# --- f_loss, learning rate, sizes: MMSegmentation's own parts, where 0.16 and 1.x could differ


@pytest.mark.parametrize('case', ['no_weight', 'weight'])
def test_the_loss_averages_over_ignored_pixels_too(case):
    figure = FIGURES['f_loss']['cases'][case]
    logits = torch.from_numpy(2 * np.random.RandomState(41).standard_normal((2, 5, 16, 16))).requires_grad_()
    labels = torch.from_numpy(np.random.RandomState(42).choice([0, 1, 2, 3, 4, 255], (2, 1, 64, 64)))[:, 0]
    weight = torch.full(labels.shape, 0.4375, dtype=torch.float64)
    weight[:, :7] = 0
    large = resize(logits, labels.shape[1:], mode='bilinear', align_corners=False)
    loss = CrossEntropyLoss()(large, labels, weight=weight if case == 'weight' else None, ignore_index=255)
    loss.backward()
    assert loss.item() == near(figure['loss'], rel=1e-10)  # mmseg 1.x adds 1e-7 to the number of pixels
    assert logits.grad.norm().item() == near(figure['grad_norm'], rel=1e-10)
    released = accuracy(large, labels, ignore_index=None).item()  # counts ignored pixels as wrong
    assert released == near(figure['acc'], rel=1e-6)
    assert (labels != 255).double().mean().item() == near(figure['valid_fraction'])


def test_warm_up_times_decay_gives_the_released_learning_rates():
    optimiser = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=6e-5))
    schedule = [
        LinearLR(optimiser, start_factor=1e-6, by_epoch=False, begin=0, end=1501),
        PolyLR(optimiser, power=1, eta_min=0, by_epoch=False, begin=0, end=40001),
    ]
    figures = {int(t): lr for t, lr in FIGURES['lr_6e-5_poly10warm'].items()}
    for t in range(40000):
        if t in figures:
            assert optimiser.param_groups[0]['lr'] == near(figures[t], rel=1e-9, abs=1e-17), t
        for scheduler in schedule:
            scheduler.step()


def test_images_that_keep_their_ratio_have_the_released_sizes():
    for case, size in FIGURES['resize_keep_ratio'].items():
        old, scale = (eval(part) for part in case.split('->'))
        assert list(mmcv.rescale_size(old, scale)) == size
        assert list(mmcv.imrescale(np.zeros((*old[::-1], 1), np.uint8), scale).shape[1::-1]) == size
