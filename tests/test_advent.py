"""AdvEnt and MinEnt against their formulas in NumPy, and what the game owes to no method in particular."""

import ast
import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

from mmseg_adapt import methods
from mmseg_adapt.errors import UserError
from mmseg_adapt.methods import AdversarialAdapter
from mmseg_adapt.methods.advent import self_information

from .test_adversarial import CLASSES, LAMBDA_ADV, OPTIM, adapter, batch, gradients_of_one_iteration

LAMBDA_ENT = dict(decode=0.01, aux=0.002)


def minent(**overrides):
    return adapter(**{**dict(type='MinEnt', discriminator={}, lambda_adv={}, lambda_ent=LAMBDA_ENT), **overrides})


def segmentor_alone(model):
    cfg = dict(segmentor=copy.deepcopy(OPTIM['segmentor']))
    return OPTIM_WRAPPER_CONSTRUCTORS.build(dict(type='PlayerOptimWrapperConstructor', optim_wrapper_cfg=cfg))(model)


def target_probabilities(model, level) -> np.ndarray:
    """P of the target images at their size, (N, C, H, W)."""
    x = torch.stack(batch(0)['target']['inputs'])
    with torch.no_grad():
        logits = copy.deepcopy(model.segmentor)(x, mode='tensor')[level]
        logits = F.interpolate(logits, x.shape[2:], mode='bilinear', align_corners=True)
    e = np.exp(logits.numpy())
    return e / e.sum(axis=1, keepdims=True)


def test_advents_discriminator_sees_the_weighted_self_information():
    model = adapter(type='AdvEnt')
    p = target_probabilities(model, 'decode')
    image = torch.stack(batch(0)['target']['inputs'])
    with torch.no_grad():
        seen = model.view(copy.deepcopy(model.segmentor)(image, mode='tensor')['decode'], image.shape[2:])
    np.testing.assert_allclose(seen.numpy(), -p * np.log2(p) / np.log2(CLASSES), rtol=1e-9)
    shown = []
    judge = model.discriminator['decode'].forward
    model.discriminator['decode'].forward = lambda x: shown.append(x) or judge(x)
    gradients_of_one_iteration(model)
    assert torch.allclose(shown[0], seen)


def test_advents_losses_are_adaptsegnets_on_that_view():
    model = adapter(type='AdvEnt')
    reference = copy.deepcopy(model)
    log = model.train_step(batch(0), optimisers_of(model))
    for level in ('decode', 'aux'):
        p = target_probabilities(reference, level)
        with torch.no_grad():
            score = reference.discriminator[level](torch.from_numpy(-p * np.log2(p) / np.log2(CLASSES))).numpy()
        expected = LAMBDA_ADV[level] * np.log1p(np.exp(score)).mean()  # −log(1 − σ(score)): taken for source
        assert log[f'{level}.loss_adv'].item() == pytest.approx(expected, rel=1e-6)


def optimisers_of(model):
    cfg = dict(type='PlayerOptimWrapperConstructor', optim_wrapper_cfg=copy.deepcopy(OPTIM))
    return OPTIM_WRAPPER_CONSTRUCTORS.build(cfg)(model)


def test_minents_loss_is_the_mean_entropy_in_units_of_log_c_and_moves_the_segmentor():
    model = minent()
    assert model.players == ('segmentor',)
    expected = {}
    for level in ('decode', 'aux'):  # the running statistics of BN play no part in training mode
        p = target_probabilities(model, level)
        expected[level] = LAMBDA_ENT[level] * np.mean(-(p * np.log2(p)).sum(axis=1)) / np.log2(CLASSES)
        assert 0 < expected[level] < LAMBDA_ENT[level]
    without = minent(lambda_ent={})
    log = model.train_step(batch(0), segmentor_alone(model))
    assert {k for k in log if 'loss' in k} == {f'{x}.loss_{y}' for x in ('decode', 'aux') for y in ('ce', 'ent')}
    for level, value in expected.items():
        assert log[f'{level}.loss_ent'].item() == pytest.approx(value, rel=1e-9)
    without.train_step(batch(0), segmentor_alone(without))
    moved = [
        n
        for n, p in model.segmentor.named_parameters()
        if not torch.equal(p, dict(without.segmentor.named_parameters())[n])
    ]
    assert {'backbone.layer4.1.conv2.weight', 'decode_head.conv_seg.0.weight'} <= set(moved)


def test_a_certain_pixel_has_no_entropy_an_even_one_all_and_both_have_finite_gradients():
    p = torch.tensor([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]], requires_grad=True)
    entropy = self_information(p).sum(dim=1)
    torch.testing.assert_close(entropy, torch.tensor([0.0, 1.0]))
    entropy.sum().backward()
    assert torch.isfinite(p.grad).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('build', [lambda: adapter(type='AdvEnt'), minent], ids=['AdvEnt', 'MinEnt'])
def test_a_certain_pixel_in_half_precision_has_a_finite_view_loss_and_gradient(build, dtype):
    model = build()
    logits = torch.zeros(1, CLASSES, 2, 2, dtype=dtype)
    logits[:, 0] = 60.0  # every other class has probability 0 in float16
    logits.requires_grad_(True)
    seen = model.view(logits, (4, 4))
    seen = seen if isinstance(model, methods.AdvEnt) else model.target_losses(dict(decode=seen))['decode.loss_ent']
    seen.sum().backward()
    assert torch.isfinite(seen).all()
    assert torch.isfinite(logits.grad).all()


def test_double_precision_stays_double():
    assert self_information(torch.full((1, 2), 0.5, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        (dict(discriminator=dict(decode={})), 'MinEnt has no opponent: remove model.discriminator'),
        (dict(lambda_ent=dict(neck=1.0)), r"model.lambda_ent has \['neck'\]: its keys must be levels"),
        (dict(lambda_ent=dict(backbone=1.0)), "model.lambda_ent has 'backbone': use 'decode' and 'aux'"),
    ],
)
def test_a_minent_that_cannot_work_is_refused_in_a_sentence(overrides, message):
    with pytest.raises(UserError, match=message):
        minent(**overrides)


FAMILIES = (AdversarialAdapter, methods.SelfTraining)
BASES = (*FAMILIES, methods.DomainAdapter)
METHODS = [m for m in (getattr(methods, name) for name in methods.__all__) if m not in BASES]
ITERATION = ('train_step', 'learn_target', 'deceive', 'judge', 'teach', 'study')


@pytest.mark.parametrize('method', METHODS, ids=lambda m: m.__name__)
def test_a_methods_file_is_short_and_leaves_the_iteration_alone(method):
    (family,) = [family for family in FAMILIES if issubclass(method, family)]
    own = {'study'} if method is methods.VFMUDA else set()  # its lesson on the target has no labels
    assert all(getattr(method, n) is getattr(family, n) for n in ITERATION if hasattr(family, n) and n not in own)
    file = Path(methods.__file__).with_name(method.__module__.split('.')[-1] + '.py')
    longer = {methods.DACS: 100, methods.VFMUDA: 70}  # its line's first; two papers
    assert len(file.read_text().splitlines()) <= longer.get(method, 60)


def test_the_game_names_no_method():
    tree = ast.parse(Path(methods.__file__).with_name('adversarial.py').read_text())
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    compared = {
        c.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for c in ast.walk(node)
        if isinstance(c, ast.Constant)
    }
    assert not {m.__name__ for m in METHODS} & (named | imported | compared)
