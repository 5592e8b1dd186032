"""A cascade of heads, each refining the previous head's map, that returns every level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmseg.models import CascadeEncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..errors import UserError
from .multi_level_segmentor import MultiLevelSegmentor, named


@MODELS.register_module()
class MultiLevelCascade(MultiLevelSegmentor, CascadeEncoderDecoder):
    """MMSegmentation's ``CascadeEncoderDecoder`` (OCRNet, PointRend), with all its arguments, as a
    :class:`MultiLevelSegmentor`.

    ``'decode'`` is the last head's level, whose map testing uses; the earlier heads are ``'decode_0'``, ``'decode_1'``…

    Raises:
        UserError: As :class:`MultiLevelSegmentor`, or if ``decode_head`` is not a list of ``num_stages`` heads.
    """

    def _init_decode_head(self, decode_head: list[dict]) -> None:  # type: ignore[override]  # one per stage
        if not isinstance(decode_head, list) or len(decode_head) != self.num_stages:
            raise UserError(
                f'MultiLevelCascade needs a list of num_stages = {self.num_stages} heads: correct '
                "model.segmentor.decode_head, or set model.segmentor.type = 'MultiLevelSegmentor'"
            )
        CascadeEncoderDecoder._init_decode_head(self, decode_head)

    @property
    def heads(self) -> dict[str, nn.Module]:
        *earlier, last = self.decode_head
        levels = {f'decode_{i}': head for i, head in enumerate(earlier)}
        return {**levels, 'decode': last, **self.auxiliary_heads}

    def refines(self, level: str) -> bool:
        return level not in ('decode_0', *self.auxiliary_heads)

    def read(self, features: Sequence[Tensor], levels: Iterable[str]) -> dict[str, Tensor]:
        stages = [level for level in self.heads if level not in self.auxiliary_heads]
        wanted = [level for level in self.heads if level in levels]
        outputs = super().read(features, [level for level in wanted if level in self.auxiliary_heads])
        last = max((stages.index(level) for level in wanted if level in stages), default=-1)
        readers = self.readers
        inputs: tuple = (features,)
        for level in stages[: last + 1]:
            outputs.update(named(level, readers[level].outputs(*inputs)))
            inputs = features, outputs[level]
        return outputs
