"""Draw what the student of a self-training config learns: source, target, pseudo-labels, confidence, every lesson.

``python tools/analysis/browse_lessons.py CONFIG [CHECKPOINT] [--out lessons.png] [--images 4] [--cfg-options …]``

Without a checkpoint, the teacher predicts with its initial weights; mixing and masks are drawn correctly anyway.
"""

from argparse import ArgumentParser
from itertools import islice
from pathlib import Path

import cv2
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS

from ..datasets.domains import collate_streams
from ..errors import UserError
from ..files.config import config_of
from ..methods.lesson_picture import lesson_picture
from ..methods.self_training import Domain, SelfTraining
from ..models.losses import labels_of
from ..runs.resumable_train_loop import SampleStream, SeededSamples
from ..weights.load import read_checkpoint
from ..weights.parts import loaded


def model_of(cfg: Config, checkpoint: str | None) -> SelfTraining:
    """The model in training mode, with its initial weights or those of a checkpoint.

    Raises:
        UserError: the config has no teacher, or the checkpoint does not fit.
    """
    model = MODELS.build(cfg.model)
    if not isinstance(model, SelfTraining):
        raise UserError(
            f'model is a {type(model).__name__}, which has no teacher: pass a config of DACS, DAFormer or MIC'
        )
    model.init_weights()
    if checkpoint is None:
        model.teacher.load_state_dict(model.segmentor.state_dict())
    else:
        model.load_state_dict(loaded(model.state_dict(), read_checkpoint(checkpoint), checkpoint)[0])
    return model.train()


def batch_of(cfg: Config, images: int, seed: int) -> tuple[dict, list]:
    """The first ``images`` items of a run, as one batch, and the palette."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    samples = SeededSamples(dataset)
    items = [samples[i] for i in islice(SampleStream(samples, cfg.train_dataloader.sampler, seed), images)]
    return (collate_streams if dataset.batch_sizes else pseudo_collate)(items), dataset.metainfo['palette']


@torch.no_grad()
def picture(cfg: Config, checkpoint: str | None, images: int, seed: int = 0):
    """(H, W, 3) uint8, RGB: the lessons for the first target image of a batch."""
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    MMLogger.get_current_instance().setLevel('WARNING')  # hide how each tensor is initialised
    torch.manual_seed(seed)
    model = model_of(cfg, checkpoint)
    data, palette = batch_of(cfg, images, seed)
    model.clock.seed, model.clock.iteration = (
        seed,
        cfg.train_cfg.get('max_iters', 0),
    )  # also show lessons that start late
    source, _, (target, *_) = model.streams(data)
    source = Domain(source['inputs'], labels_of(source['data_samples']))
    target, _ = model.teach(**target)
    lessons = list(model.lessons(source, target, model.clock.generator()))
    return lesson_picture(model, source, target, lessons, palette, images)


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('checkpoint', nargs='?', help='its teacher labels the target (default: initial weights)')
    parser.add_argument('--out', type=Path, help='PNG to write (default: work_dirs/<name of the config>/lessons.png)')
    parser.add_argument('--images', type=int, default=4, help='images per stream, one row each')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides of the config')
    args = parser.parse_args()
    cfg = config_of(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    out = args.out or Path('work_dirs') / Path(args.config).stem / 'lessons.png'
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), picture(cfg, args.checkpoint, args.images, args.seed)[..., ::-1])
    print(f'wrote {out}')
