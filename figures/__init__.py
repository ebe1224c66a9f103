"""The figures of the notes, by chapter, and the page that shows them.

Each figure is one file of its chapter's package, named for the figure: it measures, draws and describes it.
To add a figure, add such a file. It needs a function that draws, and a `FIGURE`:

    FIGURE = Figure(
        section="2.1",
        name="entropy",
        draw=draw,
        caption="The entropy of a coin (Eq. 2.1.9) ...",
    )

`draw()` takes no arguments. It returns a `matplotlib.figure.Figure`, or (figure, (header, rows)) if a table
belongs to the figure. By convention, `measure` computes the numbers, `plot` draws given numbers, and `draw`
does both. Measurements that two figures share have a file of their own, without a `FIGURE`. The catalogue
finds all files by itself.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
