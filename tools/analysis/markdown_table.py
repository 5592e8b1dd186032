"""A table of a tool's results as Markdown, and its place in a page of the docs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from prettytable import PrettyTable, TableStyle

from mmseg_adapt.errors import UserError


def markdown(header: Sequence[str], rows: Iterable[Sequence]) -> PrettyTable:
    """The first column is aligned to the left, all others to the right."""
    table = PrettyTable(header)
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    table.align[header[0]] = 'l'
    table.add_rows(list(rows))
    return table


def put(page: Path, name: str, content: object) -> None:
    """Replace what lies between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` in a page.

    Raises:
        UserError: If the page does not have these marks.
    """
    before, _, after = _around(page, name)
    page.write_text(f'{before}\n{content}\n{after}', encoding='utf-8')


def rows_of(page: Path, name: str) -> list[list[str]]:
    """The cells of the table that :func:`put` wrote, without its header. Raises: as :func:`put`."""
    lines = _around(page, name)[1].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]


def _around(page: Path, name: str) -> tuple[str, str, str]:
    """A page up to the first mark, between the marks, and from the second."""
    begin, end = f'<!-- {name}: begin -->', f'<!-- {name}: end -->'
    before, _, rest = page.read_text(encoding='utf-8').partition(begin)
    if end not in rest:
        raise UserError(f'{page} has no table {name}: add the lines {begin} and {end}')
    content, _, after = rest.partition(end)
    return before + begin, content, end + after
