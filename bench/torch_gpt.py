"""A GPT's training step in plain PyTorch, and its decoding in transformers: the peers of `octavo_gpt.py`."""

from collections.abc import Callable

import numpy as np
import torch
from place import DEVICE
from shapes import Shape
from torch import nn
from torch.nn import functional as F

NAMES = {  # of modules here, by Octavo's
    "wte": "tokens",
    "wpe": "positions",
    "h": "blocks",
    "attn.qkv": "qkv",
    "attn.proj": "out",
    "mlp.fc": "up",
    "mlp.proj": "down",
}


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.layers))
        self.norm = Norm(shape.width)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy((self.norm(x) @ self.tokens.weight.T).flatten(0, 1), targets.flatten())


def make_step(shape: Shape, precision: str = "float32", compiled: bool = False) -> Callable[[], None]:
    """A function that runs one step: loss, with autocast where the precision is bf16; gradients, clipping, AdamW."""
    torch.manual_seed(0)
    step = _learner(GPT(shape).to(DEVICE), precision, compiled)
    batch = shape.tokens()

    def call() -> None:
        step(*batch)

    return call


def losses(shape: Shape, rates: list[float], precision: str) -> list[float]:
    """Of steps on random walks at these learning rates, from Octavo's initial weights."""
    from octavo_gpt import initial

    weights = {}
    for name, parameter in initial(shape).named_parameters():
        for ours, here in NAMES.items():
            name = name.replace(f"{ours}.", f"{here}.")
        weights[name] = torch.from_numpy(parameter.numpy())
    model = GPT(shape)
    model.load_state_dict(weights)
    step = _learner(model, precision)
    return [step(*batch, lr).item() for batch, lr in zip(shape.walks(len(rates)), rates, strict=True)]


def _learner(model: GPT, precision: str = "float32", compiled: bool = False) -> Callable[..., torch.Tensor]:
    """A step of training on inputs and targets: the loss before it."""
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    if compiled:
        model.compile()

    def step(inputs: np.ndarray, targets: np.ndarray, lr: float = 1e-3) -> torch.Tensor:
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad(set_to_none=True)
        ids, following = (torch.from_numpy(x).to(DEVICE) for x in (inputs, targets))
        with torch.autocast(DEVICE, torch.bfloat16, enabled=precision == "bf16"):
            loss = model(ids, following)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    return step


def make_decode(shape: Shape, precision: str = "float32") -> Callable[[], torch.Tensor]:
    """A function that continues a prompt, taking the most probable token each time."""
    from transformers import GPT2Config, GPT2LMHeadModel

    s, no_stop = shape, {"bos_token_id": None, "eos_token_id": None}
    sizes = {"n_layer": s.layers, "n_head": s.heads, "n_embd": s.width, "n_positions": s.context}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=s.vocabulary, **sizes, **no_stop)).eval()
    if precision == "bf16":
        model = model.to(torch.bfloat16)
    ids, count = shape.decoding()
    prompt = torch.from_numpy(ids)[None]
    options = {"max_new_tokens": count, "do_sample": False, "use_cache": True, "pad_token_id": 0}
    return lambda: model.generate(prompt, attention_mask=torch.ones_like(prompt), **options)
