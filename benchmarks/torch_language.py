"""nanoGPT's Transformer, an LSTM and GPT-2 in PyTorch: training steps and generation to compare with.

The Transformer has nanoGPT's architecture (https://github.com/karpathy/nanoGPT): learned positions, pre-norm
blocks, GELU, PyTorch's fused causal attention, maps without biases, and the embedding as the last map.

B batch, T positions, D features, V vocabulary.
"""

import time

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    """Causal multi-head attention with one map for queries, keys and values."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.inputs = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        """Returns the outputs, [B, T, D]."""
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        q, k, v = (part.view(shape).transpose(1, 2) for part in self.inputs(x).split(width, dim=2))
        dropout = self.dropout if self.training else 0.0
        x = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        return self.drop(self.output(x.transpose(1, 2).reshape(batch, length, width)))


class Block(nn.Module):
    """A pre-norm Transformer block."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width, bias=False),
            nn.GELU(),
            nn.Linear(4 * width, width, bias=False),
            nn.Dropout(dropout),
        )

    def forward(self, x):
        """Returns the outputs, [B, T, D]."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed_forward(self.feed_forward_norm(x))


class NanoGPT(nn.Module):
    """A decoder: tokens [B, T] to logits [B, T, V]."""

    def __init__(self, vocabulary, context, num_layers, width, heads, dropout=0.0):
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)
        self.apply(_initialize)

    def forward(self, tokens, last=False):
        """Returns the logits, of the last position only if `last`."""
        x = self.drop(self.embedding(tokens) + self.positions(torch.arange(tokens.shape[1])))
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return functional.linear(x[:, -1:] if last else x, self.embedding.weight)

    @torch.no_grad()
    def generate(self, tokens, max_new_tokens):
        """Continues tokens as nanoGPT does: reads the last `context` tokens again for every new one."""
        for _ in range(max_new_tokens):
            logits = self(tokens[:, -self.context :], last=True)[:, -1]
            new = torch.multinomial(functional.softmax(logits, dim=-1), num_samples=1)
            tokens = torch.cat((tokens, new), dim=1)
        return tokens


def _initialize(module):
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


class LSTM(nn.Module):
    """An embedding, LSTM layers and a map to logits."""

    def __init__(self, vocabulary, num_layers, width):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, num_layers, batch_first=True)
        self.logits = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        """Returns the logits, [B, T, V]."""
        return self.logits(self.lstm(self.embedding(tokens))[0])


def training_step(model, vocabulary, case, compiled):
    """Returns a function without arguments that takes a training step.

    Args:
        model: A module from tokens to logits.
        vocabulary: Size V of the vocabulary.
        case: `batch` and `context`, the numbers B of rows and T of positions.
        compiled: Whether `torch.compile` compiles the model.
    """
    tokens = torch.randint(0, vocabulary, (8, case["batch"], case["context"] + 1))
    # As in nanoGPT, only matrices decay.
    decays = {True: 0.1, False: 0.0}
    groups = [
        {"params": [p for p in model.parameters() if (p.dim() >= 2) == matrix], "weight_decay": decay}
        for matrix, decay in decays.items()
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], 1e-3)
    function = torch.compile(model) if compiled else model
    state = {"step": 0}

    def step():
        batch = tokens[state["step"] % len(tokens)]
        state["step"] += 1
        logits = function(batch[:, :-1].contiguous())
        loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def gpt2(vocabulary, case):
    """Returns a new GPT-2 of transformers with our sizes and GELU."""
    import transformers

    config = transformers.GPT2Config(
        vocab_size=vocabulary,
        n_positions=case["context"],
        n_embd=case["width"],
        n_layer=case["num_layers"],
        n_head=case["heads"],
        activation_function="gelu",
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    return transformers.GPT2LMHeadModel(config).eval()


def generation(model, case):
    """Returns a function that generates tokens once, by sampling at temperature 1.

    Args:
        model: A `NanoGPT` or what `gpt2` returned.
        case: `batch`, the number of rows, and `tokens`, the number of new tokens.
    """
    prompts = torch.arange(case["batch"])[:, None]
    if isinstance(model, NanoGPT):
        return lambda: len(model.generate(prompts, case["tokens"]))
    settings = {"do_sample": True, "top_k": 0, "use_cache": True}
    tokens = {"max_new_tokens": case["tokens"], "min_new_tokens": case["tokens"]}

    def run():
        return len(model.generate(prompts, attention_mask=torch.ones_like(prompts), **settings, **tokens))

    return run


def times_by_position(model, case):
    """Returns a function that returns seconds per token, by position.

    Args:
        model: A `NanoGPT`.
        case: `context`, and `every`, after how many positions a token is measured.
    """

    def run():
        times = []
        for position in range(case["every"], case["context"], case["every"]):
            tokens = torch.zeros(1, position, dtype=torch.long)
            begin = time.perf_counter()
            for _ in range(4):
                model.generate(tokens, 1)
            times.append((time.perf_counter() - begin) / 4)
        return times

    return run


def measured(kind, case, variant, vocabulary):
    """Returns the function that a variant measures, and the number of parameters.

    Args:
        kind: `training`, `generation` or `positions`.
        case: The sizes of the model and of its inputs.
        variant: `torch`, the model's name: `nanogpt`, `lstm` or `gpt2`; and `compiled`.
        vocabulary: Size V of the vocabulary.
    """
    torch.manual_seed(0)
    if variant["torch"] == "gpt2":
        model = gpt2(vocabulary, case)
    elif variant["torch"] == "lstm":
        model = LSTM(vocabulary, case["num_layers"], case["width"])
    else:
        sizes = {key: case[key] for key in ("context", "num_layers", "width", "heads", "dropout")}
        model = NanoGPT(vocabulary, **sizes)
    parameters = sum(p.numel() for p in model.parameters())
    if kind == "training":
        return training_step(model.train(), vocabulary, case, variant.get("compiled", False)), parameters
    measure = generation if kind == "generation" else times_by_position
    return measure(model.eval(), case), parameters
