"""The classes in training, the classes in testing and the network's channels must match."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn

from ..errors import UserError


def classes_of(dataset) -> tuple[str, ...] | None:
    return getattr(dataset, 'metainfo', {}).get('classes')


@HOOKS.register_module()
class ClassSetHook(Hook):
    """Compare the class names before the first iteration: wrong classes would train, and give meaningless scores.

    Raises:
        UserError: the data sets of training and validation name other classes, or the same in a different order; the
            network predicts a different number of classes.
    """

    def before_train(self, runner: Runner) -> None:
        trained = classes_of(runner.train_dataloader.dataset)
        self._check_channels(runner, 'train_dataloader', trained)
        if runner._val_loop is not None:
            self._check_names(trained, classes_of(runner.val_dataloader.dataset))

    def before_test(self, runner: Runner) -> None:
        self._check_channels(runner, 'test_dataloader', classes_of(runner.test_dataloader.dataset))

    @staticmethod
    def _check_names(trained: tuple | None, tested: tuple | None) -> None:
        if not trained or not tested or list(trained) == list(tested):
            return
        cure = 'list the same classes in the same order in metainfo.classes of both, and set their ids in id_map'
        names = f'{", ".join(trained)} in training, {", ".join(tested)} in val_dataloader'
        if not set(trained) & set(tested):
            raise UserError(f'source and target have no common class ({names}): {cure}')
        raise UserError(f'source and target have different classes ({names}): {cure}')

    @staticmethod
    def _check_channels(runner: Runner, key: str, classes: tuple | None) -> None:
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        head = getattr(model, 'decode_head', None)
        head = head[-1] if isinstance(head, nn.ModuleList) else head
        predicted = getattr(head, 'num_classes', None)
        if classes and predicted is not None and predicted != len(classes):
            raise UserError(
                f'decode_head.num_classes = {predicted}, but {key} has {len(classes)} classes: set num_classes of '
                f'every head, and in_channels of a discriminator of class probabilities, to {len(classes)}'
            )
