"""Report on a run: ``python tools/report.py WORK_DIR [--baseline WORK_DIR]``."""

from mmseg_adapt.cli.report import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
