from . import autoencoder as autoencoder
from . import model as model
from . import vae as vae
from .autoencoder import Autoencoder as Autoencoder
from .model import DensityModel as DensityModel
from .model import GenerativeModel as GenerativeModel
from .vae import VAE as VAE
