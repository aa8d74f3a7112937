"""Makes the fixtures of NeuralNetworkTests: single operations and optimizers, in PyTorch float64.

To make them again:   python3 Tests/NeuralNetworkTests/Fixtures/generate.py            (needs torch, numpy, safetensors)
To compare only:      python3 Tests/NeuralNetworkTests/Fixtures/generate.py --check

Every matrix is stored as [in, out] and applied as x · W. Keys of gradients and of the objective: see oracle.py in Tests/TestSupport.
An optimizer's case has `in.<name>` (start), `in.gradients.<name>` and `out.values.<name>` with the step as first axis, and the
optimizer's own state after the last step.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "TestSupport"))
import torch
from oracle import Case, cross_entropy, layer_norm, main

EPSILON = 1e-3


def check(ours, theirs):
    """The plain equation against PyTorch's own function."""
    assert torch.allclose(ours, theirs, rtol=1e-13, atol=1e-13)


# ---------------------------------------------------------------- products

def matmul(name, M, K, N):
    """ab = a · b, and the same with the left, the right or both factors stored transposed."""
    case = Case(name)
    a, b = case.normal("in.a", M, K), case.normal("in.b", K, N)
    aT, bT = case.normal("in.aTransposed", K, M), case.normal("in.bTransposed", N, K)
    return case, case.finish({"ab": a @ b, "aTb": aT.mT @ b, "abT": a @ bT.mT, "aTbT": aT.mT @ bT.mT})


def linear(name, leading, I, O):
    """y = x W + b over the last axis."""
    case = Case(name)
    x = case.normal("in.x", *leading, I)
    W, b = case.normal("param.W", I, O, deviation=I ** -0.5), case.normal("param.b", O)
    y = x @ W + b
    check(y, torch.nn.functional.linear(x, W.mT, b))
    return case, case.finish({"y": y})


# ---------------------------------------------------------------- elementwise

def activation(name, function, theirs, edges, deviation=2.0):
    """y = function(x) on normal values and on the given edges; 37 columns leave a tail in every vector width."""
    case = Case(name)
    drawn = deviation * case.random.standard_normal((3, 37))
    drawn[0, :len(edges)] = edges
    x = case.values("in.x", drawn)
    y = function(x)
    check(y, theirs(x))
    return case, case.finish({"y": y})


def elementwise():
    """Sums, differences and products of equal shapes, and with one row v spread over all rows."""
    case = Case("elementwise")
    x, y, v = case.normal("in.x", 5, 7), case.normal("in.y", 5, 7), case.normal("in.v", 7)
    return case, case.finish({"add": x + y, "subtract": x - y, "multiply": x * y,
                              "addRow": x + v, "subtractRow": x - v, "multiplyRow": x * v})


def elementwise_sequence():
    """The row v [7] spread over the two leading axes of x [5, 3, 7]."""
    case = Case("elementwise_sequence")
    x, v = case.normal("in.x", 5, 3, 7), case.normal("in.v", 7)
    return case, case.finish({"addRow": x + v, "multiplyRow": x * v})


# ---------------------------------------------------------------- normalization, reduction, loss

def normalization(name, rows, size, groups):
    """LN over the last axis; with groups = 4 over each gate's block of [rows, 4 · size] by itself."""
    case = Case(name, epsilon=EPSILON, groups=groups)
    x = case.normal("in.x", rows, groups * size, mean=0.5, deviation=2)
    gamma = case.normal("param.gamma", groups * size, mean=1, deviation=0.3)
    beta = case.normal("param.beta", groups * size, deviation=0.3)
    y = layer_norm(x, gamma, beta, EPSILON, groups)
    blocks = torch.nn.functional.layer_norm(x.reshape(rows, groups, size), (size,), eps=EPSILON)
    check(y, blocks.reshape(rows, -1) * gamma + beta)
    return case, case.finish({"y": y})


def reduction():
    case = Case("reduction")
    x = case.normal("in.x", 5, 37)
    return case, case.finish({"sum": x.sum(), "mean": x.mean(), "sumOfRows": x.sum(0), "meanOfRows": x.mean(0),
                              "sumOfColumns": x.sum(1), "meanOfColumns": x.mean(1)})


def loss(name, N, V, deviation=1.0):
    """Mean cross entropy in nats; the objective is the loss itself."""
    case = Case(name)
    logits, targets = case.normal("in.logits", N, V, deviation=deviation), case.symbols("in.targets", N, count=V)
    value = cross_entropy(logits, targets)
    check(value, torch.nn.functional.cross_entropy(logits, targets))
    return case, case.finish({"loss": value}, objective=value)


# ---------------------------------------------------------------- moving values

def embedding():
    """y[t, b, :] = table[symbols[t, b], :]; with 6 rows for 15 symbols some rows gather several gradients."""
    case = Case("embedding")
    table, symbols = case.normal("param.table", 6, 5), case.symbols("in.symbols", 5, 3, count=6)
    return case, case.finish({"y": table[symbols]})


def concat():
    case = Case("concat")
    a, b, c = case.normal("in.a", 5, 3), case.normal("in.b", 5, 7), case.normal("in.c", 2, 3)
    return case, case.finish({"columns": torch.cat([a, b], 1), "rows": torch.cat([a, c], 0)})


def slices():
    """Columns 3..<8, rows 1..<4, and both bounds at once; overlapping parts add their gradients."""
    case = Case("slice", rows="1..<4", columns="3..<8")
    x = case.normal("in.x", 5, 12)
    return case, case.finish({"columns": x[:, 3:8], "rows": x[1:4], "block": x[1:4, 3:8]})


# ---------------------------------------------------------------- optimizers

SHAPES = {"W": (5, 7), "b": (19,)}
STEPS = 5


def optimizer(name, make, states, gradient_deviation=1.0, **metadata):
    """Five steps of a PyTorch optimizer on given gradients."""
    case = Case(name, steps=STEPS, **metadata)
    start = {key: case.normal(f"in.{key}", *shape) for key, shape in SHAPES.items()}
    gradients = {key: case.normal(f"in.gradients.{key}", STEPS, *shape, deviation=gradient_deviation)
                 for key, shape in SHAPES.items()}
    parameters = {key: value.detach().clone().requires_grad_(True) for key, value in start.items()}
    torch_optimizer = make(parameters.values())
    values = {key: [] for key in SHAPES}
    for step in range(STEPS):
        for key, parameter in parameters.items():
            parameter.grad = gradients[key][step].detach().clone()
        torch_optimizer.step()
        for key, parameter in parameters.items():
            values[key].append(parameter.detach().clone())
    outputs = {f"values.{key}": torch.stack(steps) for key, steps in values.items()}
    for ours, theirs in states.items():
        outputs.update({f"{ours}.{key}": torch_optimizer.state[parameter][theirs] for key, parameter in parameters.items()})
    return case, case.finish(outputs, differentiate=False)


def clip(name, max_norm):
    """All gradients times min(1, maxNorm / norm), with the norm over all of them together."""
    case = Case(name, maxNorm=max_norm)
    gradients = {key: case.normal(f"in.gradients.{key}", *shape, deviation=0.5) for key, shape in SHAPES.items()}
    norm = torch.sqrt(sum((gradient * gradient).sum() for gradient in gradients.values()))
    # torch.nn.utils.clip_grad_norm_ divides by norm + 1e-6 instead; here the clipped norm is exactly maxNorm.
    factor = torch.clamp(max_norm / norm, max=1.0)
    outputs = {f"gradients.{key}": factor * gradient for key, gradient in gradients.items()}
    return case, case.finish({**outputs, "norm": norm, "factor": factor}, differentiate=False)


def adam(name, gradient_deviation=1.0):
    """Gradients as small as epsilon show on which side of the root it stands: m̂ / (√v̂ + ε)."""
    rate, beta1, beta2, epsilon = 1e-3, 0.9, 0.999, 1e-8
    return optimizer(name, lambda p: torch.optim.Adam(p, rate, (beta1, beta2), epsilon),
                     states={"firstMoment": "exp_avg", "secondMoment": "exp_avg_sq"},
                     gradient_deviation=gradient_deviation, rate=rate, beta1=beta1, beta2=beta2, epsilon=epsilon)


def nesterov(name, weight_decay):
    """v ← μ v + (g + λ p);  p ← p − rate · (g + λ p + μ v);  the first v is the first gradient."""
    rate, momentum = 0.1, 0.9
    return optimizer(name, lambda p: torch.optim.SGD(p, rate, momentum, weight_decay=weight_decay, nesterov=True),
                     states={"velocity": "momentum_buffer"}, rate=rate, momentum=momentum, weightDecay=weight_decay)


def cases():
    yield matmul("matmul", 5, 7, 9)
    yield matmul("matmul_tails", 13, 19, 33)
    yield linear("linear", (5,), 7, 9)
    yield linear("linear_sequence", (5, 3), 7, 19)

    yield activation("sigmoid", torch.sigmoid, torch.special.expit, [0, -0.0, 30, -30, 80, -80])
    yield activation("tanh", torch.tanh, lambda x: 2 * torch.sigmoid(2 * x) - 1, [0, -0.0, 1e-4, -1e-4, 20, -20])
    yield activation("relu", lambda x: torch.where(x > 0, x, 0.0), torch.relu, [0, -0.0, 30, -30])
    yield activation("exp", torch.exp, lambda x: 2 ** (x / torch.log(torch.tensor(2.0))), [0, -0.0, 5, -30])
    yield elementwise()
    yield elementwise_sequence()

    yield normalization("layerNorm", 5, 19, groups=1)
    yield normalization("layerNorm_gates", 3, 7, groups=4)
    yield normalization("layerNorm_gates_h33", 3, 33, groups=4)
    yield reduction()
    yield loss("crossEntropy", 7, 6)
    yield loss("crossEntropy_large", 5, 50, deviation=30)

    yield embedding()
    yield concat()
    yield slices()

    yield adam("adam")
    yield adam("adam_smallGradients", gradient_deviation=1e-8)
    yield nesterov("nesterov", weight_decay=0)
    yield nesterov("nesterov_weightDecay", weight_decay=5e-4)
    yield clip("clip", max_norm=1.0)
    yield clip("clip_inactive", max_norm=100.0)


if __name__ == "__main__":
    main(HERE, cases())
