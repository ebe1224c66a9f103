"""Classifiers of images: softmax regression, fully connected, convolutional and residual networks."""
