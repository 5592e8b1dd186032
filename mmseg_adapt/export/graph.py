"""ONNX: one function from an image to class probabilities or labels, checked against the deployed inference."""

from __future__ import annotations

import re
import runpy
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..errors import UserError, first_line
from ..models.foundation_vit import FoundationViT
from ..models.heads import MAP, reader_of
from ..models.hrda_segmentor import HRDASegmentor
from ..models.probabilities import class_probabilities, predicted_probabilities

OUTPUTS = ('probabilities', 'labels')
SIZES = ((128, 256), (160, 96), (131, 203))  # height, width: sizes at which a graph is checked
TOLERANCE = 1e-4  # of a probability
FIXED = (HRDASegmentor, FoundationViT)  # their graphs have one size


class ImageToLabels(nn.Module):
    """The segmentor with its preprocessing, as exported.

    Args:
        segmentor: an ``EncoderDecoder`` whose head returns one map of logits; two classes may share one channel.
        output: ``'probabilities'`` or ``'labels'``, the most probable class.

    Shape: image (N, 3, H, W) float32, RGB, 0–255 → (N, classes, H, W) float32 or (N, H, W) int64, for any N, H and W;
    for HRDA and a ``FoundationViT`` only N = 1 and the size of the sliding windows.

    Raises:
        UserError: If the head needs more than features, if labels are requested of a model that is tested in sliding
            windows (which average the logits), or if an HRDA model or a ``FoundationViT`` is not tested in sliding
            windows.
    """

    def __init__(self, segmentor: EncoderDecoder, output: str = 'probabilities') -> None:
        super().__init__()
        head = segmentor.decode_head
        fixed = next((part for part in (segmentor, segmentor.backbone) if isinstance(part, FIXED)), None)
        own = type(segmentor).encode_decode is not EncoderDecoder.encode_decode and fixed is not segmentor
        if own or not isinstance(head, BaseDecodeHead):
            raise UserError(f'{type(segmentor).__name__} cannot be exported as a graph: remove --onnx')
        if output == 'labels' and slides(segmentor):
            raise UserError(
                '--onnx labels does not work with sliding windows, whose logits are averaged: pass --onnx '
                'probabilities, or set test_cfg.mode of the segmentor to whole'
            )
        if fixed is not None and not slides(segmentor):
            raise UserError(
                f'--onnx: the graph of {type(fixed).__name__} takes one sliding window, so it needs its size: set '
                "test_cfg = dict(mode='slide', crop_size=…, stride=…) of the segmentor"
            )
        self.size = None if fixed is None else tuple(segmentor.test_cfg.crop_size)
        if fixed is segmentor.backbone:
            fixed.fix_size(self.size)
        self.segmentor = revert_sync_batchnorm(segmentor)
        self.output = output
        order, mean, std = preprocessing(segmentor.data_preprocessor)
        self.order = order
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)
        self.eval()  # the exporters restore the mode that they find, also in the segmentor

    def forward(self, image: Tensor) -> Tensor:
        x = (image[:, self.order] - self.mean) / self.std
        head = self.segmentor.decode_head
        if isinstance(self.segmentor, HRDASegmentor):
            logits = self.segmentor.logits(x)
        else:
            logits = reader_of(head)(head).outputs(self.segmentor.extract_feat(x))[MAP]
        size, corners = image.shape[2:], self.segmentor.align_corners
        logits = F.interpolate(logits, size=size, mode='bilinear', align_corners=corners)
        if self.output == 'probabilities':
            return class_probabilities(logits)
        if logits.shape[1] > 1:
            return logits.argmax(1)
        return (logits[:, 0].sigmoid() > self.segmentor.decode_head.threshold).long()

    def images(self) -> Iterator[Tensor]:
        """The images to check the graph with."""
        return images((self.size,), count=1) if self.size else images()


def slides(segmentor: EncoderDecoder) -> bool:
    return segmentor.test_cfg.get('mode') == 'slide'


def preprocessing(preprocessor: nn.Module) -> tuple[list[int], Tensor, Tensor]:
    """What a data preprocessor does to an image: its channel order of RGB, and mean and std, (3, 1, 1) each.

    The values are measured, because the two supported stacks store them under different names. If it does more, such
    as padding, the comparison of the graph with PyTorch shows this.
    """

    def processed(bgr: Tensor) -> Tensor:
        return preprocessor(dict(inputs=[bgr], data_samples=[SegDataSample()]), False)['inputs'][0].cpu()

    zero = processed(torch.zeros(3, 5, 7))
    pure = [torch.zeros(3, 5, 7) for _ in range(3)]
    for channel, image in enumerate(pure):
        image[channel] = 255.0
    gains = torch.stack([processed(image) - zero for image in pure], dim=1)[:, :, 0, 0] / 255  # (network, BGR)
    order = gains.argmax(1)
    std = 1 / gains.gather(1, order[:, None])[..., None]
    mean = -zero[:, :1, :1] * std
    return [2 - channel for channel in order.tolist()], mean, std


def images(sizes: tuple = SIZES, count: int = 2) -> Iterator[Tensor]:
    """One batch per size: random images with coarse structure and noise."""
    generator = torch.Generator().manual_seed(0)
    for height, width in sizes:
        coarse = torch.rand(count, 3, 6, 9, generator=generator)
        noise = torch.rand(count, 3, height, width, generator=generator)
        yield 255 * (0.8 * F.interpolate(coarse, (height, width), mode='bicubic').clamp(0, 1) + 0.2 * noise)


@torch.no_grad()
def deployed(segmentor: EncoderDecoder, image: Tensor) -> tuple[Tensor, Tensor]:
    """PyTorch's predictions for RGB images, as in testing: probabilities (N, classes, H, W) and labels (N, H, W)."""
    size = tuple(image.shape[2:])
    meta = dict(img_shape=size, ori_shape=size, pad_shape=size)
    samples = [SegDataSample(metainfo=meta) for _ in image]
    data = segmentor.data_preprocessor(dict(inputs=list(image.flip(1)), data_samples=samples), False)
    results = segmentor.predict(data['inputs'], data['data_samples'])
    scores = torch.stack([result.seg_logits.data for result in results])
    labels = torch.stack([result.pred_sem_seg.data.reshape(size) for result in results])
    return predicted_probabilities(scores).cpu(), labels.long().cpu()


def check(graph: ImageToLabels, run: Callable[[Tensor], Tensor], batches: Iterable[Tensor] | None = None) -> float:
    """The largest difference in probability between ``run`` and the deployed inference; labels count as 0 or 1.

    Labels may differ where two classes are equally probable within ``TOLERANCE``.
    """
    gaps = []
    for batch in graph.images() if batches is None else batches:
        found, (p, labels) = run(batch), deployed(graph.segmentor, batch)
        expected = p if graph.output == 'probabilities' else labels
        if found.shape != expected.shape:
            return float('inf')
        if graph.output == 'probabilities':
            gaps.append((found - p).abs().max().item())
        else:
            clear = ~(_margin(p, graph.segmentor.decode_head) <= 2 * TOLERANCE)  # NaN counts as clear
            gaps.append(float((found != labels)[clear].any()))
    return torch.tensor(gaps).max().item()  # NaN if any is


def _margin(p: Tensor, head: nn.Module) -> Tensor:
    """How far each pixel is from changing its label: (N, C, H, W) → (N, H, W)."""
    if head.out_channels == 1:
        return (p[:, 1] - head.threshold).abs()
    first, second = p.topk(2, dim=1).values.unbind(1)
    return first - second


@contextmanager
def _whole(segmentor: EncoderDecoder) -> Iterator[None]:
    """Inside, the segmentor predicts whole images, as a graph does."""
    tested = segmentor.test_cfg
    segmentor.test_cfg = type(tested)({**tested, 'mode': 'whole'})
    try:
        yield
    finally:
        segmentor.test_cfg = tested


def write_sliding(graph: ImageToLabels, onnx: Path, path: Path) -> tuple[float, float | None]:
    """Write the module that slides windows over the graph.

    Returns:
        Its difference from the deployed inference, and the share of pixels that get another label if the graph runs on
        the whole image; None for a graph with a fixed size.

    Raises:
        UserError: the difference is larger than ``TOLERANCE``.
    """
    test_cfg, head = graph.segmentor.test_cfg, graph.segmentor.decode_head
    (height, width), (down, right) = test_cfg.crop_size, test_cfg.stride
    threshold = head.threshold if head.out_channels == 1 else None
    text = Path(__file__).with_name('sliding.py').read_text(encoding='utf-8')
    for name, value in dict(CROP=(height, width), STRIDE=(down, right), THRESHOLD=threshold).items():
        text = re.sub(rf'^{name} = (None|\(.*?\))', f'{name} = {value}', text, flags=re.M)
    path.write_text(text, encoding='utf-8')
    model = runpy.run_path(str(path))['SlidingModel'](onnx)
    (image,) = images(((height + down // 2 + 1, width + right + 3),), count=1)
    gap = check(graph, lambda x: torch.from_numpy(model.probabilities(x[0].permute(1, 2, 0).numpy()))[None], [image])
    if not gap <= TOLERANCE:
        raise UserError(f'sliding.py differs from PyTorch by {gap:.1e}: remove --onnx')
    if graph.size:  # it accepts no other size
        return gap, None
    labels = deployed(graph.segmentor, image)[1]
    with _whole(graph.segmentor):
        return gap, (labels != deployed(graph.segmentor, image)[1]).float().mean().item()


def write_onnx(graph: ImageToLabels, path: Path) -> float:
    """Write ``path`` and return its difference, in onnxruntime, from PyTorch's predictions for whole images.

    Raises:
        UserError: the difference is larger than ``TOLERANCE``.

    It first tries the tracing exporter, which takes seconds. The one based on ``torch.export`` comes second: it takes
    minutes but tracks shapes through attention.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            "--onnx needs onnx, onnxruntime and onnxscript: run: pip install 'mmseg_adapt[export]'"
        ) from None
    failures = []
    for dynamo in (False, True):
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter('ignore')
                _export(graph, path, dynamo)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
            with _whole(graph.segmentor):
                gap = check(graph, lambda x, s=session: torch.from_numpy(s.run(None, {'image': x.numpy()})[0]))
        except Exception as error:  # both exporters and onnxruntime have their own exception types
            failures.append(first_line(error)[:120])
            continue
        if gap <= TOLERANCE:
            return gap
        failures.append(f'it differs from PyTorch by {gap:.1e}')
    path.unlink(missing_ok=True)
    raise UserError(f'this model cannot be exported to ONNX exactly ({failures[-1]}): remove --onnx')


def _export(graph: ImageToLabels, path: Path, dynamo: bool) -> None:
    if dynamo:
        print_log('ONNX: the tracing exporter failed; trying torch.export, which takes minutes', 'current')
        dynamic = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
        options: dict = dict(verbose=False, external_data=False)
        options |= {} if graph.size else dict(dynamic_shapes={'image': dynamic})
    else:
        size = {0: 'batch', 2: 'height', 3: 'width'}
        output = size if graph.output == 'probabilities' else {0: 'batch', 1: 'height', 2: 'width'}
        options = dict(opset_version=17)
        options |= {} if graph.size else dict(dynamic_axes={'image': size, graph.output: output})
    names = dict(input_names=['image'], output_names=[graph.output])
    torch.onnx.export(graph, (next(graph.images()),), str(path), dynamo=dynamo, **names, **options)
