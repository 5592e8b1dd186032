"""Sliding windows over model.onnx, as this model was tested. Needs only onnxruntime and NumPy.

    from sliding import SlidingModel
    labels = SlidingModel()(image)  # image: (H, W, 3) uint8, RGB, resized as the model card says

Logits of overlapping windows are averaged. Log-probabilities equal logits up to a constant per pixel and window.
"""

from pathlib import Path

import numpy as np

CROP = (512, 512)  # height, width of a window
STRIDE = (341, 341)
THRESHOLD = None  # for the probability of class 1, in a model with two classes and one output
TINY = np.float32(1e-38)  # replaces a probability of 0


class SlidingModel:
    """``model``: the file with the graph, by default model.onnx next to this file."""

    def __init__(self, model=None):
        import onnxruntime

        self.session = onnxruntime.InferenceSession(str(model or Path(__file__).with_name('model.onnx')))

    def __call__(self, image):
        """(H, W, 3) → labels, (H, W) int64."""
        p = self.probabilities(image)
        return p.argmax(0) if THRESHOLD is None else (p[1] > THRESHOLD).astype(np.int64)

    def probabilities(self, image):
        """(H, W, 3) → (classes, H, W) float32."""
        x = np.ascontiguousarray(np.asarray(image, np.float32).transpose(2, 0, 1)[None])
        total, count = 0.0, np.zeros(x.shape[2:], np.float32)
        for rows in _windows(x.shape[2], CROP[0], STRIDE[0]):
            for columns in _windows(x.shape[3], CROP[1], STRIDE[1]):
                window = np.ascontiguousarray(x[..., rows, columns])
                p = self.session.run(['probabilities'], {'image': window})[0][0]
                if count.max() == 0:
                    total = np.zeros((len(p), *count.shape), np.float32)
                total[:, rows, columns] += np.log(np.maximum(p, TINY))
                count[rows, columns] += 1
        logits = total / count
        e = np.exp(logits - logits.max(0))
        return e / e.sum(0)


def _windows(size, crop, stride):
    """The windows along one side; the last one ends at the edge."""
    for i in range(max(size - crop + stride - 1, 0) // stride + 1):
        end = min(i * stride + crop, size)
        yield slice(max(end - crop, 0), end)
