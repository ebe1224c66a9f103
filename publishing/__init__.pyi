from . import accounting as accounting
from . import cards as cards
from . import files as files
from . import measures as measures
from . import page as page
from . import saved_model as saved_model
from .accounting import account as account
from .saved_model import load as load
