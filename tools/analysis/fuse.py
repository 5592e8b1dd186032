"""Late fusion: average the score maps of several models and inputs, and report the mIoU of each and of the average.

``python tools/analysis/fuse.py --run CONFIG CHECKPOINT [STORE] --run …``

STORE is a store of renders: the run then sees the test images in the source's style. FCAN's table fuses four runs: two
models (trained on the source and on its renders), each on the target and on the target's renders.
"""

from argparse import ArgumentParser
from pathlib import Path

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from prettytable import PrettyTable, TableStyle

from mmseg_adapt.errors import UserError, one_sentence
from mmseg_adapt.files.config import config_of
from mmseg_adapt.weights.segmentor import load_segmentor


class Run:
    """One model on one kind of input: its loader, its predictions, its metric."""

    def __init__(self, config: str, checkpoint: str, store: str | None = None) -> None:
        self.cfg = config_of(config)
        init_default_scope(self.cfg.get('default_scope', 'mmseg'))
        self.name = ' '.join([Path(config).stem, *([f'on {Path(store).name}'] if store else [])])
        self.loader = Runner.build_dataloader(self._loader_cfg(store), seed=0)
        self.metric = METRICS.build(self.cfg.test_evaluator)
        self.metric.dataset_meta = self.loader.dataset.metainfo
        self.model = load_segmentor(self.cfg, checkpoint)[0].to('cuda' if torch.cuda.is_available() else 'cpu')

    def _loader_cfg(self, store: str | None) -> dict:
        cfg = self.cfg.test_dataloader.copy()
        cfg.batch_size = 1
        if store:
            steps = cfg.dataset.pipeline
            steps.insert(1, dict(type='AANStyleTransfer', renders=store))
        return cfg

    @torch.no_grad()
    def predict(self, batch: dict):
        """The sample with its prediction, and its class probabilities (C, H, W) at the size of the image."""
        sample = self.model.test_step(batch)[0]
        return sample, sample.seg_logits.data.softmax(0)


def fused(runs: list[Run]) -> dict[str, dict]:
    """Every run's metrics, and those of the average of their probabilities.

    Raises:
        UserError: If the images or classes of a run differ from those of the first run.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.loader.dataset.metainfo['classes'] != first.loader.dataset.metainfo['classes']:
            raise UserError(f'{run.name} has other classes than {first.name}: fuse models with the same classes')
        if len(run.loader.dataset) != len(first.loader.dataset):
            raise UserError(f'{run.name} is tested on other images than {first.name}: fuse runs on the same test set')
    metric = METRICS.build(first.cfg.test_evaluator)
    metric.dataset_meta = first.metric.dataset_meta
    for batches in zip(*(run.loader for run in runs)):
        mean = 0
        for run, batch in zip(runs, batches):
            if batch['data_samples'][0].img_path != batches[0]['data_samples'][0].img_path:
                raise UserError(
                    f'{run.name} is tested on other images than {first.name}: fuse runs on the same test set'
                )
            sample, probabilities = run.predict(batch)
            run.metric.process(batch, [sample.to_dict()])
            mean = mean + probabilities / len(runs)
        sample.pred_sem_seg = PixelData(data=mean.argmax(0, keepdim=True))
        metric.process(batches[-1], [sample.to_dict()])
    size = len(first.loader.dataset)
    results = {f'{i}: {run.name}': run.metric.evaluate(size) for i, run in enumerate(runs, start=1)}
    return {**results, 'fused': metric.evaluate(size)}


def table_of(results: dict[str, dict]) -> PrettyTable:
    columns = [key for key in results['fused'] if key == 'mIoU' or key.startswith('IoU.')]
    table = PrettyTable(['run', *(key.removeprefix('IoU.') for key in columns)])
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    table.align['run'] = 'l'
    for name, metrics in results.items():
        table.add_row([name, *(f'{metrics[key]:.1f}' for key in columns)])
    return table


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--run',
        nargs='+',
        action='append',
        required=True,
        metavar='PATH',
        help='CONFIG CHECKPOINT [STORE]; repeat for each run',
    )
    args = parser.parse_args()
    for run in args.run:
        if len(run) not in (2, 3):
            raise UserError(f'--run {" ".join(run)}: pass a config, a checkpoint and, optionally, a store of renders')
    print(table_of(fused([Run(*run) for run in args.run])))


if __name__ == '__main__':
    with one_sentence():
        main()
