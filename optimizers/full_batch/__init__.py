"""Optimizers that evaluate the loss of all examples: BFGS, L-BFGS and conjugate gradients."""
