"""Times a PyTorch CPU training step of a character model, or its sampling: what a user would pick instead.

    char.py lstm|ln-lstm|ln-hyperlstm [eager|compile] [threads] [steps]
    char.py ln-hyperlstm [eager|compile] [threads] --sample N

A step: 1000 units, 50 symbols, batch 128 × 100, Adam, gradient clipping 1.0, recurrent dropout 0.1 where the cell is our own.
`lstm` is torch.nn.LSTM, the library's fused kernel (it has two biases, so 4000 parameters more than ours, and no dropout inside).
Prints one JSON line: median and minimum seconds per step, or characters per second; parameters; peak resident MiB.
"""
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from measure import arguments, compiled, report, report_steps, training_step

V, H, T, B = 50, 1000, 100, 128      # symbols, units, steps of a sequence, streams
HYPER, N_Z = 128, 4                  # hyper units, embedding entries
EPSILON = 1e-3


def weights(*shape):
    return nn.Parameter(torch.randn(*shape) * 0.02)


def constant(value, *shape):
    return nn.Parameter(torch.full(shape, float(value)))


class GateNorm(nn.Module):
    """LN of the four gates, each by itself, and of c inside tanh."""

    def __init__(self, units):
        super().__init__()
        self.units = units
        self.gamma, self.beta = constant(1, 4, units), constant(0, 4, units)
        self.gamma_c, self.beta_c = constant(1, units), constant(0, units)

    def gates(self, y):
        return (F.layer_norm(y.view(-1, 4, self.units), (self.units,), eps=EPSILON) * self.gamma + self.beta).unbind(1)

    def cell(self, c):
        return F.layer_norm(c, (self.units,), self.gamma_c, self.beta_c, EPSILON)


def update(norm, y, c, dropout=0.0):
    """Eq. 13 after the layer normalization of Eq. 12; gates i, g, f, o."""
    i, g, f, o = norm.gates(y)
    c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * F.dropout(torch.tanh(g), dropout, training=dropout > 0)
    return torch.sigmoid(o) * torch.tanh(norm.cell(c)), c


class LSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(V, H), nn.Linear(H, V)

    def forward(self, x):
        return self.out(self.lstm(x)[0])


class Recurrent(nn.Module):
    """A cell over a sequence. The products with x do not wait for h: they are one product over all steps."""

    def forward(self, x):
        state, hs = self.start(x.shape[1]), []
        for projected in zip(*(part.unbind(0) for part in self.project(x))):
            state = self.cell(*projected, *state)
            hs.append(state[0])
        return self.out(torch.stack(hs))


class LayerNormLSTM(Recurrent):
    def __init__(self):
        super().__init__()
        self.W_x, self.W_h, self.b = weights(V, 4 * H), weights(H, 4 * H), constant(0, 4 * H)
        self.norm, self.out = GateNorm(H), nn.Linear(H, V)

    def start(self, streams):
        return (torch.zeros(streams, H),) * 2

    def project(self, x):
        return (x @ self.W_x + self.b,)

    def cell(self, x_W, h, c):
        return update(self.norm, x_W + h @ self.W_h, c, 0.1 if self.training else 0.0)           # Eq. 9


class LayerNormHyperLSTM(Recurrent):
    def __init__(self):
        super().__init__()
        self.W_x, self.W_h, self.b_0 = weights(V, 4 * H), weights(H, 4 * H), constant(0, 4, H)
        self.norm = GateNorm(H)
        # The rows of the hyper cell's input matrix for x and for h, and its recurrent matrix.
        self.hyper_W_x, self.hyper_W_m = weights(V, 4 * HYPER), weights(H, 4 * HYPER)
        self.hyper_W_h, self.hyper_b = weights(HYPER, 4 * HYPER), constant(0, 4 * HYPER)
        self.hyper_norm = GateNorm(HYPER)
        self.W_hhat_h, self.b_hhat_h = weights(HYPER, 4 * N_Z), constant(1, 4 * N_Z)
        self.W_hhat_x, self.b_hhat_x = weights(HYPER, 4 * N_Z), constant(1, 4 * N_Z)
        self.W_hhat_b = weights(HYPER, 4 * N_Z)
        self.W_hz, self.W_xz = constant(0.1 / N_Z, 4, N_Z, H), constant(0.1 / N_Z, 4, N_Z, H)
        self.W_bz = constant(0, 4, N_Z, H)
        self.out = nn.Linear(H, V)

    def start(self, streams):
        return (torch.zeros(streams, H),) * 2 + (torch.zeros(streams, HYPER),) * 2

    def project(self, x):
        return x @ self.W_x, x @ self.hyper_W_x + self.hyper_b

    def cell(self, x_W, x_hyper, h, c, hyper_h, hyper_c):
        hyper_y = x_hyper + h @ self.hyper_W_m + hyper_h @ self.hyper_W_h
        hyper_h, hyper_c = update(self.hyper_norm, hyper_y, hyper_c)                             # Eq. 10

        def scale(z, W):
            return torch.einsum("bkz,kzj->bkj", z.view(-1, 4, N_Z), W)

        d_h = scale(hyper_h @ self.W_hhat_h + self.b_hhat_h, self.W_hz)                          # Eq. 11, 12
        d_x = scale(hyper_h @ self.W_hhat_x + self.b_hhat_x, self.W_xz)
        b = scale(hyper_h @ self.W_hhat_b, self.W_bz) + self.b_0
        y = d_h * (h @ self.W_h).view(-1, 4, H) + d_x * x_W.view(-1, 4, H) + b
        return *update(self.norm, y, c, 0.1 if self.training else 0.0), hyper_h, hyper_c         # Eq. 13


def sample(model, count):
    """Draws `count` characters one after the other from the model's own distribution, and returns the seconds taken."""
    model.eval()
    with torch.inference_mode():
        state, symbol = model.start(1), 0
        projected = model.project(torch.eye(V)[:, None])   # by symbol: the products with a one-hot x are rows

        def draw():
            nonlocal state, symbol
            state = model.cell(*(part[symbol] for part in projected), *state)
            symbol = torch.multinomial(torch.softmax(model.out(state[0])[0], 0), 1).item()

        for _ in range(20):                                # warming up, compiling
            draw()
        start = time.perf_counter()
        for _ in range(count):
            draw()
        return time.perf_counter() - start


def main():
    models = {"lstm": LSTM, "ln-lstm": LayerNormLSTM, "ln-hyperlstm": LayerNormHyperLSTM}
    parser = arguments(__doc__.splitlines()[0], "kind", list(models), ["eager", "compile"], steps=5)
    parser.add_argument("--sample", type=int, metavar="N", help="draw N characters one at a time instead of training")
    options = parser.parse_args()
    if options.sample is not None and (options.kind != "ln-hyperlstm" or options.sample < 1):
        parser.error("--sample is measured with ln-hyperlstm, for at least one character")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = models[options.kind]()
    if options.mode == "compile":
        if options.kind == "lstm":
            parser.error("lstm is the library's kernel: there is nothing to compile")
        model.cell = compiled(model.cell)

    if options.sample is not None:
        seconds = sample(model, options.sample)
        report("sample-ln-hyperlstm", options.mode, model, characters=options.sample, seconds=seconds,
               characters_per_s=options.sample / seconds)
        return

    symbols = torch.randint(0, V, (T + 1, B))

    def loss():
        logits = model(F.one_hot(symbols[:-1], V).float())
        return F.cross_entropy(logits.reshape(-1, V), symbols[1:].reshape(-1))

    step = training_step(torch.optim.Adam(model.parameters(), 1e-3), loss, clip=1.0)
    report_steps(options.kind, options.mode, model, step, options.steps)


if __name__ == "__main__":
    main()
