"""Predictions as pre-labels: files for annotation tools, with the least confident images first.

Every format is a function of the label maps written by ``predict``, so the tool shows the same labels as the PNG. One
annotation is one class of one image: a segmentor does not predict objects, and a connected component is not an object.
Pixels of a class named ``background`` have no annotation, as these tools expect.
"""

from .coco import write_coco
from .cvat import write_cvat
from .labelled import Labelled, write_confidence
from .labelstudio import write_labelstudio

FORMATS = dict(coco=write_coco, cvat=write_cvat, labelstudio=write_labelstudio)

__all__ = ['FORMATS', 'Labelled', 'write_confidence']
