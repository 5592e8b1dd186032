"""HRDA, two resolutions in one segmentor: Hoyer et al., ECCV 2022, arXiv 2204.13132."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.utils import add_prefix
from torch import Generator, Tensor

from ..errors import UserError
from .heads import HeadReader, reader_of
from .losses import head_losses, labels_of
from .multi_level_segmentor import MultiLevelSegmentor

Box = tuple[int, int, int, int]  # y1, y2, x1, x2 in pixels
GRID = 8  # coordinates of a detail box are multiples of it


@MODELS.register_module()
class HRDASegmentor(MultiLevelSegmentor):
    """A large *context* view at half resolution and a *detail* view at full resolution, fused by an attention.

    Both views share one backbone and one head. ``mode='tensor'`` adds to the outputs of :class:`MultiLevelSegmentor`:

    * in training ``'decode'``, the fused logits; ``'detail'``, the logits of a random box alone; ``'box'``, its place;
    * otherwise ``'decode'``, fused with detail from overlapping windows, which :meth:`logits` uses in either mode: all
      windows of all images form one batch, and BN of a teacher in training mode normalises by it.

    ``'backbone'`` holds the context's features. The loss is (1 − λ_d) L(fused) + λ_d L(detail).

    Args:
        attention_head: config of a head whose logits, after a sigmoid, give the weight of the detail for each class,
            such as ``dict(type='DAFormerHead', dilations=None, …)``. It sees the context's features.
        detail_crop: height and width of the detail box and of the windows; windows overlap by half.
        scales: scales of the context and of the detail; the latter is 1.
        detail_weight: λ_d.
        window_batch: number of windows to run at a time, to save memory; None runs all at once, as released. In
            training mode BN then normalises by fewer windows, so a teacher's numbers change.

    Raises:
        UserError: If scales or crops are invalid, or a head has more than one map; in the first iteration, if an image
            is smaller than the crop, or its sides do not halve evenly in either view.
    """

    generator: Generator | None = None  # draws the detail box; None is PyTorch's default

    def __init__(
        self,
        *args,
        attention_head: dict,
        detail_crop: Sequence[int] = (512, 512),
        scales: Sequence[float] = (0.5, 1.0),
        detail_weight: float = 0.1,
        window_batch: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        if len(scales) != 2 or not 0 < scales[0] < scales[1] == 1:
            raise UserError(
                f'HRDASegmentor.scales = {tuple(scales)} must be the scale of the context (below 1), then 1'
            )
        if any(side % GRID for side in detail_crop):
            raise UserError(f'HRDASegmentor.detail_crop = {tuple(detail_crop)}: both sides must be multiples of {GRID}')
        if not 0 <= detail_weight <= 1:
            raise UserError(f'HRDASegmentor.detail_weight = {detail_weight} must be between 0 and 1')
        if reader_of(self.decode_head) is not HeadReader:
            raise UserError(
                f'HRDASegmentor fuses single maps: model.segmentor.decode_head must be a head such as DAFormerHead, '
                f'not {type(self.decode_head).__name__}'
            )
        self.attention_head = MODELS.build(attention_head)
        self.detail_crop = tuple(detail_crop)
        self.context_scale = scales[0]
        self.detail_weight = detail_weight
        self.window_batch = window_batch

    def backbone_input(self, inputs: Tensor) -> Tensor:
        size = [int(side * self.context_scale) for side in _size(inputs)]
        return resize(inputs, size, mode='bilinear', align_corners=False)

    def _forward(
        self, inputs: Tensor, data_samples: list | None = None, levels: Iterable[str] | None = None
    ) -> dict[str, Tensor | Box]:
        context, last = self.features(self.backbone_input(inputs))
        wanted = [level for level in self.heads if levels is None or level in levels]
        outputs = self.read(context, [level for level in wanted if level != 'decode'])
        if 'decode' in wanted and self.training:
            box = draw_detail_box(_size(inputs), self.detail_crop, self.generator)
            outputs['decode'], outputs['detail'] = self._fused(inputs, context, box)
            outputs['box'] = box
        elif 'decode' in wanted:
            outputs['decode'], _ = self._fused(inputs, context)
        return {**outputs, **last}

    def logits(self, inputs: Tensor) -> Tensor:
        return self._fused(inputs, self.extract_feat(self.backbone_input(inputs)))[0]

    def _fused(self, inputs: Tensor, features: Sequence[Tensor], box: Box | None = None) -> tuple[Tensor, Tensor]:
        """The fused logits and the detail's logits: those of ``box``, or of whole images."""
        size = _size(inputs)
        context, attention = self.decode_head(features), self.attention_head(features).sigmoid()
        # BN of the shared head sees the context first, as in the release
        detail = self.detail_by_windows(inputs) if box is None else self._classify(inputs[place(box)])
        stride = self._checked((size[0] if box is None else self.detail_crop[0]) / int(detail.shape[2]), size)
        return fuse(context, attention, detail, size, stride, box), detail

    def _checked(self, stride: float, size: Sequence[int]) -> int:
        """Raises: UserError: If boxes, windows or halves of an image of ``size`` do not align with the logits."""
        if GRID % stride:
            raise UserError(
                f'HRDASegmentor places boxes at multiples of {GRID} pixels, but its logits have a stride of {stride:g} '
                f'pixels: choose a backbone and a head whose stride divides {GRID}'
            )
        step = int(stride)
        if any(side % (2 * step) for side in self.detail_crop):
            raise UserError(
                f'HRDASegmentor.detail_crop = {self.detail_crop}: windows overlap by half, so both sides must be '
                f'multiples of {2 * step}, twice the stride of the logits'
            )
        cell = round(step / self.context_scale)  # side of a context cell, in pixels of the image
        if any(side % cell for side in size):
            raise UserError(
                f'HRDASegmentor got an image of {size[0]}×{size[1]}: both sides must be multiples of {cell}; '
                'crop or resize it'
            )
        return step

    def _classify(self, images: Tensor) -> Tensor:
        return self.decode_head(self.extract_feat(images))

    def detail_by_windows(self, inputs: Tensor) -> Tensor:
        """The detail logits of whole images: each cell is the mean over the windows that contain it."""
        size = _size(inputs)
        boxes = windows(size, self.detail_crop)
        crops = torch.cat([inputs[place(box)] for box in boxes])
        logits = torch.cat([self._classify(part) for part in crops.split(self.window_batch or len(crops))])
        return average(logits, boxes, size, stride=int(crops.shape[2] // logits.shape[2]))

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        return self.decode_head.predict_by_feat(self.logits(inputs), batch_img_metas)

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        return self.loss_by_outputs(self._forward(inputs), labels_of(data_samples))

    def loss_by_outputs(
        self, outputs: dict[str, Tensor], labels: Tensor, weight: Tensor | None = None, accuracy: bool = True
    ) -> dict[str, Tensor]:
        losses = super().loss_by_outputs(outputs, labels, weight, accuracy)
        fused = {key: losses.pop(key) for key in list(losses) if key.startswith('decode.')}
        labels, weight = (x if x is None else x[place(outputs['box'])] for x in (labels, weight))
        detail = add_prefix(head_losses(self.decode_head, outputs['detail'], labels, weight, accuracy), 'detail')
        for part, share in ((fused, 1 - self.detail_weight), (detail, self.detail_weight)):
            losses.update({key: share * value if 'loss' in key else value for key, value in part.items()})
        return losses


def _size(images: Tensor) -> tuple[int, ...]:
    """Height and width as numbers: PyTorch's tracer turns them into tensors. A traced HRDA has a fixed size."""
    return tuple(map(int, images.shape[2:]))


def draw_detail_box(size: Sequence[int], crop: Sequence[int], generator: Generator | None = None) -> Box:
    """A random box of ``crop`` in an image of ``size``, at multiples of 8; as released, never the very last one.

    Raises:
        UserError: If an image is smaller than the crop.
    """
    if any(side < window for side, window in zip(size, crop)):
        raise UserError(
            f'HRDASegmentor.detail_crop = {tuple(crop)} is larger than the image ({size[0]}×{size[1]}): choose a '
            'smaller crop, such as half the image'
        )
    device = 'cpu' if generator is None else generator.device
    box = []
    for side, window in zip(size, crop):
        places = max((side - window + 1) // GRID, 1)
        start = GRID * torch.randint(places, (), generator=generator, device=device).item()
        box += [start, start + window]
    return tuple(box)


def windows(size: Sequence[int], crop: Sequence[int]) -> list[Box]:
    """Boxes of ``crop``, or of the image if it is smaller, that cover the image and overlap by half, row by row.

    The last box of a row or column is moved back to the border.
    """
    spans = []
    for side, window in zip(size, crop):
        window = min(side, window)
        stride = max(window // 2, 1)
        starts = range(math.ceil((side - window) / stride) + 1)
        spans.append([(start, start + window) for start in (min(i * stride, side - window) for i in starts)])
    return [(*rows, *columns) for rows in spans[0] for columns in spans[1]]


def place(box: Box, stride: int = 1) -> tuple:
    """The region that ``box``, in pixels, covers in (…, H / stride, W / stride), as an index."""
    y1, y2, x1, x2 = (side // stride for side in box)
    return ..., slice(y1, y2), slice(x1, x2)


def average(logits: Tensor, boxes: list[Box], size: Sequence[int], stride: int) -> Tensor:
    """Put the logits of windows back in place and average them where windows overlap.

    Args:
        logits: (len(boxes) · N, C, h, w), window k of image n in row k · N + n.
        size: (H, W) of the images.
        stride: stride of the logits.

    Returns:
        (N, C, H / stride, W / stride).
    """
    cells = [side // stride for side in size]
    total = logits.new_zeros(len(logits) // len(boxes), logits.shape[1], *cells)
    count = logits.new_zeros(cells)
    for box, part in zip(boxes, logits.chunk(len(boxes))):
        total[place(box, stride)] += part
        count[place(box, stride)] += 1
    return total / count


def fuse(
    context: Tensor, attention: Tensor, detail: Tensor, size: Sequence[int], stride: int, box: Box | None = None
) -> Tensor:
    """HRDA's fused logits: up((1 − a) · context) + up(a) · detail, where a is 0 outside the box.

    As released, the context is weighted before upsampling.

    Args:
        context: logits (N, C, h, w) of the halved image.
        attention: a in [0, 1], (N, C, h, w).
        detail: logits at full resolution, of the box or of the whole image.
        size: (H, W) of the image.
        stride: stride of ``detail``.

    Returns:
        (N, C, H / stride, W / stride).
    """
    if box is not None:
        inside = torch.zeros_like(attention)
        inside[place(box, size[0] // int(attention.shape[2]))] = 1
        attention = attention * inside
    fine = [side // stride for side in size]
    fused = resize((1 - attention) * context, fine, mode='bilinear', align_corners=False)
    attention = resize(attention, fine, mode='bilinear', align_corners=False)
    if box is None:
        return fused + attention * detail
    fused[place(box, stride)] += attention[place(box, stride)] * detail
    return fused
