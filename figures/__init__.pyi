from . import catalogue as catalogue
from . import page as page
