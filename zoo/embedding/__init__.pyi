from .analysis import LatentSemanticAnalysis as LatentSemanticAnalysis
from .analysis import latent_semantic_analysis as latent_semantic_analysis
from .analysis import ppmi_vectors as ppmi_vectors
from .word_vectors import WordVectors as WordVectors
