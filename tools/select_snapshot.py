"""Choose a snapshot without labels: ``python tools/select_snapshot.py WORK_DIR…``."""

from mmseg_adapt.cli.select import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
