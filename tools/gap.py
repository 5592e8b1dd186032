"""How far apart are two folders of images? ``python tools/gap.py SOURCE TARGET``."""

from mmseg_adapt.cli.gap import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
