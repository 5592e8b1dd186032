"""Gradient accumulation and clipping, of a game whose iteration has two backward passes per player."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmseg.structures import SegDataSample

from mmseg_adapt.engine import AlternatingUpdateHook
from mmseg_adapt.errors import UserError

from .test_adversarial import CLASSES, OPTIM, adapter


def game(counts: int = 1, **player):
    """A toy game with BN in evaluation mode, and its optimisers."""
    model = adapter()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    cfg = copy.deepcopy(OPTIM)
    for part in cfg.values():
        part.update(accumulative_counts=counts, **copy.deepcopy(player))
    constructor = dict(type='PlayerOptimWrapperConstructor', optim_wrapper_cfg=cfg)
    return model, OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)


def images(numbers) -> dict:
    """One source image, every pixel labelled, and one target image per number."""
    batch = {domain: dict(inputs=[], data_samples=[]) for domain in ('source', 'target')}
    for number in numbers:
        g = torch.Generator().manual_seed(number)
        for domain in batch:
            batch[domain]['inputs'].append(torch.randn(3, 64, 64, generator=g).double())
            sample = SegDataSample(metainfo=dict(img_shape=(64, 64)))
            sample.gt_sem_seg = PixelData(data=torch.randint(0, CLASSES, (1, 64, 64), generator=g))
            batch[domain]['data_samples'].append(sample)
    return batch


def play(model, wrappers, batches: list, hook=None) -> None:
    hook = hook or AlternatingUpdateHook()
    for t, batch in enumerate(batches):
        runner = SimpleNamespace(model=model, optim_wrapper=wrappers, iter=t, max_iters=len(batches), hooks=[])
        hook.before_train_iter(runner, t)
        model.train_step(batch, wrappers)


def assert_same_weights(one, other) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6, msg=name)


def test_four_iterations_of_batch_one_are_one_of_batch_four_and_the_last_step_takes_what_is_left():
    ours, wrappers = game(counts=4)
    play(ours, wrappers, [images([n]) for n in range(10)])
    theirs, wrappers = game()
    play(theirs, wrappers, [images(range(4)), images(range(4, 8)), images([8, 9])])
    assert_same_weights(ours, theirs)
    unequal, wrappers = game()
    play(unequal, wrappers, [images([n]) for n in range(10)])
    assert not torch.allclose(unequal.segmentor.backbone.conv1.weight, ours.segmentor.backbone.conv1.weight, rtol=1e-6)


def test_a_player_that_sits_out_accumulates_its_own_moves_only():
    hook = AlternatingUpdateHook(begin=dict(segmentor=1), every=dict(segmentor=2))
    shares = [hook.share(t, 'segmentor', 2, 8) for t in (1, 3, 5, 7)]
    assert shares == [(0.5, True, False), (0.5, False, True), (0.5, True, False), (0.5, False, True)]
    assert [hook.share(t, 'discriminator', 3, 8) for t in (5, 6, 7)] == [
        (1 / 3, False, True),
        (0.5, True, False),
        (0.5, False, True),
    ]


def test_accumulation_without_its_clock_is_refused():
    model, wrappers = game(counts=2)
    with pytest.raises(
        UserError, match=r"accumulative_counts needs the clock: add dict\(type='AlternatingUpdateHook'\)"
    ):
        model.train_step(images([0]), wrappers)


def test_every_players_gradient_is_clipped_on_its_own_and_logged_under_its_name():
    model, wrappers = game(clip_grad=dict(max_norm=1e-3))
    norms = {}
    for player, wrapper in wrappers.items():
        parameters = list(getattr(model, player).parameters())
        wrapper.optimizer.register_step_pre_hook(
            lambda *_, p=player, ps=parameters: norms.update(
                {p: torch.stack([q.grad.norm() for q in ps if q.grad is not None]).norm().item()}
            )
        )
    model.train_step(images([0]), wrappers)
    assert norms == pytest.approx(dict(segmentor=1e-3, discriminator=1e-3), rel=1e-2)
    scalars = wrappers['segmentor'].message_hub.log_scalars
    logged = {player: scalars[f'train/{player}.grad_norm'].current() for player in norms}
    assert all(value > 1e-3 for value in logged.values())
    assert logged['segmentor'] != logged['discriminator']
