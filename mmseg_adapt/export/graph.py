"""ONNX and TorchScript: one function from an image to class probabilities or labels, checked against PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
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

OUTPUTS = ('probabilities', 'labels')
SIZES = ((128, 256), (160, 96), (131, 203))  # height, width: what a graph is checked at
TOLERANCE = 1e-4  # of a probability


class ImageToLabels(nn.Module):
    """The segmentor with its preprocessing: what is exported.

    Args:
        segmentor: an ``EncoderDecoder`` whose head yields one map of logits.
        output: ``'probabilities'`` or ``'labels'``, the most probable class.

    Shape: image (N, 3, H, W) float32, RGB, 0–255 → (N, classes, H, W) float32 or (N, H, W) int64, at any N, H and W.

    Raises:
        UserError: a head that needs more than features or yields one channel, a preprocessor that pads.
    """

    def __init__(self, segmentor: EncoderDecoder, output: str = 'probabilities') -> None:
        super().__init__()
        head = segmentor.decode_head
        own = type(segmentor).encode_decode is not EncoderDecoder.encode_decode
        if own or not isinstance(head, BaseDecodeHead) or head.out_channels == 1:
            raise UserError(
                f'{type(segmentor).__name__} cannot be exported as a graph: leave out --onnx, --torchscript'
            )
        self.segmentor = revert_sync_batchnorm(segmentor)
        self.output = output
        order, mean, std = preprocessing(segmentor.data_preprocessor)
        self.order = order
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)
        self.eval()  # the exporters restore the mode that they find, and pass it on to the segmentor

    def forward(self, image: Tensor) -> Tensor:
        x = (image[:, self.order] - self.mean) / self.std
        logits = self.segmentor.decode_head(self.segmentor.extract_feat(x))
        size, corners = image.shape[2:], self.segmentor.align_corners
        logits = F.interpolate(logits, size=size, mode='bilinear', align_corners=corners)
        return logits.softmax(1) if self.output == 'probabilities' else logits.argmax(1)


def preprocessing(preprocessor: nn.Module) -> tuple[list[int], Tensor, Tensor]:
    """What a data preprocessor does to an image: the order in which it takes RGB, mean and std, (3, 1, 1) each.

    It is asked, not read: the two supported stacks keep these under different names.

    Raises:
        UserError: it does something else as well, such as padding.
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
    probe = 255 * torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    found = processed(probe)
    if found.shape != probe.shape or not torch.allclose(found, (probe[order] - mean) / std, atol=1e-4):
        raise UserError(
            'data_preprocessor does more than mean and std, such as padding, which a graph does not: remove it'
        )
    return [2 - channel for channel in order.tolist()], mean, std


def images() -> list[Tensor]:
    """One batch per size: two random images, coarse structure under noise."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for height, width in SIZES:
        coarse = torch.rand(2, 3, 6, 9, generator=generator)
        noise = torch.rand(2, 3, height, width, generator=generator)
        batches.append(255 * (0.8 * F.interpolate(coarse, (height, width), mode='bicubic').clamp(0, 1) + 0.2 * noise))
    return batches


@torch.no_grad()
def check(graph: ImageToLabels, run: Callable[[Tensor], Tensor]) -> float:
    """The largest gap of a probability between ``run`` and PyTorch over ``SIZES``; labels count as 0 or 1.

    Labels may differ where two classes are equally probable, to ``TOLERANCE``.
    """
    gaps = []
    for batch in images():
        found, expected = run(batch), graph(batch)
        if found.shape != expected.shape:
            return float('inf')
        if graph.output == 'probabilities':
            gaps.append((found - expected).abs().max().item())
        else:
            top = ImageToLabels(graph.segmentor)(batch).topk(2, dim=1).values
            clear = ~(top[:, 0] - top[:, 1] <= 2 * TOLERANCE)  # NaN counts
            gaps.append(float((found != expected)[clear].any()))
    return torch.tensor(gaps).max().item()  # NaN if any is


def write_onnx(graph: ImageToLabels, path: Path) -> float:
    """Write ``path`` and return its gap to PyTorch in onnxruntime. Raises UserError: it is larger than ``TOLERANCE``.

    The tracing exporter is tried first, which takes seconds; then the one on ``torch.export``, which takes minutes but
    follows shapes through attention.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            "--onnx needs onnx, onnxruntime and onnxscript: run: pip install 'mmseg_adapt[export]'"
        ) from None
    failures = []
    for exporter in (_trace_onnx, _export_onnx):
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter('ignore')
                exporter(graph, path)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
            gap = check(graph, lambda x, s=session: torch.from_numpy(s.run(None, {'image': x.numpy()})[0]))
        except Exception as error:  # both exporters and onnxruntime raise types of their own
            failures.append(first_line(error)[:120])
            continue
        if gap <= TOLERANCE:
            return gap
        failures.append(f'it differs from PyTorch by {gap:.1e}')
    path.unlink(missing_ok=True)
    raise UserError(f'this model has no ONNX form that equals it ({failures[-1]}): leave out --onnx')


def _trace_onnx(graph: ImageToLabels, path: Path) -> None:
    dynamic = {0: 'batch', 2: 'height', 3: 'width'}
    output = dynamic if graph.output == 'probabilities' else {0: 'batch', 1: 'height', 2: 'width'}
    torch.onnx.export(
        graph,
        (images()[0],),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=['image'],
        output_names=[graph.output],
        dynamic_axes={'image': dynamic, graph.output: output},
    )


def _export_onnx(graph: ImageToLabels, path: Path) -> None:
    print_log('ONNX: the tracing exporter failed, trying torch.export (minutes)', 'current')
    dynamic = torch.export.Dim.DYNAMIC
    torch.onnx.export(
        graph,
        (images()[0],),
        str(path),
        dynamo=True,
        verbose=False,
        external_data=False,
        input_names=['image'],
        output_names=[graph.output],
        dynamic_shapes={'image': {0: dynamic, 2: dynamic, 3: dynamic}},
    )


def write_torchscript(graph: ImageToLabels, path: Path) -> float:
    """Write ``path`` and return its gap to PyTorch. Raises UserError: it is larger than ``TOLERANCE``."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')
            torch.jit.trace(graph, images()[0], check_trace=False).save(str(path))
            gap = check(graph, torch.jit.load(str(path)))
        failure = None if gap <= TOLERANCE else f'it differs from PyTorch by {gap:.1e}'
    except Exception as error:  # tracing runs the model's own code
        failure = first_line(error)[:120]
    if failure:
        raise UserError(f'this model has no TorchScript form that equals it ({failure}): leave out --torchscript')
    return gap
