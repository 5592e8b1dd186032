"""Export a trained segmentor: ``python tools/export_segmentor.py CONFIG CHECKPOINT OUT`` writes the folder OUT."""

from mmseg_adapt.cli.export import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
