"""Predict images: ``python tools/predict.py MODEL IMAGES|FOLDER|VIDEO --out DIR``.

MODEL is a folder written by tools/export_segmentor.py, the name of a model on the Hugging Face Hub (hf://USER/NAME), or
a config followed by a checkpoint: ``python tools/predict.py CONFIG CHECKPOINT IMAGES|FOLDER|VIDEO --out DIR``. DIR then
contains

    labels/NAME.png     class indices, a palette PNG (read it with Pillow: OpenCV returns the colours)
    overlay/NAME.png    the colours over the image; overlay/NAME.mp4 for a video
    legend.png          the colours and names of the classes
    confidence.csv      mean confidence and entropy of every image, least confident first
    confidence/NAME.png with --confidence: probability of the predicted class, 255 is 1
    entropy/NAME.png    with --entropy: entropy of the class probabilities, 255 is a uniform distribution
    coco.json           with --format coco: one mask per class and image, for pycocotools and other COCO tools
    cvat.zip            with --format cvat: for CVAT's "Segmentation mask 1.1"; cvat_labels.json has the task's labels
    labelstudio.json    with --format labelstudio: tasks with brush masks; labelstudio.xml is the labelling interface
"""

import os
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from rich.progress import track

from ..errors import UserError, writing
from ..export.hub import is_hub
from ..files.listing import IMAGE_ENDINGS, images_below, is_image
from ..files.whole import staged
from ..predictor import Prediction, Predictor
from ..prelabels import FORMATS, Labelled, write_confidence
from ..prelabels.labelstudio import LOCAL
from ..weights.load import allow_unsafe

VIDEOS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')


def parse() -> Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('model', help='folder of an exported model, hf://USER/NAME, or a config')
    parser.add_argument('inputs', nargs='+', help='images, folders and videos; after a config, first its checkpoint')
    parser.add_argument('--out', required=True, help='folder to write')
    parser.add_argument(
        '--batch-size', type=int, default=1, help='number of images of the same size to predict together'
    )
    parser.add_argument('--opacity', type=float, default=0.5, help='opacity of the colours in overlays, 0 to 1')
    parser.add_argument('--confidence', action='store_true', help='also write the probability of the predicted class')
    parser.add_argument('--entropy', action='store_true', help='also write the entropy of the class probabilities')
    parser.add_argument('--format', choices=['png', *FORMATS], default='png', help='also write a file for this tool')
    parser.add_argument('--image-url', default=LOCAL, help='labelstudio: prefix of the file name in the image address')
    parser.add_argument('--part', help="'teacher' uses the checkpoint's teacher instead of its segmentor")
    parser.add_argument('--device', help='cuda, cuda:1 or cpu (default: the GPU if there is one)')
    parser.add_argument('--overwrite', action='store_true', help='replace earlier predictions in DIR')
    parser.add_argument('--unsafe', action='store_true', help='load a checkpoint that executes code when loaded')
    return parser.parse_args()


def main() -> None:
    args = parse()
    if args.unsafe:
        allow_unsafe()
    if args.batch_size < 1:
        raise UserError(f'--batch-size {args.batch_size} must be at least 1')
    if not 0 <= args.opacity <= 1:
        raise UserError(f'--opacity {args.opacity} must be between 0 and 1')
    whole = is_hub(args.model) or Path(args.model).is_dir()
    if not whole and not Path(args.model).exists():
        raise UserError(f'{args.model} does not exist: pass the folder of an exported model, or a config')
    checkpoint, inputs = (None, args.inputs) if whole else (args.inputs[0], args.inputs[1:])
    if checkpoint and not inputs:
        raise UserError(f'{args.model} is a config: pass its checkpoint and then the images, or an exported folder')
    images, videos = collect(inputs)
    if videos and args.format != 'png':
        raise UserError(
            f'--format {args.format} describes image files, but {next(iter(videos.values()))} is a video: save its '
            'frames as images first, or remove --format'
        )
    broken: dict[Path, str] = {}
    done: list[Labelled] = []
    with staged(args.out, args.overwrite, folder=True) as out:
        predictor = Predictor(args.model, checkpoint, args.device, args.part)
        predict_images(predictor, images, out, args, broken, done)
        for name, path in videos.items():
            try:
                predict_video(predictor, path, out, name, args, done)
            except UserError as error:
                broken[path] = str(error)
        if len(broken) == len(images) + len(videos):
            raise UserError('; '.join(broken.values()))
        legend(predictor).save(out / 'legend.png')
        summarise(predictor, done, out, args)
    counts = (len(set(files.values()) - broken.keys()) for files in (images, videos))
    print('wrote {}: {} images, {} videos'.format(args.out, *counts))
    if broken:
        raise UserError(f'{len(broken)} files were skipped: ' + '; '.join(broken.values()))


def summarise(predictor: Predictor, done: list[Labelled], out: Path, args: Namespace) -> None:
    """Write the files that describe all images, least confident first."""
    done = sorted(done, key=lambda image: (image.confidence, image.name))
    write_confidence(done, out / 'confidence.csv')
    if args.format != 'png':
        options = dict(url=args.image_url) if args.format == 'labelstudio' else {}
        model = args.model if is_hub(args.model) else Path(args.model).stem
        FORMATS[args.format](done, predictor.classes, predictor.palette, out, model, **options)


def predict_images(
    predictor: Predictor,
    images: dict[str, Path],
    out: Path,
    args: Namespace,
    broken: dict[Path, str],
    done: list[Labelled],
) -> None:
    """Write the predictions and append them to ``done``; images that cannot be read go to ``broken``."""
    stream = predictor.stream(
        images.values(), args.batch_size, skipped=lambda path, error: broken.update({Path(path): str(error)})
    )
    names = (name for name, path in images.items() if path not in broken)  # lazy: after the prediction before
    for prediction, name in zip(track(stream, 'images', total=len(images), disable=not images), names):
        done.append(write(out, name, images[name].suffix, prediction, args))
        save(out / 'overlay' / f'{name}.png', Image.fromarray(prediction.overlay(args.opacity)))


def collect(inputs: list[str]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Name below the output folders → file, for images and for videos. Folders are searched recursively.

    Raises:
        UserError: If a file is missing or has another type, a folder has no images, or two files have the same name.
    """
    images: dict[str, Path] = {}
    videos: dict[str, Path] = {}
    for given in map(Path, inputs):
        if not given.exists():
            raise UserError(f'{given} does not exist: pass images, folders of images, or videos')
        files = sorted(given / name for name in images_below(given)) if given.is_dir() else [given]
        if not files:
            raise UserError(f'{given} contains no images: their names must end in {", ".join(IMAGE_ENDINGS)}')
        for path in files:
            name = str((path.relative_to(given) if given.is_dir() else Path(path.name)).with_suffix(''))
            kind = images if is_image(path.name) else videos
            if kind is videos and path.suffix.lower() not in VIDEOS:
                raise UserError(
                    f'{path} must be an image ({", ".join(IMAGE_ENDINGS)}) or a video ({", ".join(VIDEOS)})'
                )
            if name in images or name in videos:
                raise UserError(
                    f'{path} and {images.get(name) or videos[name]} would get the same name: predict them separately'
                )
            kind[name] = path
    return images, videos


def write(out: Path, name: str, ending: str, prediction: Prediction, args: Namespace) -> Labelled:
    """Raises: UserError: the pipeline crops images, but the format describes whole files."""
    if args.format != 'png' and prediction.labels.shape != prediction.file_size:
        (height, width), (whole, across) = prediction.labels.shape, prediction.file_size
        raise UserError(
            f'{name}{ending} has {across}×{whole} pixels, but test_pipeline crops it to {width}×{height}, and --format '
            f'{args.format} needs masks of the whole image: remove the crop from the config, or remove --format'
        )
    labels = Image.fromarray(prediction.labels)
    labels.putpalette(np.uint8(prediction.palette).tobytes())
    save(out / 'labels' / f'{name}.png', labels)
    for kind in ('confidence', 'entropy'):
        if getattr(args, kind):
            grey = np.round(255 * getattr(prediction, kind)).astype(np.uint8)
            save(out / kind / f'{name}.png', Image.fromarray(grey))
    return Labelled.of(name, f'{name}{ending}', prediction.labels, prediction.confidence, prediction.entropy)


def save(path: Path, image: Image.Image) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)


def predict_video(
    predictor: Predictor, path: Path, out: Path, name: str, args: Namespace, done: list[Labelled]
) -> None:
    """Raises: UserError: If OpenCV cannot read or write the video."""
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    rate = video.get(cv2.CAP_PROP_FPS) or 25.0
    writer = None
    target = out / 'overlay' / f'{name}.mp4'
    target.parent.mkdir(parents=True, exist_ok=True)
    stream = predictor.stream(frames(video), args.batch_size)
    for i, prediction in enumerate(track(stream, path.name, total=max(count, 1))):
        picture = np.ascontiguousarray(prediction.overlay(args.opacity)[..., ::-1])
        if writer is None:
            writer = cv2.VideoWriter(str(target), cv2.VideoWriter_fourcc(*'mp4v'), rate, picture.shape[1::-1])
            if not writer.isOpened():
                raise UserError(
                    f'{target.name} cannot be written, because this OpenCV cannot encode videos: install opencv-python'
                )
        writer.write(picture)
        done.append(write(out, f'{name}{os.sep}{i:06d}', '', prediction, args))
    if writer is None:
        raise UserError(f'{path} cannot be read as a video: restore or convert the file')
    writer.release()
    if i + 1 < count:
        print(f'{path}: {i + 1} of {count} frames could be read')


def frames(video: cv2.VideoCapture) -> Iterator[np.ndarray]:
    while True:
        found, frame = video.read()
        if not found:
            return
        yield np.ascontiguousarray(frame[..., ::-1])


def legend(predictor: Predictor) -> Image.Image:
    rows = []
    for name, colour in zip(predictor.classes, predictor.palette):
        row = np.full((28, 260, 3), 255, np.uint8)
        row[3:25, 6:46] = colour
        cv2.putText(row, name, (56, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        rows.append(row)
    return Image.fromarray(np.vstack(rows))
