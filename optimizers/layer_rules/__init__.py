"""For each kind of layer: its blocks of the Fisher matrix and its per-example gradient norms."""
