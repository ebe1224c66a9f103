"""The figures of chapter 5."""
