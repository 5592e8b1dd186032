"""Predict images: ``python tools/predict.py MODEL IMAGES|FOLDER|VIDEO --out DIR``."""

from mmseg_adapt.cli.predict import main
from mmseg_adapt.errors import one_sentence

if __name__ == '__main__':
    with one_sentence():
        main()
