"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT`` prints the mIoU and every class's IoU on the target."""

from mmseg_adapt.cli.test import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
