"""Readable small numbers on the console."""

from __future__ import annotations

from mmengine.runner import LogProcessor, Runner
from mmseg.registry import LOG_PROCESSORS


@LOG_PROCESSORS.register_module()
class SignificantLogProcessor(LogProcessor):
    """mmengine's ``LogProcessor``, but prints numbers below 0.1 with ``num_digits`` significant digits.

    With four decimals, λ_adv · L_adv always reads 0.0001. ``scalars.json`` does not change.
    """

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        for name, value in tag.items():
            if isinstance(value, float) and 0 < abs(value) < 0.1:
                line = line.replace(f'{name}: {value:.{self.num_digits}f}', f'{name}: {value:.{self.num_digits}g}')
        return tag, line
