from .load import read_checkpoint, tensors_of
from .pretrained import CheckedPretrainedInit

__all__ = ['CheckedPretrainedInit', 'read_checkpoint', 'tensors_of']
