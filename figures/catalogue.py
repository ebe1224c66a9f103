"""Which figure belongs to which section of the notes, and what its caption says."""

from collections.abc import Callable
from dataclasses import dataclass

from ..studies import optimizer_comparison as comparison
from .chapter1 import differentiation
from .chapter2 import divergences, geometry, information, landauer, maxent, sne
from .chapter3 import calibration, cumulants, estimators, noise2noise, robust_regression, sampling, transport
from .chapter3 import robust_regression_measurement as regression
from .chapter4 import descent, natural_gradient, noise_scale, optimizer_comparison
from .chapter5 import propagation


@dataclass(frozen=True)
class Picture:
    """One figure of a section.

    Args:
        section: The section's number.
        name: Name of its file.
        draw: Computes and draws it: returns a `matplotlib.figure.Figure`, or (figure, (header, rows)) where a
            table belongs to it.
        caption: What is seen, with the numbers of its equations.
    """

    section: str
    name: str
    draw: Callable
    caption: str


def _robust_regression():
    """The figure and the table of one measurement."""
    result = regression.measure()
    return robust_regression.draw(result), regression.table(result)


def _optimizer_comparison():
    """The figure and the table of one measurement."""
    results = [comparison.measure(problem) for problem in comparison.PROBLEMS]
    return optimizer_comparison.draw(results), comparison.table(results)


TITLES = {
    "1": "A brief conceptual tour",
    "1.4": "Algorithmic differentiation",
    "2": "Information theory",
    "2.1": "Entropy",
    "2.3": "Relative entropy and the Fisher metric",
    "2.4": "Maximum entropy",
    "2.6": "t-SNE",
    "2.7": "Limits on computation",
    "3": "Probability and maximum likelihood",
    "3.2": "The central limit theorem",
    "3.3": "Estimators, bias and variance",
    "3.4": "Why optimize a particular loss function?",
    "3.5": "Random sampling inside networks",
    "3.6": "Distances between probability distributions",
    "4": "Optimization",
    "4.3": "Momentum",
    "4.4": "RMSProp and Adam",
    "4.5": "Batch size and the gradient noise scale",
    "4.6": "Natural gradients",
    "4.7": "More on second-order methods",
    "5": "Architectures",
    "5.1": "Propagation of information",
}


PICTURES = (
    Picture(
        "1.4",
        "differentiation",
        differentiation.draw,
        "Error of finite differences against their step, Eq. 1.4.1 and 1.4.2: truncation on the right, "
        "rounding on the left. The complex step has no rounding error; automatic differentiation has "
        "neither.",
    ),
    Picture(
        "2.1",
        "entropy",
        information.draw_entropy,
        "The entropy of a coin (Eq. 2.1.9, black) and the exact log number of sequences with a share p of "
        "heads, per toss (left of Eq. 2.1.8). The counts stay below the entropy and approach it as N "
        "grows.",
    ),
    Picture(
        "2.3",
        "kl_rate",
        information.draw_kl_rate,
        "Left: the exact log probability per toss that models q = 0.35, 0.5 and 0.7 give to data with a "
        "share p = 0.2 of heads approaches minus the KL divergence (Eq. 2.3.1). Right: what is missing is "
        "the same for every q, the root that Eq. 2.1.8 drops from Stirling's formula (line).",
    ),
    Picture(
        "2.3",
        "kl_fits",
        divergences.draw_fits,
        "One Gaussian q fitted to a density p with two bumps by either relative entropy, Eq. 2.3.3. The "
        "forward one, D(p||q), is least where q has the mean and variance of p and covers both bumps; the "
        "reverse one, D(q||p), has a minimum on each bump (squares and triangles in the landscape), at "
        "about minus the log of the bump's weight.",
    ),
    Picture(
        "2.3",
        "geodesics",
        geometry.draw_geodesics,
        "Gaussians with the Fisher metric form a hyperbolic half-plane (Eq. 2.3.10): geodesics (blue, "
        "with their lengths) are half ellipses that detour through broad densities, and a circle of given "
        "distance (solid) is as large as its sigma; its Fisher ellipse (dotted) is the local "
        "approximation. Right: widening a narrow Gaussian, moving it and narrowing it again is a shorter "
        "way than sliding it along the straight line.",
    ),
    Picture(
        "2.3",
        "kl_and_length",
        geometry.draw_kl_and_length,
        "Left, the KL divergences of n small steps along a geodesic add up to L^2 / (2n) and vanish (Eq. "
        "2.3.9), while their roots sqrt(2 D) add up to the length L (Eq. 2.3.10); points measured, lines "
        "the limits. Right, for one big step (Eq. 2.3.13) both divergences and L^2 / 2 agree to second "
        "order only.",
    ),
    Picture(
        "2.4",
        "die",
        maxent.draw_die,
        "Maximum entropy for a die of given mean throw (Eqs. 2.4.1 to 2.4.3): the weights are exponential "
        "in the points, straight lines here, and the multiplier beta is positive below the fair die's "
        "3.5, negative above it, and infinite at 1 and 6. Points are the solver's, the line on the right "
        "is the closed form of the mean.",
    ),
    Picture(
        "2.4",
        "maximum_entropy",
        maxent.draw_densities,
        "Densities of maximum entropy on a grid with mean zero: a fixed variance gives the Gaussian (Eqs. "
        "2.4.6 to 2.4.8), a fixed mean distance the Laplace density with its straight tails. Points are "
        "solved by the dual, lines are the closed forms.",
    ),
    Picture(
        "2.6",
        "sne",
        sne.draw,
        "scikit-learn's 1,797 handwritten digits in the plane, colored by digit, at perplexity 30 and "
        "from the same principal components. Left, SNE, Eq. 2.6.1 to 2.6.4: the Gaussian q of Eq. 2.6.2 "
        "crowds the digits together. Right, t-SNE, whose Student-t kernel lets them move apart.",
    ),
    Picture(
        "2.6",
        "perplexity",
        sne.draw_bandwidths,
        "Eq. 2.6.4 gives every point as many neighbors, here a perplexity of 15. Left, a cloud of three "
        "densities with the widths of Eq. 2.6.1 as circles of one standard deviation; right, the "
        "perplexity of three points against that width, from one neighbor to all N − 1.",
    ),
    Picture(
        "2.7",
        "landauer",
        landauer.draw,
        "The energy of one operation of real machines and the least heat of erasing its result (Eqs. "
        "2.7.3 and 2.7.6). The notes' GPU of 250 W and 10^14 operations a second is 5 x 10^7 times above "
        "the limit; adding on bare 45 nm silicon, without fetching the operands, 10^6 times.",
    ),
    Picture(
        "3.2",
        "cumulant_scaling",
        cumulants.draw_scaling,
        "Cumulants of the normalized sum of N independent copies, from the convolved densities (points, "
        "Eqs. 3.2.10 and 3.2.11), fall as N^(1 - n/2) (lines, Eq. 3.2.14). Only the variance stays.",
    ),
    Picture(
        "3.2",
        "central_limit",
        cumulants.draw_densities,
        "Densities of normalized sums of 1, 2, 4 and 16 copies (Eqs. 3.2.10 and 3.2.14) approach the "
        "Gaussian: fast for the symmetric uniform law, as the root of N for the skewed exponential one.",
    ),
    Picture(
        "3.3",
        "bessel",
        estimators.draw_bessel,
        "Bias and standard deviation of the estimated variance of N Gaussian examples, divided by N (Eq. "
        "3.3.6) or by N - 1 (Eq. 3.3.8); points are simulated, lines the closed forms of Eqs. 3.3.7 and "
        "3.3.14. Bessel's correction buys the missing bias with a larger spread.",
    ),
    Picture(
        "3.3",
        "noise2noise",
        noise2noise.draw,
        "Test digits under two kinds of noise, and what two networks make of them that were trained on "
        "pairs of noisy images only (Sec. 3.3.4): Gaussian noise with squared error, whose best answer is "
        "the mean; randomly replaced pixels with absolute error, whose best answer is the median.",
    ),
    Picture(
        "3.4",
        "cramer_rao",
        estimators.draw_cramer_rao,
        "N times the variance of estimators of a location, simulated (points) and exact (lines), beside "
        "the Cramér-Rao bound (Eq. 3.4.13). A Gaussian's mean attains it at every N; maximum likelihood "
        "comes down to it for Laplace and Cauchy data only as N grows, and the median of a Gaussian never "
        "does.",
    ),
    Picture(
        "3.4",
        "robust_regression",
        _robust_regression,
        "Lines through 400 points with Gaussian, Laplace and Cauchy errors, fitted by four likelihoods "
        "together with their scales (Eqs. 3.4.15-3.4.19), over 1,500 data sets each. The likelihood of "
        "the errors themselves (framed) has the smallest error of the line, close to the Cramér-Rao "
        "bound, and finds new points the most likely; under Cauchy errors the lines of least squares, and "
        "of Huber's likelihood with a fitted scale, have no mean square error at all.",
    ),
    Picture(
        "3.4",
        "calibration",
        calibration.draw,
        "Accuracy against confidence of a network trained on 60 digits, Eq. 3.4.20. Fitted by maximum "
        "likelihood it is calibrated on those digits and too sure of new ones; a temperature T fitted on "
        "further digits, or a Gaussian prior on the weights (Eq. 3.4.7), brings it back to the diagonal. "
        "The numbers are expected calibration errors.",
    ),
    Picture(
        "3.5",
        "gumbel",
        sampling.draw_gumbel,
        "Adding Gumbel noise to logits and taking the argmax (Eq. 3.5.3) draws from their softmax (Eq. "
        "3.5.2). The softened argmax (Eq. 3.5.7) fills the simplex at small beta and moves to its corners "
        "as beta grows; its mean (dot) is not p (star) but tends to it.",
    ),
    Picture(
        "3.5",
        "gradient_estimators",
        sampling.draw_gradient_estimators,
        "Gradients of an expectation over four categories: with beta the bias of Gumbel-softmax (Eq. "
        "3.5.7) falls and its variance grows, so the best beta depends on the number of samples; "
        "straight-through stays biased, the score function is unbiased and needs a baseline. Lower right: "
        "for a Gaussian (Eq. 3.5.1) reparameterization keeps its variance in any dimension (points "
        "measured, lines closed form).",
    ),
    Picture(
        "3.6",
        "f_divergences",
        divergences.draw_family,
        "Left, the generators f(u) of the f-divergences of Sec. 3.6, scaled to f''(1) = 1, with their "
        "common parabola; it is chi^2 itself. Right, the divergences of two shifted Gaussians over the "
        "form that the Fisher matrix of Eq. 2.3.7 gives: all agree at small distances except total "
        "variation, whose generator has a corner.",
    ),
    Picture(
        "3.6",
        "transport",
        transport.draw,
        "The earth mover's plan between a ring and two lumps (Sec. 3.6), exact and by Sinkhorn's "
        "algorithm: entropy spreads every point's mass. The cost of Sinkhorn's plan is above the exact "
        "one, the debiased divergence below; both tend to it as the regularization falls.",
    ),
    Picture(
        "4.3",
        "momentum",
        descent.draw_momentum,
        "Left, the rate of Eq. 4.3.8 against ε λ: SGD (m = 0) has the three phases of Eqs. 4.3.4 and "
        "4.3.5, momentum plateaus √m whose ends (dots) are e₊ = e₋. Right, the same over ε λ and m with "
        "critical damping (white, Eq. 4.3.10), the bound of Eq. 4.3.9 (black) and the best choice for κ = "
        "100 (orange, Eq. 4.3.13): the lowest plateau as wide as the spectrum.",
    ),
    Picture(
        "4.3",
        "three_stage",
        descent.draw_three_stage,
        "Can a third stage take the cube root of the condition number? Left, the best rules of one, two "
        "and three stages found by search (Eq. 4.3.14 and after): on two eigenvalues the K-th root of κ, "
        "on an interval never more than the square root. Right, why: the rule with the cube root at both "
        "eigenvalues diverges between them, where momentum keeps its rate.",
    ),
    Picture(
        "4.4",
        "rmsprop",
        descent.draw_rmsprop,
        "Left, RMSProp's way down λ θ² is nearly that of SGD on |θ| for every λ (Eq. 4.4.6), unlike "
        "SGD's. Right, with λ = 1 and |θ| = 100 ε at the start: a memory shorter than the way ends in an "
        "oscillation of ±ε/2; with longer ones (β = 0.99, 0.999) θ first falls exponentially, far below "
        "ε.",
    ),
    Picture(
        "4.5",
        "noise_scale",
        noise_scale.draw_noise_scale,
        "The best step (left) and the best gain in the loss (right) of one SGD step against the batch "
        "size, in units of the noiseless ones (Eqs. 4.5.6 and 4.5.7). Points are 4,000 simulated batches "
        "each at one point of a quadratic loss; the dotted lines are the two regimes, which meet at the "
        "turnover B = B_noise (Eq. 4.5.8), where half is reached.",
    ),
    Picture(
        "4.5",
        "trade_off",
        noise_scale.draw_trade_off,
        "Left: steps and examples that SGD takes to 5 % of the first loss on a noisy quadratic, at batch "
        "sizes from 2 to 2,048, each at its best constant rate; the hyperbola of Eq. 4.5.11 is fitted in "
        "log space and gives B_crit (Eq. 4.5.12). Right: the same divided by the hyperbola, which holds "
        "to 10 %; B_crit lies within a factor of 2.5 of B_noise averaged over the noiseless training.",
    ),
    Picture(
        "4.6",
        "natural_gradient",
        natural_gradient.draw_coordinates,
        "A Gaussian fitted by descent in four coordinate systems (square: start, star: maximum "
        "likelihood, contours: KL divergence). Gradient descent goes another way in each (Eq. 4.6.3; "
        "ε = 0.02, dots every 50 steps), the natural gradient one way in all (Eq. 4.6.17), which is that "
        "of the closed form. Right, after one step the models differ by as much as the step is long for "
        "gradient descent, but by a share proportional to ε (dashed) for the natural gradient.",
    ),
    Picture(
        "4.6",
        "empirical_fisher",
        natural_gradient.draw_empirical_fisher,
        "Least squares of a line as in Kunstner et al. (2019), 60 steps of ε = 0.3 from three starts. The "
        "natural gradient goes straight to the minimum. The empirical Fisher (Eq. 4.6.18) is not a Fisher "
        "matrix: its steps are small where the loss is high, four times too long at the minimum (the "
        "noise has a variance of 1/4, the model believes 1), and its directions (arrows) go astray.",
    ),
    Picture(
        "4.7",
        "optimizer_comparison",
        _optimizer_comparison,
        "The training loss of fourteen optimizers on all 1,797 digits of scikit-learn in every batch, from "
        "the same weights: first-order rules and evolution at the best of four learning rates, the others at "
        "their defaults. Above, a classifier, whose loss falls to zero; below, an autoencoder through six "
        "numbers, with its loss above the entropy of the pixels. Left against steps (an iteration of a "
        "full-batch method is one), right against seconds without compilation. Sections 4.1 to 4.7.",
    ),
    Picture(
        "5.1",
        "propagation",
        propagation.draw,
        "Second moments of activations and gradients against depth, Eq. 5.1.6 to 5.1.15: points are "
        "measured on random networks, lines are the theory.",
    ),
)
