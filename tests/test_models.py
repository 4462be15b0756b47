"""The other language models: what GPT promises of its gradient, causality, generation, training and checkpoints."""

import numpy as np
import pytest
from differences import check

import octavo
from octavo import nn
from octavo.nn import checkpoint, generate

MODELS = {
    "bigram": (nn.Bigram, nn.ModelConfig(11, 7)),
    "mlp": (nn.MLPLanguageModel, nn.MLPConfig(11, 7, width=6, hidden=9, taps=3)),
    "convolution": (nn.ConvolutionLanguageModel, nn.ConvolutionConfig(11, 7, layers=3, width=8, dropout=0.2)),
    "gru": (nn.RecurrentLanguageModel, nn.RecurrentConfig(11, 7, width=8, dropout=0.2)),
    "lstm": (nn.RecurrentLanguageModel, nn.RecurrentConfig(11, 7, layers=1, width=8, cell="lstm")),
}
RNG = np.random.default_rng(23)
IDS = RNG.integers(0, 11, (2, 6))
TARGETS = np.where(RNG.random((2, 6)) < 0.2, -100, RNG.integers(0, 11, (2, 6)))


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.LanguageModel:
    """One whose weights are large enough for every path to matter."""
    octavo.seed(5)
    kind, config = MODELS[request.param]
    model = kind(config).to(np.float64)
    for parameter in model.parameters():
        parameter.add_(RNG.standard_normal(parameter.shape) * 0.3)
    return model


@pytest.mark.parametrize("divisor", [None, 5.0])
def test_gradient_equals_differences(model: nn.LanguageModel, divisor: float | None) -> None:
    model.eval()
    model.loss(IDS, TARGETS, divisor=divisor).backward()
    for name, parameter in model.named_parameters():
        flat = RNG.choice(parameter.size, min(4, parameter.size), replace=False)
        entries = [np.unravel_index(i, parameter.shape) for i in flat]
        check(lambda: model.loss(IDS, TARGETS, divisor=divisor).item(), name, parameter.data, parameter.grad, entries)


def test_loss_is_the_cross_entropy_of_the_logits(model: nn.LanguageModel) -> None:
    model.eval()
    expected = octavo.kernels.cross_entropy(model(IDS).data.reshape(-1, 11), TARGETS.reshape(-1), reduction="sum")
    assert model.loss(IDS, TARGETS, reduction="sum").item() == pytest.approx(expected)
    assert model.loss(IDS, TARGETS, divisor=3).item() == pytest.approx(expected / 3)


def test_no_logit_depends_on_later_tokens(model: nn.LanguageModel) -> None:
    before = model.eval()(IDS).data
    for t in range(IDS.shape[1]):
        changed = IDS.copy()
        changed[:, t] = (changed[:, t] + 1) % 11
        after = model(changed).data
        np.testing.assert_allclose(after[:, :t], before[:, :t], rtol=1e-12)
        assert (after[:, t] != before[:, t]).any()


@pytest.mark.parametrize("length", [1, 5, 9], ids="prompt of {}".format)
def test_generation_with_a_cache_equals_that_without_past_the_context(model: nn.LanguageModel, length: int) -> None:
    prompt = RNG.integers(0, 11, (3, length))
    cached = generate(model, prompt, 15, temperature=0)
    np.testing.assert_array_equal(cached, generate(model, prompt, 15, temperature=0, cache=False))
    assert cached.shape == (3, length + 15)


@pytest.mark.parametrize("name", MODELS)
def test_training_lowers_the_loss_and_a_checkpoint_holds_the_model(name: str, tmp_path) -> None:
    octavo.seed(1)
    kind, config = MODELS[name]
    tokens = np.tile(np.array([3, 1, 4, 1, 5, 9, 2, 6], np.uint16), 40)
    path = tmp_path / "checkpoint.safetensors"
    training = nn.TrainConfig(steps=60, batch_size=8, lr=0.03, min_lr=0.003, warmup=2, eval_every=0, save_every=0)
    trainer = nn.Trainer(kind(config), training, tokens, tokens[:50], checkpoint_path=path)
    first = nn.evaluate(trainer.model, [(tokens[None, :7].astype(int), tokens[None, 1:8].astype(int))]).loss
    assert trainer.fit().val.loss < 0.6 * first
    loaded = checkpoint.load(path).model()
    np.testing.assert_array_equal(loaded.eval()(IDS).data, trainer.model.eval()(IDS).data)


def test_muon_takes_the_matrices_between_embedding_and_head() -> None:
    kind, config = MODELS["gru"]
    tokens = RNG.integers(0, 11, 200).astype(np.uint16)
    training = nn.TrainConfig(steps=2, warmup=0, batch_size=2, optimizer="muon", eval_every=0)
    nn.Trainer(kind(config), training, tokens).fit()
    kind, config = MODELS["mlp"]
    with pytest.raises(ValueError, match="the blocks of this MLPLanguageModel have no matrices to train; take adamw"):
        nn.Trainer(kind(config), training, tokens)


def test_bad_input_is_refused(model: nn.LanguageModel) -> None:
    name = type(model).__name__
    with pytest.raises(ValueError, match=rf"{name}: ids: expected integers of shape \(B, T\).*float64"):
        model(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="loss: expected targets of the ids' shape"):
        model.loss(IDS, TARGETS[:, 1:])
    with pytest.raises(ValueError, match=r"RecurrentConfig: cell: expected one of gru, lstm, got 'rnn'"):
        nn.RecurrentConfig(11, 7, cell="rnn")
    with pytest.raises(ValueError, match="MLPConfig: missing vocab_size, context"):
        nn.MLPConfig.from_dict({})
