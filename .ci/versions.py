"""Check that every file that names the version names the same one: ``python .ci/versions.py [--release]``

``--release`` also asks for a date: of the release in CHANGELOG.md, and the same in CITATION.cff.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'tools/analysis'))
import model_index  # noqa: E402

PLACES = {  # file → where it names the version; pyproject.toml reads it from the package
    'mmseg_adapt/__init__.py': r"^__version__ = '(.+)'$",
    'CITATION.cff': r'^version: (.+)$',
    'CHANGELOG.md': r'^## (\S+) \(.+\)$',
}
DATES = {'CHANGELOG.md': r'^## \S+ \((.+)\)$', 'CITATION.cff': r'^date-released: (.+)$'}


def found(root: Path, places: dict[str, str]) -> dict[str, str | None]:
    """File → what its first match says, None without one."""
    matches = {name: re.search(pattern, (root / name).read_text(), re.M) for name, pattern in places.items()}
    return {name: match and match[1] for name, match in matches.items()}


def problems(root: Path, release: bool) -> list[str]:
    """What must be corrected before a release, a sentence each."""
    versions = found(root, PLACES)
    said = [f'{name} says {value}' for name, value in versions.items()]
    wrong = [] if len({*versions.values()}) == 1 else [f'versions differ: {", ".join(said)}']
    changed, cited = found(root, DATES).values()
    if release and (changed != cited or not re.fullmatch(r'\d{4}-\d\d-\d\d', changed)):
        wrong.append(f'CHANGELOG.md must name the date of the release, and CITATION.cff too: {changed}, {cited}')
    return wrong


def main() -> int:
    wrong = problems(ROOT, '--release' in sys.argv)
    stale = [name for name, text in model_index.files().items() if (ROOT / name).read_text() != text]
    wrong += [f'{name} is out of date: run tools/analysis/model_index.py' for name in stale]
    for problem in wrong:
        print(f'error: {problem}', file=sys.stderr)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
