"""Write model-index.yml and configs/metafile.yml from the headers of the configs, for MIM and MMEngine's hub.

``python tools/analysis/model_index.py [FOLDER]``
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
METAFILE, INDEX = 'configs/metafile.yml', 'model-index.yml'
HEAD = '# Written by tools/analysis/model_index.py from the headers of the configs.\n'
PUBLISHED = re.compile(r'[Pp]ublished mIoU (?:of )?(\d+\.\d+)')


def header(path: Path) -> str:
    """The comment at the start of a config, as one line."""
    lines = path.read_text().splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith('#')), len(lines))
    return ' '.join(line.lstrip('# ') for line in lines[:count])


def model(path: Path) -> dict:
    text = header(path)
    config = path.relative_to(ROOT).as_posix()
    metadata = dict(Description=text.split('. ')[0].split('  ')[0].rstrip('.:'))
    if published := PUBLISHED.search(text):
        metadata['Published mIoU'] = float(published[1])
    return dict(
        Name=f'{path.parent.name}_{path.stem}', **{'In Collection': path.parent.name}, Metadata=metadata, Config=config
    )


def files() -> dict[str, str]:
    """Path relative to the root → text."""
    paths = sorted(p for p in (ROOT / 'configs').glob('*/*.py') if p.parent.name not in ('_base_', 'own'))
    models = [model(path) for path in paths]
    folders = dict.fromkeys(m['In Collection'] for m in models)
    content = dict(Collections=[dict(Name=folder) for folder in folders], Models=models)
    options = dict(sort_keys=False, allow_unicode=True, width=120)
    return {
        METAFILE: HEAD + yaml.safe_dump(content, **options),
        INDEX: HEAD + yaml.safe_dump(dict(Import=[METAFILE]), **options),
    }


if __name__ == '__main__':
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    for name, text in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
