"""Train a config: ``python tools/train.py configs/adaptseg/gta2cs_multilevel.py`` (several GPUs: dist_train.sh)."""

from mmseg_adapt.cli.train import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
