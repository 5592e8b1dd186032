"""Merge parameters with equal settings into one group: optimisers, schedules and the log then handle few groups."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from .layer_decay import layer_rates

PER_GROUP = ('base_values', '_last_value')  # keys of a schedule's state


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MergedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, but merges its one-parameter groups if they differ in nothing else.

    The result is identical to the bit, and so is the optimiser's ``foreach`` form, PyTorch's choice on a GPU. The
    wrapper's ``homes`` maps each of mmengine's groups to its merged group; :func:`merge_state` uses it to read a
    checkpoint with unmerged groups.

    ``paramwise_cfg=dict(layer_decay=0.9)`` is new: the deeper a block of a ViT, the higher its learning rate
    (:func:`~mmseg_adapt.optim.layer_decay.layer_rates`); other settings of ``paramwise_cfg`` still apply.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        self.optimizer_cfg = dict(self.optimizer_cfg.items())  # looking up a number in a ConfigDict's groups takes 2 µs
        self.homes: list[int] = []

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', is_dcn_module=None) -> None:
        super().add_params(params, module, prefix, is_dcn_module)
        if not prefix:  # all of them
            if 'layer_decay' in self.paramwise_cfg:
                self._decay_rates(params, module)
            params[:], self.homes = merged(params)

    def _decay_rates(self, params: list[dict], module: nn.Module) -> None:
        names = {id(parameter): name for name, parameter in module.named_parameters()}
        rates = layer_rates(module, self.paramwise_cfg['layer_decay'])
        for group in params:  # one parameter each
            group['lr'] = group.get('lr', self.base_lr) * rates[names[id(group['params'][0])]]

    def __call__(self, model: nn.Module) -> OptimWrapper:
        wrapper = super().__call__(model)
        wrapper.homes = self.homes
        for group in wrapper.optimizer.param_groups:
            if group.get('foreach', True) is None and not (group.get('fused') or group.get('differentiable')):
                group['foreach'] = True  # saves a millisecond on a CPU, too
        return wrapper


def merged(groups: list[dict]) -> tuple[list[dict], list[int]]:
    """Merge groups with equal settings, in order of first appearance. Also returns each old group's new index.

    If a parameter occurs twice, nothing is merged: PyTorch rejects it in two groups, but not in one.
    """
    parameters = [id(parameter) for group in groups for parameter in group['params']]
    if len(set(parameters)) < len(parameters):
        return groups, list(range(len(groups)))
    kinds: list[dict] = []
    found: list[dict] = []
    homes = []
    for group in groups:
        kind = {key: value for key, value in group.items() if key != 'params'}
        if kind not in kinds:
            kinds.append(kind)
            found.append(dict(kind, params=[]))
        homes.append(kinds.index(kind))
        found[homes[-1]]['params'].extend(group['params'])
    return found, homes


def merge_state(optimizer: dict, schedules: list[dict], wrapper: OptimWrapper) -> None:
    """Rewrite, in place, the states of a checkpoint with unmerged groups to match ``wrapper``."""
    homes = getattr(wrapper, 'homes', [])
    old = optimizer['param_groups']
    if len(old) != len(homes) or [group['params'] for group in old] != [[i] for i in range(len(old))]:
        return
    order = sorted(range(len(homes)), key=homes.__getitem__)
    new = {index: place for place, index in enumerate(order)}
    firsts = [homes.index(home) for home in range(max(homes) + 1)]
    members = [[new[i] for i in order if homes[i] == home] for home in range(len(firsts))]
    optimizer['state'] = {new[index]: state for index, state in optimizer['state'].items()}
    optimizer['param_groups'] = [dict(old[first], params=own) for first, own in zip(firsts, members)]
    for schedule in schedules:
        for key in PER_GROUP:
            values = schedule[key]
            schedule[key] = [values[first] for first in firsts] + values[len(homes) :]
    if wrapper.base_param_settings is None and optimizer.pop('base_param_settings', None):  # only with several groups
        for schedule in schedules:
            schedule.update({key: schedule[key][:-1] for key in PER_GROUP})
