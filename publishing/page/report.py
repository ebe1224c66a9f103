"""A page of text, tables and figures as a single HTML file, which needs no network or other files."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from ...files import replacing
from .style import data_uri

# The policy makes the browser block everything that is not in the file.
_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark; --page: #fff; --ink: #222; --muted: #666; --rule: #e3e3e3; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181c; --ink: #e6e6e6; --muted: #a0a0a0; --rule: #34373d; }
}
body { max-width: 50rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; background: var(--page);
       color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule); }
p { margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--rule); text-align: left;
         vertical-align: top; overflow-wrap: anywhere; }
th { width: 40%; font-weight: normal; color: var(--muted); }
td { font-variant-numeric: tabular-nums; }
.grid { font-size: .85rem; }
.grid th, .grid td { width: auto; overflow-wrap: normal; }
pre { margin: 1rem 0 .4rem; padding: .6rem .8rem; border: 1px solid var(--rule); border-radius: .4rem;
      white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; border-radius: .4rem; }
figcaption { margin-top: .4rem; color: var(--muted); font-size: .9rem; }
</style>
</head>
<body>
<main>
<h1>$title</h1>
$lead$summary$sections</main>
</body>
</html>
""")


@dataclass(frozen=True)
class Section:
    """A section of a page: heading, text, figures, passages and a table. Empty parts are omitted.

    Args:
        heading: The heading.
        text: One paragraph.
        figures: Pairs (`matplotlib.figure.Figure`, caption), or triples with a table (header, rows).
        rows: Pairs (name, value) of a table.
        passages: Pairs (caption, text) of text that keeps its line breaks.
    """

    heading: str
    text: str = ""
    figures: Sequence[tuple] = ()
    rows: Sequence[tuple] = ()
    passages: Sequence[tuple] = ()


def write_report(path, title, summary, sections, lead=""):
    """Writes a page as one HTML file that contains its figures.

    All text is escaped. The file is written under a temporary name and then moved, so that it is never
    incomplete.

    Args:
        path: File to write; missing folders are created.
        title: Title of the page.
        summary: Pairs (name, value) of the table at the top.
        sections: The `Section`s of the page.
        lead: Text below the title.

    Returns:
        The path, a `pathlib.Path`.
    """
    page = _PAGE.substitute(
        title=escape(str(title)),
        lead=_paragraph(lead),
        summary=_table(summary),
        sections="".join(_section(section) for section in sections),
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _section(section):
    """Returns the HTML of a section."""
    figures = "".join(_figure(*figure) for figure in section.figures)
    passages = "".join(_passage(*passage) for passage in section.passages)
    body = _paragraph(section.text) + figures + passages + _table(section.rows)
    return f"<section>\n<h2>{escape(section.heading)}</h2>\n{body}</section>\n"


def _figure(figure, caption, grid=None):
    """Returns the HTML of a figure with its caption and, if it has one, its table."""
    width, height = figure.get_size_inches()
    text = escape(caption)
    # With a given size, the layout does not shift while images are decoded. CSS has 96 pixels per inch.
    size = f'width="{96 * width:.0f}" height="{96 * height:.0f}"'
    image = f'<img src="{data_uri(figure)}" alt="{text}" {size}>'
    below = _grid(*grid) if grid else ""
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>\n{below}"


def _passage(caption, text):
    """Returns the HTML of text that keeps its line breaks, with its caption."""
    return f"<figure><pre>{escape(text)}</pre><figcaption>{escape(caption)}</figcaption></figure>\n"


def _paragraph(text):
    """Returns the HTML of a paragraph, or an empty string if the text is empty."""
    return f"<p>{escape(text)}</p>\n" if text else ""


def _table(rows):
    """Returns the HTML of a table of pairs (name, value), or an empty string if there are no rows."""
    lines = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>\n" for name, value in rows)
    return f"<table>\n{lines}</table>\n" if lines else ""


def _grid(header, rows):
    """Returns the HTML of a table with a header."""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in header)
    lines = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    return f'<table class="grid">\n<tr>{head}</tr>\n{lines}</table>\n'


def _text(value):
    """Returns a value as escaped text; floats have six significant digits."""
    return escape(f"{value:.6g}" if isinstance(value, float) else str(value))
