"""Checks whether the game is healthy: logs numbers and warns in words."""

from __future__ import annotations

from functools import partial

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor, nn

from ..datasets.streams import is_labelled
from ..errors import UserError
from ..log.deferred_log_hook import gather, push
from ..methods.turn import unwrapped
from ..models.losses import DOMAINS

_D_LR = 'optim_wrapper.discriminator.optimizer.lr'


@HOOKS.register_module()
class GameHealthHook(Hook):
    """Watch the two players and name the setting to change; training itself does not change.

    Logged with ``discriminator.<level>.accuracy.<domain>``, the share of D's map that names the domain correctly:

    * ``share.<level>.adv``: the part of the segmentor's loss that is this level's λ_adv · L_adv;
    * ``gradient_ratio``: ‖∂ Σ λ_adv L_adv‖ / ‖∂ L_seg‖ on the last layer that all heads share, in one iteration. Not
      with reversal, where one backward pass carries both, or several targets, whose gradients arrive one by one.

    It warns once at the start of each state, based on the mean over ``window`` iterations: D has won at some level
    (it names both domains correctly almost everywhere, so its gradient is useless); D is blind (no better than
    chance, so its gradient is noise); or the adversarial gradient dwarfs the segmentation gradient. Each rank logs its
    own samples.

    It stays off the hot path: it reads values that the log has already moved to the host. Every ``gradient_interval``
    iterations it takes two norms in the backward passes, read with the next log. A model without a game is ignored.

    Args:
        interval: iterations between shares and warnings; where nothing is logged, it waits for the device.
        gradient_interval: iterations between gradient ratios.
        layer: name of a parameter of the segmentor. By default the backbone's last trained convolution; for a ResNet
            with an auxiliary head, the last one of the stage that this head uses.
        window: iterations that a warning is based on; a third of the run if that is less.
        won, blind, dwarfs: the thresholds: D's accuracy on its worse domain, its mean accuracy over both domains, the
            gradient ratio.

    Raises:
        UserError: Before the first iteration, if ``layer`` is not a trained parameter of the segmentor.
    """

    def __init__(
        self,
        interval: int = 50,
        gradient_interval: int = 500,
        layer: str | None = None,
        window: int = 500,
        won: float = 0.98,
        blind: float = 0.55,
        dwarfs: float = 1.0,
    ) -> None:
        self.interval, self.gradient_interval, self.window = interval, gradient_interval, window
        self.layer = layer
        self.won, self.blind, self.dwarfs = won, blind, dwarfs
        self.levels: list[str] = []
        self.weight, self.norms = None, []
        self.handle = None
        self.ill: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        model = unwrapped(runner.model)
        if 'discriminator' not in getattr(model, 'players', ()):
            return
        self.levels, self.window = sorted(model.lambda_adv), min(self.window, -(-runner.max_iters // 3))
        if not model.reversal:
            self.weight = self._watched(unwrapped(model.segmentor))

    def _watched(self, segmentor: nn.Module) -> Tensor | None:
        trained = {name: p for name, p in segmentor.named_parameters() if p.requires_grad}
        if self.layer is None:
            shared = f'backbone.{_shared_stage(segmentor)}'
            return next((p for name, p in reversed(trained.items()) if name.startswith(shared) and p.ndim == 4), None)
        if self.layer not in trained:
            raise UserError(f'GameHealthHook.layer = {self.layer!r} must be a trained parameter of the segmentor')
        return trained[self.layer]

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        targets = sum(not is_labelled(stream) for stream in data_batch or ())
        if self.weight is not None and targets < 2 and self.every_n_train_iters(runner, self.gradient_interval):
            self.norms = []
            self.handle = self.weight.register_hook(partial(self._measure, runner))

    def _measure(self, runner: Runner, gradient: Tensor) -> None:
        """Called in each backward pass; the source's and the target's are the last two, which give the ratio."""
        self.norms.append(gradient.detach().norm().double())
        if len(self.norms) > 1:
            push(runner, 'gradient_ratio', self.norms[-1] / self.norms[-2])

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self.handle is not None:
            self.handle.remove()
            self.handle = None
        if not self.levels or not self.every_n_train_iters(runner, self.interval):
            return
        gather(runner)
        self._log_shares(runner)
        self._warn(runner)

    def _log_shares(self, runner: Runner) -> None:
        scalars = runner.message_hub.log_scalars
        names = [n for n in scalars if n.startswith('train/') and 'loss' in n]
        names = [n for n in names if n != 'train/loss' and not n.startswith('train/discriminator.')]
        mean = {name.removeprefix('train/'): scalars[name].mean(self.interval) for name in names}
        if total := sum(mean.values()):
            for level in self.levels:
                if f'{level}.loss_adv' in mean:
                    runner.message_hub.update_scalar(f'train/share.{level}.adv', mean[f'{level}.loss_adv'] / total)

    def _warn(self, runner: Runner) -> None:
        found = {}
        if runner.iter + 1 >= self.window:
            for level in self.levels:
                found.update(self._judgement(runner, level))
        ratio = runner.message_hub.log_scalars.get('train/gradient_ratio')
        if ratio is not None and (value := ratio.current()) > self.dwarfs:
            found['the adversarial gradient dwarfs the segmentation gradient'] = (
                f'({value:.2g} times as large): lower model.lambda_adv, {10 * value:.0f} times for a ratio of 0.1'
            )
        self.ill = announce(runner, self.ill, found)

    def _judgement(self, runner: Runner, level: str) -> dict[str, str]:
        scalars = runner.message_hub.log_scalars
        histories = [scalars.get(f'train/discriminator.{level}.accuracy.{domain}') for domain in DOMAINS]
        if None in histories:
            return {}
        right = [history.mean(self.window) for history in histories]
        percent = ' and '.join(f'{100 * value:.0f} % of the {domain}' for value, domain in zip(right, DOMAINS))
        if min(right) > self.won:
            cure = f'lower {_D_LR} or update D less often (AlternatingUpdateHook, every=dict(discriminator=2))'
            return {f'D has won at level {level!r}': f'(right on {percent}): {cure}; if it persists, lower lambda_adv'}
        if sum(right) / 2 < self.blind:
            cure = f'raise {_D_LR} or give D a head start (AlternatingUpdateHook, begin=dict(segmentor=1000))'
            return {f'D is blind at level {level!r}': f'(right on {percent}): {cure}'}
        return {}


def announce(runner: Runner, ill: set[str], found: dict[str, str]) -> set[str]:
    """Log which states (→ the numbers and the cure) begin and which end, and return those that hold."""
    for state in sorted(found.keys() - ill):
        runner.logger.warning(f'iteration {runner.iter + 1}: {state} {found[state]}')
    for state in sorted(ill - found.keys()):
        runner.logger.info(f'iteration {runner.iter + 1}: no longer true: {state}')
    return set(found)


def _shared_stage(segmentor: nn.Module) -> str:
    """The prefix of the ResNet stage that the shallowest head uses, and so do all; '' for another backbone."""
    stages = getattr(segmentor.backbone, 'res_layers', None)
    indices = [getattr(head, 'in_index', None) for head in segmentor.heads.values()]
    if stages is None or not all(isinstance(index, int) for index in indices):
        return ''
    return f'{stages[min(index % len(stages) for index in indices)]}.'
