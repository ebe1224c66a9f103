"""The figures of the notes, by chapter, and the page that shows them."""
