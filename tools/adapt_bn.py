"""Adapt BN statistics to unlabelled images: ``python tools/adapt_bn.py CONFIG CHECKPOINT --target FOLDER``."""

from mmseg_adapt.cli.adapt_bn import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
