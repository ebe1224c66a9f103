"""Oracles: the page is read back with Python's HTML parser, and its images with Pillow."""

import base64
import io
import os
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.special import softmax

from curvezoo.losses import classification_scores
from curvezoo.publishing.measures import classification
from curvezoo.publishing.page import style
from curvezoo.publishing.page.curves import loss_curves
from curvezoo.publishing.page.report import Section, write_report

HISTORY = {
    "epoch": [1, 2, 3],
    "loss": [2.0, 1.0, 0.5],
    "val_loss": [2.1, 1.2, 1.3],
    "accuracy": [0.3, 0.6, 0.8],
    "learning_rate": [0.1, 0.1, 0.01],
}


class Page(HTMLParser):
    """Collects the tags, attributes, table rows and text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.links, self.images, self.cells, self.open = [], [], [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.rows = dict(zip(self.cells[::2], self.cells[1::2], strict=True))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "data", "action")]
        self.images += [dict(attrs)] if tag == "img" else []
        if tag in ("th", "td"):
            self.cells.append("")
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.cells[-1] += data


def decoded(image):
    head, data = image["src"].split(",", 1)
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    logits = rng.normal(size=(200, 3)) + 2 * np.eye(3)[labels]
    images = rng.integers(0, 256, (200, 8, 8)).astype("uint8")
    return logits, labels, images


@pytest.fixture(scope="module")
def classifier_page(run, tmp_path_factory):
    logits, labels, images = run
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    scores = classification_scores(logits, labels) | {"test loss": 0.123456789}
    evidence = classification.Evidence(logits, labels, ("a", "<script>b", 'c"$x'), images.__getitem__)
    sections = [
        Section("Training", figures=[(loss_curves(HISTORY), "Curves.")]),
        *classification.sections(evidence),
        Section("Settings", rows=[("learning rate", 0.01), ("command", 'train "<script>" --seed=1')]),
    ]
    name, lead = "net <script>alert(1)</script>", "Made data & <b>noise</b>."
    returned = write_report(path, name, classification.summary(scores), sections, lead=lead)
    assert returned == path
    return Page(path)


def test_the_page_needs_no_other_file(classifier_page):
    assert all(link.startswith("data:image/png;base64,") for link in classifier_page.links)
    text = classifier_page.source
    assert not any(word in text for word in ("http://", "https://", "url(", "@import", "<link", "<script"))
    assert classifier_page.open == []


def test_the_table_shows_the_scores(classifier_page, run):
    logits, labels, _ = run
    scores = classification_scores(logits, labels)
    rows = classifier_page.rows
    assert rows["Accuracy"] == f"{100 * scores['accuracy']:.2f} %"
    low, high = 100 * scores["accuracy_low"], 100 * scores["accuracy_high"]
    assert rows["Accuracy, 95 % interval"] == f"{low:.2f} % to {high:.2f} %"
    assert rows["Negative log-likelihood"] == f"{scores['nll']:.4f} nats"
    assert rows["Expected calibration error"] == f"{100 * scores['ece']:.2f} %"
    assert rows["Brier score"] == f"{scores['brier']:.4f}"
    assert rows["Mistakes"] == str(np.sum(softmax(logits, axis=1).argmax(axis=1) != labels))
    assert rows["Examples"] == "200"
    assert rows["test loss"] == "0.123457"
    assert rows["learning rate"] == "0.01"


def test_names_are_escaped_and_read_back_as_written(classifier_page):
    assert "<title>net &lt;script&gt;alert(1)&lt;/script&gt;</title>" in classifier_page.source
    assert "script" not in classifier_page.tags
    assert "b" not in classifier_page.tags
    assert classifier_page.rows["command"] == 'train "<script>" --seed=1'
    assert any("<script>b" in name for name in classifier_page.rows)


def test_the_images_decode_at_their_size(classifier_page):
    assert len(classifier_page.images) == 4
    for image in classifier_page.images:
        picture = decoded(image)
        picture.load()
        # Images have 144 pixels to the inch, the layout has 96.
        assert picture.width == pytest.approx(1.5 * int(image["width"]), abs=2)
        assert np.asarray(picture.convert("L")).std() > 5
        assert image["alt"]


def test_without_images_the_page_omits_the_mistakes(run, tmp_path):
    logits, labels, _ = run
    evidence = classification.Evidence(logits, labels, tuple("abc"))
    page = Page(write_report(tmp_path / "page.html", "flat", [], classification.sections(evidence)))
    assert len(page.images) == 2


def test_a_page_holds_lead_text_figures_and_tables(tmp_path):
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    sections = [
        Section("Heading & more", "Text <i>.", [(figure, 'A "caption"')], [("rows", 3)]),
        Section("Empty"),
    ]
    page = Page(write_report(tmp_path / "page.html", "Title", [("x", "1 < 2")], sections, lead="Lead."))
    assert page.rows == {"x": "1 < 2", "rows": "3"}
    assert decoded(page.images[0]).size == (288, 144)
    assert page.images[0]["alt"] == 'A "caption"'
    assert "i" not in page.tags
    assert page.tags.count("table") == 2


def test_a_table_with_a_header_keeps_its_rows_and_is_escaped(tmp_path):
    grid = (("loss", "<noise>"), [("Huber", 0.123456789), ("a & b", 2)])
    section = Section("s", figures=[(loss_curves(HISTORY), "caption", grid)])
    page = Page(write_report(tmp_path / "page.html", "Title", [], [section]))
    assert page.cells == ["loss", "<noise>", "Huber", "0.123457", "a & b", "2"]
    assert page.tags.count("tr") == 3
    assert "noise" not in page.tags


def test_equal_pages_have_equal_bytes(tmp_path):
    pages = [
        write_report(tmp_path / f"{k}.html", "t", [], [Section("c", figures=[(loss_curves(HISTORY), "c")])])
        for k in range(2)
    ]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_a_failed_write_leaves_the_old_page_and_no_other_file(tmp_path, monkeypatch):
    path = write_report(tmp_path / "page.html", "old", [], [])
    before = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(path, "new", [], [])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_curves_show_the_history():
    loss, accuracy, rate = loss_curves(HISTORY).axes
    train, validation, least = loss.lines
    np.testing.assert_array_equal(train.get_xydata(), [[1, 2.0], [2, 1.0], [3, 0.5]])
    np.testing.assert_array_equal(validation.get_ydata(), HISTORY["val_loss"])
    assert (least.get_xdata()[0], least.get_ydata()[0]) == (2, 1.2)
    assert len(accuracy.lines) == 1
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), HISTORY["learning_rate"])


def test_curves_skip_missing_values_and_have_a_logarithmic_axis_if_they_span_a_lot():
    figure = loss_curves({"loss": [100.0, 10.0, 1.0], "val_loss": [None, 7.0, None]})
    axis = figure.axes[0]
    assert axis.get_yscale() == "log"
    np.testing.assert_array_equal(axis.lines[1].get_xydata(), [[2, 7.0]])


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ({}, "at least one quantity"),
        ({"epoch": [1, 2]}, "at least one quantity"),
        ({"loss": []}, "at least one epoch"),
        ({"epoch": [1, 2], "loss": [1.0]}, r"history\['loss'\] must have 2 numbers"),
    ],
)
def test_an_invalid_history_is_an_error(history, message):
    with pytest.raises(ValueError, match=message):
        loss_curves(history)


def test_figures_leave_the_state_of_pyplot_unchanged():
    import matplotlib.pyplot as plt

    before, settings = plt.get_fignums(), dict(plt.rcParams)
    style.data_uri(loss_curves(HISTORY))
    assert plt.get_fignums() == before
    assert dict(plt.rcParams) == settings


def test_a_wrong_number_of_names_is_an_error(run, tmp_path):
    logits, labels, images = run
    with pytest.raises(ValueError, match="label_names must have 3 names, got 2"):
        classification.sections(classification.Evidence(logits, labels, ("a", "b"), images.__getitem__))


def test_passages_keep_their_line_breaks_and_are_escaped(tmp_path):
    section = Section("Samples", passages=[("Temperature 1", "To be,\n  <or> not")])
    page = Page(write_report(tmp_path / "page.html", "Text", [], [section]))
    assert "<pre>To be,\n  &lt;or&gt; not</pre><figcaption>Temperature 1</figcaption>" in page.source
    assert "white-space: pre-wrap" in page.source
