"""The gradient noise scale: a callback that measures it, its estimators, and an adaptive batch size."""
