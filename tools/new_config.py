"""Inspect your own data set, and write a commented config that trains on it."""

from mmseg_adapt.cli.new import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
