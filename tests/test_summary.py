"""`nn.summary`: counts against those made by hand."""

import numpy as np

from octavo import nn


def test_a_gpt_adds_up():
    layers, heads, width, vocabulary, batch, time = 2, 2, 16, 50, 3, 8
    model = nn.GPT(nn.GPTConfig(vocabulary, 8, layers, heads, width, dropout=0.5))
    model.train()
    rows = nn.summary(model, np.zeros((batch, time), np.int64))
    whole, by_name = rows[0], {row.name: row for row in rows}
    assert model.training
    assert whole.parameters == model.num_parameters() and whole.bytes == 4 * model.num_parameters()
    assert whole.shape == (batch, time, vocabulary) and whole.kind == "GPT"
    tokens = batch * time
    attention = 4 * batch * width * time * (time + 1) // 2
    block = 2 * tokens * 12 * width * width + attention
    assert by_name["h.0"].flops == by_name["h.1"].flops == block
    assert by_name["h.1.norm2"].shape == (batch, time, width)
    assert whole.flops == layers * block + 2 * tokens * width * vocabulary
    assert by_name["h.1.attn.qkv"].shape == (batch, time, 3 * width)
    assert by_name["h.1.attn.qkv"].parameters == 3 * width * (width + 1)
    lines = str(rows).splitlines()
    assert lines[0].split() == ["module", "output", "parameters", "bytes", "FLOPs"]
    assert lines[5].startswith("  h.0 Block ") and lines[6].startswith("    norm1 LayerNorm ")


def test_a_convolution_counts_every_window():
    rows = nn.summary(nn.Conv2d(3, 8, 3, stride=2, padding=1), np.ones((2, 3, 7, 6), np.float32))
    assert rows == [("", "Conv2d", (2, 8, 4, 3), 8 * 28, 4 * 8 * 28, 2 * (2 * 4 * 3) * (8 * 27))]


def test_without_a_call_there_are_only_parameters():
    rows = nn.summary(nn.Linear(3, 5))
    assert rows == [("", "Linear", None, 20, 80, 0)]


def test_a_module_that_is_used_twice_counts_both_calls():
    class Twice(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(self.layer(x)) @ x.T

    rows = nn.summary(Twice(), np.ones((2, 4), np.float32))
    assert [row.flops for row in rows] == [2 * 2 * 4 * 4 * 2 + 2 * 2 * 4 * 2, 2 * 2 * 4 * 4 * 2]
    assert rows[0].parameters == rows[1].parameters == 20
