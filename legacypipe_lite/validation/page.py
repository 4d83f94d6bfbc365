"""Pieces of a self-contained HTML page: nothing in it is fetched from elsewhere."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tables import ScoreTable

__all__ = ["figure", "figures", "page", "section", "table", "text_table"]


def page(title: str, subtitle: str, sections: list[tuple[str, str]]) -> str:
    """A whole page.

    Parameters
    ----------
    title, subtitle : str
        Plain text.
    sections : list of (str, str)
        Heading and HTML of each section, see `section`.

    Returns
    -------
    str
    """
    template = Template(files(__package__).joinpath("data/report.html").read_text(encoding="utf-8"))
    anchors = [f"s{i}" for i in range(len(sections))]
    links = [f'<a href="#{anchor}">{html.escape(name)}</a>' for anchor, (name, _) in zip(anchors, sections)]
    body = [
        f'<section id="{anchor}"><h2>{html.escape(name)}</h2>\n{content}\n</section>'
        for anchor, (name, content) in zip(anchors, sections)
    ]
    return template.substitute(
        title=html.escape(title), subtitle=html.escape(subtitle), links=" ".join(links), body="\n".join(body)
    )


def section(name: str, *parts: str) -> tuple[str, str]:
    """A section: its heading, and its parts (HTML; empty ones are left out)."""
    return name, "\n".join(part for part in parts if part)


def figure(image: bytes, caption: str, kind: str = "png", wide: bool = False) -> str:
    """An image in the page.

    Parameters
    ----------
    image : bytes
        A PNG or JPEG file.
    caption : str
        Plain text.
    kind : str
        "png" or "jpeg".
    wide : bool
        Takes the whole width.
    """
    data = base64.b64encode(image).decode("ascii")
    text = html.escape(caption)
    opening = '<figure class="wide">' if wide else "<figure>"
    image_tag = f'<img src="data:image/{kind};base64,{data}" alt="{text}">'
    return f"{opening}{image_tag}<figcaption>{text}</figcaption></figure>"


def figures(*items: Any) -> str:
    """Figures side by side."""
    return '<div class="figures">' + "\n".join(item for item in items if item) + "</div>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table of plain text; columns after the first are aligned to the right if they look like numbers.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequence of str
    caption : str
    """
    numeric = [i > 0 and all(_is_number(row[i]) for row in rows) for i in range(len(header))]
    lines = ["<table>", f"<caption>{html.escape(caption)}</caption>" if caption else ""]
    lines.append(_row(header, numeric, "th"))
    lines += [_row(row, numeric, "td") for row in rows]
    return "\n".join(line for line in [*lines, "</table>"] if line)


def text_table(score_table: ScoreTable) -> str:
    """A `tables.ScoreTable`."""
    note = f"<p class='note'>{html.escape(score_table.note)}</p>" if score_table.note else ""
    return table(score_table.header, score_table.rows, score_table.title) + note


def _row(cells: Sequence[str], numeric: list[bool], tag: str) -> str:
    texts = (
        f"<{tag}{' class=n' if right else ''}>{html.escape(str(cell))}</{tag}>" for cell, right in zip(cells, numeric)
    )
    return "<tr>" + "".join(texts) + "</tr>"


def _is_number(text: str) -> bool:
    return not text or text == "-" or text[0] in "+-0123456789"
