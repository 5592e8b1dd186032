"""The HTML of a page: one self-contained file, readable on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:75rem;color:#1c1c1c;background:#fff}
h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ddd}
.verdict{background:#eef4fb;border-left:4px solid #2a6fb0;padding:.6rem 1rem}
.verdict.bad{background:#fdf0ee;border-color:#b03a2a}
.grid{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr))}
.four{display:grid;gap:.4rem;grid-template-columns:repeat(auto-fill,minmax(8rem,1fr))}
.three{display:grid;gap:.3rem;grid-template-columns:repeat(3,1fr)}
figure{margin:0}figcaption{font-size:.85rem;color:#555;overflow-wrap:anywhere}
img,svg{width:100%;height:auto;display:block}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
td,th{padding:.2rem .6rem;text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left}
tr:nth-child(even){background:#f5f5f5}tr.picked{font-weight:bold}
pre{overflow:auto;background:#f5f5f5;padding:.6rem;font-size:.8rem}
dt{font-weight:bold}dd{margin:0 0 .4rem;overflow-wrap:anywhere}
"""


def page(title: str, sections: Iterable[str]) -> str:
    body = '\n'.join(section for section in sections if section)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>\n{body}\n'
        '</body></html>\n'
    )


def section(title: str, *parts: str) -> str:
    """A section, or an empty text if there is nothing to show."""
    content = '\n'.join(part for part in parts if part)
    return f'<h2>{escape(title)}</h2>\n{content}' if content else ''


def paragraphs(sentences: Iterable[str], kind: str = '') -> str:
    return ''.join(f'<p{f" class={kind!r}" if kind else ""}>{escape(whole(s))}</p>' for s in sentences)


def whole(sentence: str) -> str:
    """The sentence with a capital letter and a full stop."""
    return sentence[:1].upper() + sentence[1:].rstrip('.') + '.' if sentence else ''


def items(sentences: Sequence[str]) -> str:
    return '<ul>' + ''.join(f'<li>{escape(whole(s))}</li>' for s in sentences) + '</ul>' if sentences else ''


def table(head: Sequence[str], rows: Iterable[Sequence[object]], picked: int | None = None) -> str:
    lines = [
        f'<tr{" class=picked" if number == picked else ""}>'
        + ''.join(f'<td>{escape(str(cell))}</td>' for cell in row)
        + '</tr>'
        for number, row in enumerate(rows)
    ]
    cells = ''.join(f'<th>{escape(name)}</th>' for name in head)
    return f'<div class="wide"><table><tr>{cells}</tr>{"".join(lines)}</table></div>'


def grid(parts: Iterable[str], kind: str = 'grid') -> str:
    found = [part for part in parts if part]
    return f'<div class="{kind}">{"".join(found)}</div>' if found else ''


def figure(content: str, caption: str = '') -> str:
    return f'<figure>{content}<figcaption>{escape(caption)}</figcaption></figure>' if content else ''


def definitions(pairs: dict[str, str]) -> str:
    return '<dl>' + ''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in pairs.items()) + '</dl>'


def folded(title: str, text: str) -> str:
    return f'<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>'
