"""FCAN's representation adaptation: the paper's losses, gradient reversal, a toy game with a known answer."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_adapt.errors import UserError
from mmseg_adapt.methods.gradient_reversal import reversed_gradient
from mmseg_adapt.models.losses import domain_loss, labels_of

from .test_adversarial import CLASSES, Stack, adapter, batch, gradients_of_one_iteration, optimisers


@pytest.fixture(autouse=True, scope='module')
def _one_thread():
    """The toys are too small for two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


REGION = dict(type='RegionDiscriminator', in_channels=32, channels=4)


def ran(**overrides) -> nn.Module:
    return adapter(
        **{**dict(type='RAN', discriminator=dict(backbone=REGION), lambda_adv=dict(backbone=0.2)), **overrides}
    )


@pytest.mark.parametrize(
    ('d_target', 'd_source', 'paper'),
    [
        (1 / 2, 1 / 2, 2 * math.log(2)),  # blind
        (3 / 4, 1 / 4, 2 * math.log(4 / 3)),  # good
        (1 / 4, 3 / 4, 2 * math.log(4)),  # fooled
        (1 / 2, 9 / 10, math.log(2) + math.log(10)),
        (math.exp(-1), 1 - math.exp(-2), 3.0),
    ],
)
def test_the_papers_adversarial_loss_equals_ours_for_exact_probabilities_of_target(d_target, d_source, paper):
    def score(p):
        return torch.full((2, 1, 3, 4), math.log(p / (1 - p)), dtype=torch.double)

    target, source = domain_loss(score(d_target), 'target'), domain_loss(score(d_source), 'source')
    assert (target + source).item() == pytest.approx(paper, rel=1e-12)
    # by turns, the segmentor's: the target taken for source
    assert domain_loss(score(d_target), 'source').item() == pytest.approx(-math.log(1 - d_target), rel=1e-12)


def test_reversed_gradients_equal_minus_lambda_times_the_explicit_gradient():
    torch.manual_seed(0)
    features, weight = torch.randn(2, 3, 5, 7, requires_grad=True), torch.randn(4, 3, 1, 1, requires_grad=True)

    def loss(x):
        return domain_loss(F.conv2d(x.tanh(), weight), 'target')

    explicit = torch.autograd.grad(loss(features), [features, weight])
    through = reversed_gradient(features, 0.7)
    assert torch.equal(through, features)
    ours = torch.autograd.grad(loss(through), [features, weight])
    torch.testing.assert_close(ours[0], -0.7 * explicit[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(ours[1], explicit[1], rtol=0, atol=0)


def paper_gradients(model, lam: float) -> dict[str, dict]:
    """max_F min_D { L_adv − λ L_seg }, the gradients of both players written out; F's is divided by λ."""
    data = batch(0)
    S, D = model.segmentor, model.discriminator['backbone']
    x_s, x_t = (torch.stack(data[domain]['inputs']) for domain in ('source', 'target'))
    y = torch.cat([s.gt_sem_seg.data for s in data['source']['data_samples']])
    out_s, out_t = S(x_s, mode='tensor'), S(x_t, mode='tensor')
    logits = {k: F.interpolate(out_s[k], y.shape[1:], mode='bilinear', align_corners=True) for k in ('decode', 'aux')}
    l_seg = sum(w * F.cross_entropy(logits[k], y, ignore_index=255) for k, w in (('decode', 1.0), ('aux', 0.1)))
    p_s, p_t = (torch.sigmoid(D(out['backbone'])) for out in (out_s, out_t))
    l_adv = -torch.log(p_t).mean() - torch.log(1 - p_s).mean()
    minimised = {'segmentor': -(l_adv - lam * l_seg) / lam, 'discriminator': l_adv / 2}
    gradients = {}
    for player, loss in minimised.items():
        named = [(n, p) for n, p in getattr(model, player).named_parameters() if p.requires_grad]
        values = torch.autograd.grad(loss, [p for _, p in named], retain_graph=True, allow_unused=True)
        gradients[player] = {name: value for (name, _), value in zip(named, values)}
    return gradients


def test_reversal_gives_both_players_the_gradients_of_the_papers_minimax_game():
    model = ran(reversal=True)
    expected = paper_gradients(copy.deepcopy(model), lam=5.0)
    ours = gradients_of_one_iteration(model)
    for player in ('segmentor', 'discriminator'):
        for name, gradient in expected[player].items():
            torch.testing.assert_close(ours[player][name], gradient, rtol=1e-8, atol=1e-12, msg=f'{player}.{name}')
    adversarial = paper_gradients(model, lam=1e9)['segmentor']  # as good as none
    moved = [n for n, g in expected['segmentor'].items() if not torch.allclose(g, adversarial[n], rtol=1e-3)]
    assert any('backbone' in name for name in moved)


def test_by_turns_and_by_reversal_the_discriminator_has_the_same_gradient():
    by_turns, reversal = (gradients_of_one_iteration(ran(reversal=r))['discriminator'] for r in (False, True))
    for name, gradient in by_turns.items():
        torch.testing.assert_close(reversal[name], gradient, rtol=1e-9, atol=1e-14, msg=name)


def test_a_labelled_part_of_the_target_adds_its_loss_times_lambda_t():
    semi = {**batch(0), 'labeled_target': batch(7)['source']}
    model = ran(lambda_target=0.3)
    reference = copy.deepcopy(model)
    params = [p for p in reference.segmentor.parameters() if p.requires_grad]
    losses = {}
    for domain, images in (('source', batch(0)['source']), ('labeled_target', batch(7)['source'])):
        outputs = reference.segmentor(torch.stack(images['inputs']), mode='tensor')
        named = reference.segmentor.loss_by_outputs(outputs, labels_of(images['data_samples']))
        losses[domain] = sum(named[f'{level}.loss_ce'] for level in ('decode', 'aux'))
    score = reference.discriminator['backbone'](
        reference.segmentor(torch.stack(batch(0)['target']['inputs']), mode='tensor')['backbone']
    )
    total = losses['source'] + 0.3 * losses['labeled_target'] + 0.2 * domain_loss(score, 'source')
    expected = torch.autograd.grad(total, params, allow_unused=True)
    ours = {}
    wrappers = game_optimisers(model, lr_s=0.0)
    step = wrappers['segmentor'].step
    wrappers['segmentor'].step = lambda: (ours.update({id(p): p.grad.clone() for p in kept}), step())
    kept = [p for p in model.segmentor.parameters() if p.requires_grad]
    log = model.train_step(semi, wrappers)
    for parameter, gradient in zip(kept, expected):
        torch.testing.assert_close(ours[id(parameter)], gradient, rtol=1e-8, atol=1e-12)
    logged = log['labeled_target.decode.loss_ce'] + log['labeled_target.aux.loss_ce']
    assert logged.item() == pytest.approx(0.3 * losses['labeled_target'].item())


# ---- the toy game: two Gaussians, linear features --------------------------------------------------------------------


class LinearFeature(nn.Module):
    """A 1×1 convolution of two channels into one: a linear feature of every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv2d(2, 1, 1, bias=False)
        nn.init.ones_(self.linear.weight)

    def forward(self, x):
        return (self.linear(x),)


class LogisticRegression(nn.Conv2d):
    """D: one weight and a bias, on every pixel's feature."""

    def __init__(self) -> None:
        super().__init__(1, 1, 1)


SHIFT, SIZE = 3.0, (8, 8)


def gaussians(t: int, images: int = 4) -> dict:
    """Pixels (a, b): a ~ N(0, 1) in both domains, b ~ N(−3, 1) in the source and N(3, 1) in the target.

    The class is the sign of a + b without the shift: b tells much about it, and all about the domain.
    """
    g = torch.Generator().manual_seed(t)
    data = {}
    for domain, shift in (('source', -SHIFT), ('target', SHIFT)):
        x = torch.randn(images, 2, *SIZE, generator=g)
        samples = [SegDataSample(metainfo=dict(img_shape=SIZE)) for _ in x]
        for sample, image in zip(samples, x):
            sample.gt_sem_seg = PixelData(data=(image.sum(0, keepdim=True) > 0).long())
        x[:, 1] += shift
        data[domain] = dict(inputs=list(x), data_samples=samples)
    return data


def game_optimisers(model, lr_s=0.03, lr_d=0.5):
    cfg = {p: dict(optimizer=dict(type='SGD', lr=lr)) for p, lr in (('segmentor', lr_s), ('discriminator', lr_d))}
    constructor = dict(type='PlayerOptimWrapperConstructor', optim_wrapper_cfg=cfg)
    return OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)


def toy(reversal: bool, lambda_adv: float) -> nn.Module:
    for part in (LinearFeature, LogisticRegression):
        MODELS.register_module(module=part, force=True)
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='RAN',
            segmentor=dict(
                type='MultiLevelSegmentor',
                data_preprocessor=dict(type='SegDataPreProcessor'),
                backbone=dict(type='LinearFeature'),
                decode_head=dict(type='DeepLabV2Head', in_channels=1, in_index=0, num_classes=2, dilations=(1,)),
                test_cfg=dict(mode='whole'),
            ),
            discriminator=dict(backbone=dict(type='LogisticRegression')),
            lambda_adv=dict(backbone=lambda_adv),
            reversal=reversal,
        )
    )
    model.data_preprocessor = Stack()
    return model.train()


def domain_accuracy(model) -> float:
    """Of the better of all thresholds between the domains' means, on the feature of pixels not trained on."""
    with torch.no_grad():
        images = {k: torch.stack(v['inputs']) for k, v in gaussians(1000, images=64).items()}
        source, target = (model.segmentor(images[k], mode='tensor')['backbone'].flatten() for k in images)
    threshold = (source.mean() + target.mean()) / 2
    accuracy = torch.cat([source < threshold, target > threshold]).double().mean().item()
    return max(accuracy, 1 - accuracy)


@pytest.mark.parametrize('reversal', [False, True], ids=['by turns', 'by reversal'])
@pytest.mark.parametrize('lambda_adv', [0.0, 2.0])
def test_the_toy_game_makes_the_domains_indistinguishable_and_without_the_term_they_stay_apart(reversal, lambda_adv):
    model = toy(reversal, lambda_adv)
    wrappers = game_optimisers(model)
    for t in range(160):
        log = model.train_step(gaussians(t), wrappers)
    if lambda_adv:
        assert domain_accuracy(model) <= 0.55
        assert log['decode.acc_seg'] > 65  # the first channel alone: 75
    else:
        assert domain_accuracy(model) >= 0.95


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        (
            dict(discriminator=dict(decode=dict(REGION, in_channels=CLASSES)), lambda_adv=dict(decode=0.2)),
            r"RAN adapts features, but model.discriminator has \['decode'\]: use only 'backbone'",
        ),
        (
            dict(discriminator={}, lambda_adv={}, reversal=True),
            'model.reversal = True needs a discr',
        ),
        (
            dict(discriminator=dict(backbone=dict(REGION, dilations=())), lambda_adv=dict(backbone=1)),
            r'RegionDiscriminator.dilations = \(\): list one or more rates',
        ),
    ],
)
def test_a_config_that_cannot_work_is_refused_in_a_sentence(overrides, message):
    with pytest.raises(UserError, match=message):
        ran(**overrides)


@pytest.mark.parametrize('kind', ['RegionDiscriminator', 'ImageDiscriminator'])
def test_a_discriminator_of_the_wrong_width_says_which_width_it_needs(kind):
    model = ran(discriminator=dict(backbone=dict(type=kind, in_channels=2048)))
    with pytest.raises(UserError, match='in_channels = 2048, but its input has 32 channels: set in_channels = 32'):
        model.train_step(batch(0), game_optimisers(model))


def test_where_d_looks_at_features_the_heads_bn_statistics_are_those_of_the_source_alone():
    fcn = dict(type='FCNHead', in_channels=32, in_index=3, channels=8, num_convs=1, num_classes=CLASSES)
    fcn.update(norm_cfg=dict(type='BN'), loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True))
    model = ran()
    segmentor = model.segmentor
    segmentor.decode_head = MODELS.build(fcn).double().train()
    alone = copy.deepcopy(segmentor)
    alone(torch.stack(batch(0)['source']['inputs']), mode='tensor')
    model.train_step(batch(0), optimisers(model))
    ours, source_only = (s.decode_head.convs[0].bn for s in (segmentor, alone))
    assert torch.equal(ours.running_mean, source_only.running_mean)
    assert not torch.equal(segmentor.backbone.bn1.running_mean, alone.backbone.bn1.running_mean)  # absorbs the target
