"""A table of a tool's results as Markdown."""

from collections.abc import Iterable, Sequence

from prettytable import PrettyTable, TableStyle


def markdown(header: Sequence[str], rows: Iterable[Sequence]) -> PrettyTable:
    """The first column is aligned to the left, all others to the right."""
    table = PrettyTable(header)
    table.set_style(TableStyle.MARKDOWN)
    table.align = 'r'
    table.align[header[0]] = 'l'
    table.add_rows(list(rows))
    return table
