"""Curvature matrices of a loss as linear operators, and algorithms that need only products with them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["distributions", "lanczos", "operators", "products", "solvers", "trace", "vector_products"],
    submod_attrs={
        "distributions": ["OutputDistribution", "output_distribution"],
        "lanczos": ["SpectralDensity", "Spectrum", "lanczos_spectrum", "spectral_density"],
        "operators": ["EmpiricalFisher", "Fisher", "GaussNewton", "Hessian"],
        "solvers": ["Solution", "conjugate_gradients"],
        "trace": ["TraceEstimate", "hutchinson_trace"],
        "vector_products": [
            "empirical_fisher_vector_product",
            "fisher_vector_product",
            "gauss_newton_vector_product",
            "hessian_vector_product",
        ],
    },
)
