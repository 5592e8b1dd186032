"""The health of the game: its numbers against plain PyTorch, its words, and that it changes nothing."""

import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import HistoryBuffer, MessageHub

from mmseg_adapt.engine import GameHealthHook
from mmseg_adapt.errors import UserError

from .test_adversarial import LAMBDA_ADV, LEVELS, adapter, batch, optimisers
from .tiny import load, tiny_config, train


class Words:
    def __init__(self):
        self.warnings, self.infos = [], []
        self.warning, self.info = self.warnings.append, self.infos.append


def runner_of(model, iteration=0, **scalars):
    hub = MessageHub(f'health{id(model)}')
    for name, value in scalars.items():
        hub.log_scalars[f'train/{name}'] = HistoryBuffer([value], [1])
    return SimpleNamespace(model=model, message_hub=hub, logger=Words(), iter=iteration, max_iters=10**6, hooks=[])


def test_accuracies_shares_and_the_gradient_ratio_equal_those_of_plain_pytorch():
    model = adapter()
    model.segmentor.eval()  # BN: the same outputs whenever they are computed
    reference = copy.deepcopy(model)
    runner = runner_of(model)
    hook = GameHealthHook(interval=1, gradient_interval=1, layer='backbone.layer3.0.conv1.weight')
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    log = model.train_step(batch(0), optimisers(model))
    for name, value in log.items():
        runner.message_hub.update_scalar(f'train/{name}', value)
    hook.after_train_iter(runner, 0)
    ours = {name.removeprefix('train/'): h.current() for name, h in runner.message_hub.log_scalars.items()}

    data, weight = batch(0), dict(reference.segmentor.named_parameters())['backbone.layer3.0.conv1.weight']
    views, losses = {}, {}
    for domain in ('source', 'target'):
        x = torch.stack(data[domain]['inputs'])
        logits = reference.segmentor(x, mode='tensor')
        up = {k: F.interpolate(logits[k], x.shape[2:], mode='bilinear', align_corners=True) for k in LEVELS}
        views[domain] = {k: F.softmax(v, dim=1) for k, v in up.items()}
        if domain == 'source':
            y = torch.cat([s.gt_sem_seg.data for s in data['source']['data_samples']])
            losses[domain] = sum(
                F.cross_entropy(up[k], y, ignore_index=255) * w for k, w in (('decode', 1), ('aux', 0.1))
            )
    scores = {d: {k: reference.discriminator[k](views[d][k]) for k in LEVELS} for d in views}
    adversarial = {k: LAMBDA_ADV[k] * F.binary_cross_entropy_with_logits(s, 0 * s) for k, s in scores['target'].items()}
    losses['target'] = sum(adversarial.values())
    norms = {d: torch.autograd.grad(loss, weight, retain_graph=True)[0].norm() for d, loss in losses.items()}
    total = losses['source'] + losses['target']
    assert ours['gradient_ratio'] == pytest.approx((norms['target'] / norms['source']).item(), rel=1e-6)
    for k in LEVELS:
        assert ours[f'share.{k}.adv'] == pytest.approx((adversarial[k] / total).item(), rel=1e-6)
        assert ours[f'discriminator.{k}.accuracy.source'] == (scores['source'][k] <= 0).float().mean().item()
        assert ours[f'discriminator.{k}.accuracy.target'] == (scores['target'][k] > 0).float().mean().item()


@pytest.mark.parametrize(
    ('source', 'target', 'ratio', 'words'),
    [
        (
            1.0,
            0.99,
            0.1,
            "D has won at level 'decode' (right on 100 % of the source and 99 % of the target): lower optim",
        ),
        (
            1.0,
            0.02,
            0.1,
            "D is blind at level 'decode' (right on 100 % of the source and 2 % of the target): raise optim",
        ),
        (
            0.8,
            0.7,
            3.0,
            'gradient dwarfs the segmentation gradient (3 times as large): lower model.lambda_adv, 30 times',
        ),
        (0.8, 0.7, 0.1, ''),
    ],
)
def test_a_sick_game_is_named_once_with_the_knob_to_turn_and_a_healthy_one_is_not(source, target, ratio, words):
    model = adapter()
    names = {f'discriminator.{k}.accuracy.{d}': 0.75 for k in LEVELS for d in ('source', 'target')}
    names.update({'discriminator.decode.accuracy.source': source, 'discriminator.decode.accuracy.target': target})
    runner = runner_of(model, iteration=499, **names, gradient_ratio=ratio)
    hook = GameHealthHook(interval=1)
    hook.before_train(runner)
    hook.after_train_iter(runner, 499)
    assert len(runner.logger.warnings) == bool(words)
    assert words in ''.join(runner.logger.warnings)
    hook.after_train_iter(runner, 499)
    assert len(runner.logger.warnings) == bool(words)  # once
    for name in names:
        runner.message_hub.log_scalars[f'train/{name}'] = HistoryBuffer([0.75], [1])
    runner.message_hub.log_scalars['train/gradient_ratio'] = HistoryBuffer([0.1], [1])
    hook.after_train_iter(runner, 499)
    assert len(runner.logger.infos) == bool(words)  # over


def ratio_of(model, data) -> float:
    runner = runner_of(model)
    hook = GameHealthHook(interval=1, gradient_interval=1)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    for name, value in model.train_step(data, optimisers(model)).items():
        runner.message_hub.update_scalar(f'train/{name}', value)
    hook.after_train_iter(runner, 0)
    ratio = runner.message_hub.log_scalars.get('train/gradient_ratio')
    return None if ratio is None else ratio.current()


def test_labels_of_the_target_do_not_count_as_adversarial_gradient():
    model = adapter()
    model.segmentor.eval()
    alike = ratio_of(copy.deepcopy(model), batch(0))
    data = dict(batch(0), labeled_target=batch(1)['source'])
    assert ratio_of(model, data) == pytest.approx(alike, rel=1e-5)


def test_by_default_the_layer_is_one_that_every_head_sees():
    hook, model = GameHealthHook(), adapter()
    hook.before_train(runner_of(model))
    names = {id(p): name for name, p in model.segmentor.named_parameters()}
    assert names[id(hook.weight)].startswith('backbone.layer3.')  # the auxiliary head's


def test_without_a_trained_backbone_or_by_reversal_there_is_no_ratio():
    model = adapter(reversal=True)
    assert ratio_of(model, batch(0)) is None
    model = adapter()
    model.segmentor.backbone.requires_grad_(False)
    assert ratio_of(model, batch(0)) is None


def test_a_layer_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match="layer = 'neck.weight' must be a trained parameter of the segmentor"):
        GameHealthHook(layer='neck.weight').before_train(runner_of(adapter()))


def test_training_is_the_same_to_the_bit_with_and_without_the_hook(street_data, tmp_path):
    states = []
    for name in ('with', 'without'):
        cfg = tiny_config('demo/streets_multilevel.py', street_data, tmp_path / name, iterations=3)
        cfg.train_cfg.val_interval = 10
        cfg.default_hooks.health.update(interval=1, gradient_interval=1)
        if name == 'without':
            cfg.default_hooks.pop('health')
        runner = train(cfg)
        logged = 'train/gradient_ratio' in runner.message_hub.log_scalars
        assert logged == (name == 'with')
        states.append(load(tmp_path / name / 'iter_3.pth'))
    for key, value in states[0]['state_dict'].items():
        assert torch.equal(value, states[1]['state_dict'][key]), key
