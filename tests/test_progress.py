"""What the bar of a run shows."""

from curvezoo.progress import Progress


def test_the_bar_names_the_last_unit_even_if_it_had_no_step():
    progress = Progress("report", 3, visible=False)
    for done in (1, 2):
        progress.unit_done({})
        (task,) = progress._bar.tasks
        assert (task.description, task.completed) == (f"report {done}", done)
