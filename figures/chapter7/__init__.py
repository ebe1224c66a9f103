"""The figures of chapter 7."""
