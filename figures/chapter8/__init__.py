"""The figures of chapter 8."""
