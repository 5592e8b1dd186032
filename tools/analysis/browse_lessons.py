"""Draw what the student of a self-training config learns. See mmseg_adapt/cli/lessons.py."""

from mmseg_adapt.cli.lessons import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
