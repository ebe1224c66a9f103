"""The noise scale of a model's training and the batch size that it advises."""
