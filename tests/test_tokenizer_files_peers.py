"""The same ids as tokenizers and tiktoken, from files that they wrote and from files that we wrote."""

import random

import pytest

from octavo import tokenizer
from octavo.tokenizer import BPETokenizer, huggingface, tiktoken
from octavo.tokenizer.patterns import find

pytestmark = pytest.mark.peers

WORDS = [
    "we'll",
    "It'S",
    "12345",
    "  ",
    "\r\n",
    "\n \n",
    "\t",
    "日本語",
    "данные",
    "e\u0301te\u0301",
    "\u212b",
    "x=1;",
    "🇪🇺",
    "--/\n",
]
SPECIAL = ["<|begin|>", "<|end|>"]


def text_of(seed, n=600):
    draw = random.Random(seed)
    names = WORDS + ["".join(draw.choices("etaoinshrdlu", k=draw.randint(1, 9))) for _ in range(80)]
    return "".join(draw.choice(names) + draw.choice(["", " ", " ", "\n"]) for _ in range(n))


TEXT = text_of(1, 4000)
SAMPLES = [text_of(2), "", " ", "a <tool>b<|end|> c<|begin|>", "<tool>\u0338<tool> \u212b", "  \n \n  "]


@pytest.fixture(scope="module", params=["gpt2", "cl100k", "o200k", "llama3", "qwen2", r"\p{L}+|\P{L}"])
def trained(request):
    return BPETokenizer.train(TEXT, 700, pattern=request.param, special_tokens=SPECIAL)


def with_everything(trained, **options):
    n = trained.vocab_size
    return BPETokenizer(
        [*trained.token_bytes, b"", b"<tool>"],
        trained.merges,
        trained.special_tokens,
        pattern=trained.pattern,
        added_tokens={"<tool>": n + 1},
        normalizer="NFC",
        begin=[n - 2],
        **options,
    )


def check_against_tokenizers(ours, path):
    from tokenizers import Tokenizer

    theirs = Tokenizer.from_file(str(path))
    assert theirs.get_vocab_size(with_added_tokens=True) == sum(map(bool, ours.token_bytes))
    for text in SAMPLES:
        ids = theirs.encode(text).ids
        assert ours.encode(text, allowed_special="all", begin=True).tolist() == ids
        assert ours.encode(text, allowed_special="all").tolist() == theirs.encode(text, add_special_tokens=False).ids
        assert theirs.decode(ids, skip_special_tokens=False) == ours.decode(ids)


def test_tokenizers_reads_what_we_write(trained, tmp_path):
    path = tmp_path / "tokenizer.json"
    ranks = BPETokenizer(trained.token_bytes, None, trained.special_tokens, pattern=trained.pattern, whole_words=True)
    for ours in (trained, with_everything(trained), with_everything(trained, whole_words=True), ranks):
        huggingface.export(ours, path)
        check_against_tokenizers(ours, path)
        check_against_tokenizers(tokenizer.load(path), path)


@pytest.mark.parametrize("style", ["gpt2", "llama3", "qwen2"])
def test_we_read_what_tokenizers_writes(style, tmp_path):
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    theirs = Tokenizer(models.BPE(ignore_merges=style == "llama3"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=style == "gpt2")
    split = pre_tokenizers.Split(Regex(find(style).oniguruma), "isolated")
    theirs.pre_tokenizer = byte_level if style == "gpt2" else pre_tokenizers.Sequence([split, byte_level])
    theirs.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    theirs.train_from_iterator(
        [TEXT], trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    )
    theirs.add_special_tokens([AddedToken(text, normalized=False) for text in SPECIAL])
    theirs.add_tokens([AddedToken("<tool>", normalized=False)])
    if style == "qwen2":
        theirs.normalizer = normalizers.NFC()
    template = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 600)])
    theirs.post_processor = template if style == "llama3" else processors.ByteLevel(trim_offsets=False)
    path = tmp_path / "tokenizer.json"
    theirs.save(str(path))
    ours = tokenizer.load(path)
    assert ours.pattern == style
    check_against_tokenizers(ours, path)
    ours.save(path)
    check_again = tokenizer.load(path)
    for text in SAMPLES:
        assert check_again.encode(text).tolist() == ours.encode(text).tolist()


def test_transformers_reads_what_we_write(trained, tmp_path):
    from transformers import PreTrainedTokenizerFast

    huggingface.export(trained, tmp_path / "tokenizer.json")
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"))
    for text in SAMPLES:
        assert theirs(text)["input_ids"] == trained.encode(text, allowed_special="all").tolist()


def test_tiktokens_ranks(trained, tmp_path):
    from tiktoken import Encoding
    from tiktoken.load import load_tiktoken_bpe

    path = tmp_path / "ranks.tiktoken"
    tiktoken.export(trained, path)
    ours = tokenizer.load(path, pattern=trained.pattern, special_tokens=trained.special_tokens)
    theirs = Encoding(
        "ours",
        pat_str=find(trained.pattern).text,
        mergeable_ranks=load_tiktoken_bpe(str(path)),
        special_tokens=trained.special_tokens,
    )
    for text in SAMPLES:
        ids = theirs.encode(text, allowed_special="all")
        assert ids == ours.encode(text, allowed_special="all").tolist()
        assert ids == trained.encode(text, allowed_special="all").tolist()
