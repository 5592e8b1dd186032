"""The clock: a table of t → movers, and refusals before the first iteration."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import LoggerHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn
from torch.optim import SGD

from mmseg_adapt.engine import AlternatingUpdateHook
from mmseg_adapt.errors import UserError
from mmseg_adapt.methods.clock import Clock

PLAYERS = ('segmentor', 'discriminator')


@pytest.mark.parametrize(
    ('begin', 'every', 'table'),
    [
        ({}, {}, ['SD', 'SD', 'SD', 'SD', 'SD', 'SD']),
        (dict(segmentor=2), {}, ['D', 'D', 'SD', 'SD', 'SD', 'SD']),
        ({}, dict(discriminator=3), ['SD', 'S', 'S', 'SD', 'S', 'S']),
        (dict(discriminator=1), dict(segmentor=2, discriminator=2), ['S', 'D', 'S', 'D', 'S', 'D']),
        (dict(segmentor=4, discriminator=1), dict(segmentor=2), ['', 'D', 'D', 'D', 'SD', 'D']),
    ],
)
def test_who_moves_at_which_iteration(begin, every, table):
    hook = AlternatingUpdateHook(begin, every)
    initials = dict(S='segmentor', D='discriminator')
    assert [hook.movers(t, PLAYERS) for t in range(6)] == [{initials[i] for i in row} for row in table]


def runner(*optimised: str) -> SimpleNamespace:
    def wrapper() -> OptimWrapper:
        return OptimWrapper(SGD(nn.Linear(1, 1).parameters(), lr=0.1))

    wrappers = OptimWrapperDict(**{player: wrapper() for player in optimised}) if optimised else wrapper()
    model = SimpleNamespace(players=PLAYERS, clock=Clock(PLAYERS))
    return SimpleNamespace(model=model, optim_wrapper=wrappers, iter=3, hooks=[], train_dataloader=range(100))


def test_the_hook_writes_the_movers_of_the_runners_iteration_into_the_model():
    r = runner(*PLAYERS)
    AlternatingUpdateHook(every=dict(segmentor=2)).before_train_iter(r, 0)
    assert r.model.clock.movers == {'discriminator'}


@pytest.mark.parametrize(('interval', 'logs'), [(4, True), (3, False)])
def test_the_model_knows_whether_its_iteration_is_logged(interval, logs):
    r = runner(*PLAYERS)
    r.hooks = [LoggerHook(interval=interval)]
    AlternatingUpdateHook().before_train_iter(r, 3)
    assert r.model.clock.logs == logs


@pytest.mark.parametrize(
    ('hook', 'optimised', 'message'),
    [
        ({}, ['segmentor'], r"optimises \['segmentor'\], but the players are \['discriminator', 'segmentor'\]"),
        ({}, [], r'optimises \[\], but the players are'),
        (dict(every=dict(critic=2)), PLAYERS, r"has \['critic'\]: its keys must be players"),
        (dict(every=dict(segmentor=0)), PLAYERS, r"every\['segmentor'\] must be at least 1"),
    ],
)
def test_a_game_that_cannot_be_played_stops_before_the_first_step(hook, optimised, message):
    with pytest.raises(UserError, match=message):
        AlternatingUpdateHook(**hook).before_train(runner(*optimised))


def test_a_minimax_game_is_refused_where_the_players_could_not_move_together():
    r = runner(*PLAYERS)
    r.model.reversal = True
    AlternatingUpdateHook(begin=dict(segmentor=0), every=dict(discriminator=1)).before_train(r)
    for hook in (dict(begin=dict(segmentor=1)), dict(every=dict(discriminator=2))):
        with pytest.raises(UserError, match='remove begin and every from AlternatingUpdateHook'):
            AlternatingUpdateHook(**hook).before_train(r)
    discriminator = r.optim_wrapper['discriminator']
    discriminator.accumulates = 4
    with pytest.raises(UserError, match='set the same value for both'):
        AlternatingUpdateHook().before_train(r)
    discriminator.accumulates = 1
    discriminator.loss_scaler = torch.amp.GradScaler('cpu', enabled=False)  # bfloat16's
    AlternatingUpdateHook().before_train(r)
    discriminator.loss_scaler = torch.amp.GradScaler('cpu')
    with pytest.raises(UserError, match='use --amp bf16, or set reversal = False'):
        AlternatingUpdateHook().before_train(r)
