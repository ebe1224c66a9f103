from .model import LanguageModel as LanguageModel
from .recurrent import RecurrentLanguageModel as RecurrentLanguageModel
from .transformer import TransformerLanguageModel as TransformerLanguageModel
from .translator import Translator as Translator
