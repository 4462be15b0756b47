"""The tape: gradients of what is composed of ops, and the errors that keep them right."""

import threading

import numpy as np
import pytest
from differences import check

import octavo
from octavo import kernels
from octavo.nn import Tensor, apply, no_grad
from octavo.nn import functional as F

RNG = np.random.default_rng(0)
IDS = np.array([[0, 1, 3], [3, 3, 3], [2, 0, 2]])


def leaf(*shape: int, dtype: type = np.float64) -> Tensor:
    return Tensor(RNG.standard_normal(shape).astype(dtype), requires_grad=True)


COMPOSITES = {
    "arithmetic": lambda x, y: (2 - x * y / 3 + 1 / (y * y + 2)) * -x,
    "broadcast": lambda x, y: (x * y[0] + y[:, :1]).sum(1),
    "shared subexpression": lambda x, y: (s := (x + y).tanh()) * s + s.exp() * x,
    "views": lambda x, y: x.reshape(3, 2, 2).permute(2, 0, 1).reshape(4, 3) @ y.transpose(0, 1)[1:].transpose(1, 0),
    "unbind with an unused output": lambda x, y: x.reshape(3, 2, 2).unbind(1)[1].exp() * y[:, 2:],
    "products of vectors": lambda x, y: (x @ y[0])[:, None] + x[:, 0] @ y * (x[0] @ y[1]),
    "cat": lambda x, y: F.cat([x, y * y, x], dim=1).sigmoid(),
    "expand": lambda x, y: x[:, None].expand(3, 5, 4) * y[:, None].gelu(),
    "reduce": lambda x, y: x.mean(0, keepdim=True) * y.max(1, keepdim=True) + (x * x).sum().sqrt(),
    "choices": lambda x, y: x[[0, 2, 0], 1:] * y.gather(1, IDS) + y[y.data > -9].reshape(3, 4)[:, [1, -1, 1]],
    "copies": lambda x, y: F.stack([x.roll(1, 0), y.tril(), x.flip(1)], 1).masked_fill(IDS[:, :, None] > 1, 2.0),
    "scatter": lambda x, y: x.scatter(1, IDS, y[:, :3]).scatter(1, IDS[:, :1], 2.0) * y.scatter_add(1, IDS, x[:, 1:]),
    "einsum": lambda x, y: F.einsum("ij,kj,ij->ki", x, y, y),
    "shapes": lambda x, y: x.flatten().unsqueeze(0).squeeze(0).reshape(4, 3).T * F.pad(y.mT.chunk(2)[1].mT, (1, 1)),
    "powers and bounds": lambda x, y: (x * x + 1) ** y + 2**x - abs(y) * F.clip(x, -0.5, 1) + F.maximum(x, y),
    "choice": lambda x, y: F.where((x > y) & ~(y < -1) | (x <= -2), x * y, F.square(x)),
    "softmax": lambda x, y: x.softmax() * (y * y + 1).log() + x.relu(),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_gradients_equal_differences(name: str) -> None:
    x, y = leaf(3, 4), leaf(3, 4)
    weights = RNG.standard_normal(COMPOSITES[name](x, y).shape)

    def value() -> float:
        with no_grad():
            return (COMPOSITES[name](x, y) * weights).sum().item()

    COMPOSITES[name](x, y).backward(weights)
    for argument, tensor in (("x", x), ("y", y)):
        check(value, argument, tensor.data, tensor.grad)


def test_an_index_of_slices_is_a_view_and_one_of_ids_a_copy() -> None:
    x = Tensor(np.arange(12).reshape(3, 4))
    assert np.shares_memory(x[1:, ::2].data, x.data) and not np.shares_memory(x[[0, 1]].data, x.data)
    np.testing.assert_array_equal(x[Tensor([2, -1]), [0, 1]].data, x.data[[2, -1], [0, 1]])
    np.testing.assert_array_equal(x[x.data > 5].data, np.arange(6, 12))
    assert x[[]].shape == (0, 4)
    with pytest.raises(ValueError, match="index: expected a list of numbers, or of lists of one length"):
        x[[[0, 1], [2]]]
    with pytest.raises(ValueError, match="axis 1: expected -4 <= id < 4, got 4"):
        x[:, [4]]


def test_shapes_name_axes_that_are_missing() -> None:
    x = leaf(2, 1, 3)
    assert x.squeeze().shape == (2, 3) and x.squeeze(0).shape == x.shape and x.unsqueeze(-1).shape == (2, 1, 3, 1)
    assert x.flatten(1).shape == (2, 3) and [c.shape for c in x.chunk(2, 2)] == [(2, 1, 2), (2, 1, 1)]
    for call in (lambda: x.squeeze(3), lambda: x.unsqueeze(4), lambda: x.transpose(0, 3), lambda: leaf(2).mT):
        with pytest.raises(ValueError, match="expected an axis of a shape"):
            call()


def test_numbers_and_arrays_keep_their_dtypes() -> None:
    assert Tensor([1.5, 2]).dtype == np.float32 and Tensor([1, 2]).dtype == np.int64
    assert Tensor(np.float64(1)).dtype == np.float64 and Tensor(np.ones(2)).dtype == np.float64
    assert (Tensor([1.0]) * 2 + 1).dtype == np.float32
    assert isinstance(np.ones(2) * Tensor(np.ones(2)), Tensor)
    with pytest.raises(TypeError, match="expected a float tensor, got int64"):
        Tensor([1, 2], requires_grad=True)
    with pytest.raises(TypeError, match="expected an array or numbers, got str"):
        Tensor("1.5")


def test_comparisons_are_off_the_tape_and_tensors_are_looked_up_by_identity() -> None:
    x, y = leaf(3), leaf(3)
    assert (x == x.data).data.all() and not (x != x.data).data.any()
    assert (x >= 0).dtype == np.bool_ and not (x >= 0).requires_grad
    assert (x.data < y).data.tolist() == (x.data < y.data).tolist()
    assert x != None  # noqa: E711
    assert {x: 1, y: 2}[y] == 2 and len({x, x, y}) == 2
    assert bool(Tensor([2.0]) == 2) and not Tensor([0.0])
    with pytest.raises(ValueError, match=r"bool: expected one element, got a tensor of shape \(3,\)"):
        bool(x == y)
    with pytest.raises(TypeError, match="expected two arrays of floats or two of integers"):
        Tensor([1, 2]) == 1.5  # noqa: B015


def test_gradients_add_up_without_changing_those_that_were_seen() -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    for times in (1, 2):
        y = x * 2
        z = y * 3
        before, seen = x.grad, []
        for tensor in (y, z):
            tensor.register_hook(seen.append)
        (z + y * 5 + y + z).backward(np.ones(3, np.float32))
        assert [g.tolist() for g in seen] == [[2] * 3, [12] * 3]
        assert x.grad is not None and x.grad.tolist() == [24 * times] * 3
        assert before is None or before.tolist() == [24] * 3


def test_gradients_add_up_and_belong_to_their_leaf() -> None:
    x, y = leaf(3), leaf(3)
    (x + y).sum().backward()
    x.grad *= 5
    assert (y.grad == 1).all()
    (x * 2).sum().backward()
    assert (x.grad == 7).all()
    x.zero_grad()
    assert x.grad is None
    outside = np.ones(3)
    x.backward(outside)
    x.grad += 1
    assert (outside == 1).all()


def test_the_gradient_has_the_leaf_s_dtype() -> None:
    x = leaf(3, dtype=np.float32)
    (x * np.ones(3)).sum().backward()
    assert x.grad.dtype == np.float32


def test_retained_tape_gives_the_same_gradient_again() -> None:
    logits = leaf(4, 5)
    loss = F.cross_entropy(logits, np.array([0, 1, 2, 3]))
    loss.backward(retain_graph=True)
    first = logits.grad.copy()
    loss.backward()
    np.testing.assert_array_equal(logits.grad, 2 * first)
    with pytest.raises(RuntimeError, match="backward of cross_entropy: what it saved was freed"):
        loss.backward()


def test_a_scaled_loss_scales_its_gradient() -> None:
    logits, targets = leaf(4, 5), np.array([0, 1, 2, 3])
    F.cross_entropy(logits, targets).backward()
    whole, logits.grad = logits.grad, None
    (F.cross_entropy(logits, targets) * 0.25).backward()
    np.testing.assert_allclose(logits.grad, whole / 4, rtol=1e-15)


def test_nothing_is_recorded_under_no_grad() -> None:
    x = leaf(3)
    with no_grad():
        y = x * 2
        seen = []
        thread = threading.Thread(target=lambda: seen.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert not y.requires_grad and seen == [True]
    assert (x * 2).requires_grad and not (x.detach() * 2).requires_grad
    with pytest.raises(RuntimeError, match="no tensor that this one was computed from"):
        y.sum().backward()


@pytest.mark.parametrize("shape", [(6, 4, 5), (24, 5), (4, 30), (2, -1), (120,), (3, 2, 4, 5)])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 1, 0)])
def test_reshape_copies_only_where_it_must_and_into_memory_that_is_counted(order, shape) -> None:
    x = Tensor(np.arange(120).reshape(4, 6, 5)).permute(order)
    before = octavo.memory().current
    y = x.reshape(shape)
    expected = x.data.reshape(shape)
    assert np.array_equal(y.data, expected)
    assert np.shares_memory(x.data, y.data) == np.shares_memory(x.data, expected)
    assert (octavo.memory().current == before) == np.shares_memory(x.data, expected)


def test_a_saved_tensor_that_changed_is_refused() -> None:
    x = leaf(3)
    y = Tensor(np.ones(3))
    product = x * y
    y.reshape(3, 1).copy_(np.zeros((3, 1)))
    with pytest.raises(RuntimeError, match="backward of mul: its argument y was changed in place"):
        product.sum().backward()
    out = x.exp()
    out.detach().add_(1)
    with pytest.raises(RuntimeError, match="backward of exp: its argument out was changed"):
        out.sum().backward()
    product = F.einsum("i,i->", x, y)
    y.add_(1)
    with pytest.raises(RuntimeError, match="backward of einsum: its argument operands was changed"):
        product.backward()
    total = x + y  # saves no values
    y.add_(1)
    total.sum().backward()
    with pytest.raises(RuntimeError, match=r"copy_: this tensor was computed \(add\)"):
        total.copy_(0)
    with pytest.raises(ValueError, match=r"add_: expected values of shape \(3,\), got \(2,\)"):
        x.add_(np.ones(2))


def test_an_op_without_gradient_is_refused() -> None:
    x = leaf(2, 5)
    with pytest.raises(RuntimeError, match=r"grad_norm has no gradient .*no_grad"):
        apply(kernels.grad_norm, [x])
    with pytest.raises(RuntimeError, match="softmax_backward has no gradient"):
        apply(kernels.softmax_backward, x, x)
    with pytest.raises(AttributeError, match="no differentiable op"):
        F.grad_norm  # noqa: B018


def test_an_op_that_returns_integers_is_off_the_tape() -> None:
    ids = F.sample(leaf(2, 5), 0.0, 0, 1.0, 0.0, 0, 0, 0)
    assert ids.dtype == np.int64
    assert not ids.requires_grad


def test_a_gradient_needs_a_shape() -> None:
    x = leaf(3)
    with pytest.raises(RuntimeError, match=r"shape \(3,\) needs a gradient"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"expected a gradient of shape \(3,\), got \(2,\)"):
        (x * 2).backward(np.ones(2))


def test_depth_is_not_limited() -> None:
    x = leaf(2)
    y = x
    for _ in range(5000):
        y = y + x
    y.sum().backward()
    assert (x.grad == 5001).all()
    del y
    z = x
    for _ in range(5000):
        z = -z
    del z


def test_functions_come_from_the_registry() -> None:
    assert {"softmax", "linear", "attention", "dropout"} <= set(dir(F)) <= set(kernels.registry)
    assert F.softmax.__doc__ == kernels.softmax.__doc__


def test_dropout_draws_anew_and_passes_its_mask_back() -> None:
    x = Tensor(np.ones((100, 10)), requires_grad=True)
    y = F.dropout(x, 0.25)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)
    assert set(np.unique(y.data)) == {0, 1 / 0.75} and 0.6 < (y.data > 0).mean() < 0.9
    assert (F.dropout(x, 0.25).data != y.data).any()
    assert F.dropout(x, 0.25, training=False) is x


def test_dlpack_shares_memory_both_ways() -> None:
    x = Tensor(np.arange(3.0, dtype=np.float32))
    array = np.from_dlpack(x)
    array[1] = 7
    assert x.data[1] == 7
    assert np.shares_memory(Tensor.from_dlpack(array).data, x.data)
    with pytest.raises(BufferError, match=r"pass its \.detach"):
        np.from_dlpack(leaf(3))
