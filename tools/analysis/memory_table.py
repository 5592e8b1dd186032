"""Write the table of docs/long_runs.md: peak memory and FLOPs of self-training, and which card is large enough.

    python tools/analysis/memory_table.py docs/long_runs.md

A row is an iteration of a config at its published size, measured by memory.py. One takes a minute or more.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

from markdown_table import put, rows_of
from memory import measure
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from prettytable import PrettyTable, TableStyle

from mmseg_adapt.cli.launch import enable_amp
from mmseg_adapt.files.config import config_of

ROOT = Path(__file__).parents[2]
MIT = tuple(f'backbone.layers.{stage}.1' for stage in range(4))
RESNET = tuple(f'backbone.layer{stage}' for stage in range(1, 5))
VIT = ('backbone.timm_model.model.blocks',)
CARDS = (6, 8, 11, 12, 16, 24, 32, 40, 48, 80)  # GB, as they are sold
CONTEXT = 1.0  # GiB for the CUDA context, workspaces and the allocator


class Row(NamedTuple):
    config: str
    name: str
    blocks: tuple[str, ...] = ()  # recomputed
    precision: str | None = None

    @property
    def how(self) -> str:
        parts = ['blocks recomputed'] if self.blocks else []
        parts += [f'`--amp {self.precision}`'] if self.precision else []
        return ', '.join(parts) or 'float32'


DAFORMER = ('daformer/gta2cs_mitb5', 'DAFormer, MiT-B5, 512²', MIT)
DACS = ('dacs/gta2cs_deeplabv2', 'DACS, DeepLabV2-R101, 512²', RESNET)
HRDA = ('mic/gta2cs_hrda_mitb5', 'MIC with HRDA, MiT-B5, 1024²', MIT)
DINOV2 = ('vfm/gta2cs_vitb', 'VFM-UDA, DINOv2 ViT-B/14, 504²', VIT)
DINOV3 = ('vfm/gta2cs_dinov3_vitb', 'VFM-UDA, DINOv3 ViT-B/16, 512²', VIT)
ADAPTERS = ('vfm/gta2cs_vitl_lora', 'VFM-UDA, ViT-L/14 with adapters, 504²', VIT)
LARGE = ('vfm/gta2cs_vitl', 'VFM-UDA, ViT-L/14, 504²', VIT)
FULL = ('vfm/gta2cs_vitb_1022', 'VFM-UDA, ViT-B/14, 1022²', VIT)
LARGE_FULL = ('vfm/gta2cs_vitl_1022', 'VFM-UDA, ViT-L/14, 1022²', VIT)
ROWS = [
    row
    for config, name, blocks in (DAFORMER, DACS, HRDA, DINOV2, DINOV3, ADAPTERS, LARGE, FULL, LARGE_FULL)
    for row in (Row(config, name), Row(config, name, blocks), Row(config, name, precision='bf16'))
]


def cells(row: Row) -> list[str]:
    cfg = config_of(ROOT / f'configs/{row.config}.py')
    if row.blocks:
        cfg.default_hooks.small_card = dict(type='ActivationCheckpointHook', blocks=row.blocks)
    if row.precision:
        enable_amp(cfg, row.precision, gpu=False)
    found = measure(cfg)
    card = next(gb for gb in CARDS if found['total'] + CONTEXT <= gb * 1e9 / 2**30)
    numbers = [f'{found[key]:.2f}' for key in ('state', 'gradients', 'activations', 'total')]
    return [row.name, row.how, *numbers, f'{found["tflop"]:.1f}', f'{card} GB']


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('page', type=Path, help='docs/long_runs.md; its table is replaced')
    parser.add_argument(
        '--missing', action='store_true', help='measure only rows that the page lacks; delete one to measure it again'
    )
    args = parser.parse_args()
    known = {tuple(row[:2]): row for row in rows_of(args.page, 'memory')} if args.missing else {}
    init_default_scope('mmseg')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    kinds = ['weights, optimiser', 'gradients', 'activations', 'sum, GiB', 'TFLOP', 'card']
    table = PrettyTable(['', 'how', *kinds])
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    table.align[''] = table.align['how'] = 'l'
    for row in ROWS:
        table.add_row(known.get((row.name, row.how)) or cells(row))
        print(*table.rows[-1], flush=True)
    put(args.page, 'memory', table)


if __name__ == '__main__':
    main()
