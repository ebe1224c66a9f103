from .entropic import sinkhorn as sinkhorn
from .entropic import sinkhorn_divergence as sinkhorn_divergence
from .exact import optimal_transport as optimal_transport
from .exact import wasserstein as wasserstein
from .gaussians import gaussian_wasserstein as gaussian_wasserstein
from .line import wasserstein_1d as wasserstein_1d
from .problem import Transport as Transport
from .problem import cost_matrix as cost_matrix
