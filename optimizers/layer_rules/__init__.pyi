from . import block as block
from . import blocks as blocks
from . import per_example as per_example
from .block import Block as Block
from .blocks import blocks_of as blocks_of
