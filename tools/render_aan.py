"""Render source images in the target's style (FCAN's AAN) into a store that AANStyleTransfer reads."""

from mmseg_adapt.cli.render import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
