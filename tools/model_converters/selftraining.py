"""Convert a released checkpoint of DAFormer, HRDA or MIC to our format."""

from mmseg_adapt.cli.convert_selftraining import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
