"""Tokens: byte-pair encoding merge by merge, and what it does to a model's loss per byte."""

import re
from collections import Counter
from itertools import pairwise

import numpy as np

from ... import nn, tokenizer
from ...nn.data import EvalBatches
from ..data import standard_library
from ..look import BLUE, INK
from ..section import Page, section

SENTENCE = "she sells sea shells by the sea shore"
MERGES = 6
LINE = "    return sorted(self.items())"
VOCABULARIES = (256, 512, 1024, 2048, 4096)
CONTEXT, BATCH, BUDGET = 64, 8, 500_000

Pair = tuple[int, int]


def count_pairs(words: list[list[int]]) -> Counter[Pair]:
    """How often each pair of tokens stands side by side within a word."""
    return Counter(pair for word in words for pair in pairwise(word))


def merge(word: list[int], pair: Pair, new: int) -> list[int]:
    """The word with each occurrence of the pair made one token, from the left."""
    merged: list[int] = []
    for token in word:
        if merged and (merged[-1], token) == pair:
            merged[-1] = new
        else:
            merged.append(token)
    return merged


def show(word: list[int], vocabulary: list[bytes]) -> str:
    """A word's tokens, with dots between them and spaces made visible."""
    return "·".join(vocabulary[token].decode(errors="replace").replace(" ", "␣") for token in word)


def step_by_step(text: str, merges: int, vocabulary: list[bytes]) -> tuple[list[Pair], list[list[str]]]:
    """Learns so many merges, which go to the end of the vocabulary; and what was seen on the way."""
    words = [[vocabulary.index(bytes([byte])) for byte in word.encode()] for word in re.findall(" ?[a-z]+", text)]
    learnt, seen = [], [state("", "", words, vocabulary)]
    for _ in range(merges):
        counts = count_pairs(words)
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        vocabulary.append(vocabulary[pair[0]] + vocabulary[pair[1]])
        words = [merge(word, pair, len(vocabulary) - 1) for word in words]
        learnt.append(pair)
        seen.append(state(f"`{show(list(pair), vocabulary)}`", str(counts[pair]), words, vocabulary))
    return learnt, seen


def state(pair: str, times: str, words: list[list[int]], vocabulary: list[bytes]) -> list[str]:
    """A row of the table of merges."""
    return [pair, times, str(sum(map(len, words))), f"`{' '.join(show(word, vocabulary) for word in words)}`"]


def learn(tok: tokenizer.Tokenizer, train: np.ndarray, bytes_per_token: float) -> tuple[nn.LanguageModel, float]:
    """A small recurrent model that has read the budget of bytes in these tokens; and the seconds that it took."""
    model = nn.RecurrentLanguageModel(nn.RecurrentConfig(tok.vocab_size, CONTEXT, layers=1, width=128))
    steps = round(BUDGET / (BATCH * CONTEXT * bytes_per_token))
    config = nn.TrainConfig(steps=steps, batch_size=BATCH, lr=1e-2, min_lr=5e-4, warmup=30, eval_every=0)
    trainer = nn.Trainer(model, config, train)
    trainer.fit()
    return model, trainer.elapsed


def draw(page: Page, found: list[tuple[float, float, float]]) -> None:
    """What each vocabulary does to the length of a token and to the loss per byte."""
    with page.figure("vocabularies", 6, 3) as figure:
        sizes, _, bits = zip(*found, strict=True)
        for axes, values, label in zip(
            figure.subplots(1, 2), (sizes, bits), ("bytes per token", "loss, bits per byte"), strict=True
        ):
            axes.plot(VOCABULARIES, values, "o-", color=BLUE)
            axes.set_xscale("log", base=2)
            axes.set_xticks(VOCABULARIES, VOCABULARIES)
            axes.set(xlabel="tokens in the vocabulary", ylabel=label)
            axes.annotate("bytes", (VOCABULARIES[0], values[0]), (8, -3), textcoords="offset points", color=INK)


@section
def tokens(page: Page) -> None:
    """Tokens: byte-pair encoding merge by merge, and what it does to a model's loss per byte."""
    library = tokenizer.BPETokenizer.train(SENTENCE, 256 + MERGES, special_tokens=())
    learnt, seen = step_by_step(SENTENCE, MERGES, library.token_bytes[:256])
    same = np.array_equal(learnt, library.merges)
    page.claim("the merges are those that octavo's tokenizer learns", same)
    page.table("merges", ["pair", "times", "tokens", "the sentence"], seen)

    texts = standard_library()
    text = "".join(texts.val)
    rows, cuts, found = [], [], []
    for vocabulary in page.progress(VOCABULARIES, "vocabularies"):
        tok = tokenizer.train("bpe", texts.train[:200], vocab_size=vocabulary, special_tokens=())
        train, held_back = tok.encode_batch(texts.train)[0], tok.encode(text)
        model, seconds = learn(tok, train, sum(len(text.encode()) for text in texts.train) / len(train))
        score = nn.evaluate(model, EvalBatches(held_back, 32, CONTEXT), len(text.encode()) / len(held_back))
        a, b, c = score.bytes_per_token, score.perplexity, score.bits_per_byte
        found.append((a, b, c))
        rows.append(
            [f"{vocabulary:,}", f"{a:.2f}", f"{model.num_parameters():,}", f"{seconds:.1f}", f"{b:.1f}", f"{c:.2f}"]
        )
        cuts.append([f"{vocabulary:,}", f"`{show(tok.encode(LINE).tolist(), tok.token_bytes)}`"])
    page.table("models", ["tokens", "bytes per token", "parameters", "seconds", "perplexity", "bits per byte"], rows)
    page.table("cuts", ["tokens", "a line of code"], cuts)
    lengths, perplexities, bits = zip(*found, strict=True)
    page.claim("a larger vocabulary has longer tokens", list(lengths) == sorted(lengths))
    page.claim("and a higher perplexity", list(perplexities) == sorted(perplexities))
    page.claim(
        "of bytes the loss per byte is higher than with any merges, by more than 0.08 bits",
        bits[0] > max(bits[1:]) + 0.08,
    )
    page.tell(budget=BUDGET, merges=MERGES, context=CONTEXT, lengths=lengths, bits=bits, perplexities=perplexities)
    page.tell(vocabularies=VOCABULARIES)
    draw(page, found)
