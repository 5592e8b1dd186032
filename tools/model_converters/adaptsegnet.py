"""Convert a released DeepLabV2 adaptation model to our format."""

from mmseg_adapt.cli.convert import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
