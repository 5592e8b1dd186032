"""Stage e: compare the peaks that tools/analysis/memory.py predicts without a GPU with those measured in stage b."""

import json

from kit import Results, arguments
from memory import measure
from stage_speed import present, row_config


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    results = Results(args.out, 'memory')
    file = args.out / 'speed.json'
    measured = {row['name']: row.get('peak_gib') for row in json.loads(file.read_text())} if file.exists() else {}
    for name, config, precision, fast in present():
        if fast:  # memory format and compilation are not predicted
            continue
        with results.row(name):
            cfg, sizes = row_config(config, precision, fast, args.tiny, gpu=False)
            found = measure(cfg, sizes)
            results.add(name=name, predicted_gib=found['total'], allocated_gib=measured.get(name))


if __name__ == '__main__':
    main()
