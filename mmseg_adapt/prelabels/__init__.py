"""Predictions as pre-labels: files that annotation tools import, with the least confident images first.

Every format is a function of the label maps that ``predict`` has written, so what a tool shows is what the PNG says.
One annotation is one class of one image: a segmentor says nothing of objects, and a connected component is not one.
Pixels of a class that is named ``background`` are left without an annotation, as these tools expect.
"""

from .coco import write_coco
from .cvat import write_cvat
from .labelled import Labelled, write_confidence
from .labelstudio import write_labelstudio

FORMATS = dict(coco=write_coco, cvat=write_cvat, labelstudio=write_labelstudio)

__all__ = ['FORMATS', 'Labelled', 'write_confidence']
