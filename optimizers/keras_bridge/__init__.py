"""Everything that touches Keras's internals: attaching optimizers to models, recording layers, kernels."""
