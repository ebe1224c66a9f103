"""The gradient noise scale as a callback, its estimators, and a batch size that follows it."""
