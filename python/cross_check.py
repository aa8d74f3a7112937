"""Trains the suite's character models in PyTorch, from a configuration of the suite: an independent run beside its own.

    python3 python/cross_check.py table3-layer-norm-hyperlstm-steps-5000 --data data --peaks 0.001 0.002 0.003 \\
        --out curves.json --weights best.safetensors

Models of one configuration with different peak learning rates, seeds or variants of rate, dropout and initial values are trained
side by side as one computation: every tensor has a leading dimension M, every model its own parameters, dropout masks, clipping,
rate and Adam moments. A whole
training step is one CUDA graph, in which the step's number, the place in the text and the rate are read from tables on the
GPU, so that training is the replaying of it. The gradient of the recurrence is written out below; that of a step's
nonlinear half is in lstm_update.py. Cells lstm and hyper-lstm, one layer.

Random numbers are PyTorch's, so a run resembles the suite's run of the same seed and does not repeat it; --initial starts from
weights of the suite. Needs torch, numpy, safetensors and PyYAML; on a GPU triton, which PyTorch brings along.
"""
import argparse
import hashlib
import json
import math
import os
import pickle
import platform
import re
import sys
import time
from pathlib import Path

import torch
import yaml
from torch.nn import functional as F

import evaluate
import hypernetworks
import lstm_update

CONFIGURATIONS = Path(__file__).parent.parent / "experiments/char-hyperlstm/configs"
# Steps whose losses are written one by one, to hold two runs to each other; behind them rounding has grown too large for that.
FIRST_STEPS = 200
# What models side by side may differ in.
OF_ONE_MODEL = {"model": ["keepInput", "keepOutput", "keepRecurrent", "keepHyperRecurrent"],
                "training": ["learningRate", "carryState"],
                "deviations": ["inputInitialValues", "scalingInitialValues"], "author": ["hyperState", "orthogonal"]}
# Keys that a file may leave out, and two that only this program has: what the author's code did differently when it was first
# published (hardmaru/supercell e3e5fbf, two days after the run whose curve is in assets/tensorboard_hyperlstm_ptb.png).
#   hyperState: the hyper cell's h and c are carried; zero at the start of each `sequence` (4fdf0e8); or zero at every step, so
#               that it has no memory (`none`, e3e5fbf)
#   orthogonal: W_h and W_x, each gate by itself; or `packed`, the matrix of all four gates at once (until 50c3735)
LEFT_OUT = {"training": {"shards": 1},
            "deviations": {"inputInitialValues": "orthogonal", "scalingInitialValues": "constant"},
            "author": {"hyperState": "carried", "orthogonal": "gate"}}


class Loader(yaml.SafeLoader):
    """With 1e-3 for a number, which YAML 1.1 takes for a text."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789"))


# ---------------------------------------------------------------- configuration and text

def merged(base, changes):
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}


def configuration(path, settings=()):
    """A configuration with what it is based on; settings are texts key.path=value."""
    return changed(merged(LEFT_OUT, read(path)), settings)


def parsed(text, place):
    """YAML that stands at a place, a file or an option."""
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise SystemExit(f"{place}: {error}") from error


def read(path):
    """A file's keys, laid over those of the file that it is based on."""
    path = Path(path) if str(path).endswith(".yaml") else CONFIGURATIONS / f"{path}.yaml"
    result = parsed(path.read_text(), path)
    if not isinstance(result, dict):
        raise SystemExit(f"{path}: expected a configuration of the suite")
    return merged(read(path.parent / result.pop("base")), result) if "base" in result else result


def changed(config, settings):
    """A configuration with settings laid over it in their order; a section takes the place of the old one whole."""
    for setting in settings:
        keys, equals, value = setting.partition("=")
        if not equals:
            raise SystemExit(f"expected key.path=value, found '{setting}'")
        place = config
        for key in keys.split("."):
            if not isinstance(place, dict) or key not in place:
                raise SystemExit(f"{setting}: unknown key '{keys}'; `char-hyperlstm show CONFIG` prints all, and author. has "
                                 + ", ".join(LEFT_OUT["author"]))
            place = place[key]
        new = parsed(value, setting)
        if isinstance(place, dict) and isinstance(new, dict):
            missing = sorted(place.keys() - new.keys() - {"holdUntilStep"})
            if missing:
                raise SystemExit(f"{setting}: expected the keys {', '.join(missing)} too")
        # Null first: a section would be joined with the one before it.
        for changes in None, new:
            for key in reversed(keys.split(".")):
                changes = {key: changes}
            config = merged(config, changes)
    return config


def variant(config, settings):
    """A configuration whose model can be trained beside that of `config`."""
    def shared(config):
        return {group: {key: value for key, value in values.items() if key not in OF_ONE_MODEL.get(group, [])}
                if isinstance(values, dict) else values for group, values in config.items()}

    result = changed(config, settings)
    if shared(result) != shared(config):
        keys = ", ".join(f"{group}.{key}" for group, keys in OF_ONE_MODEL.items() for key in keys)
        raise SystemExit(f"--variants: expected changes of {keys}, found {'; '.join(settings)}; --set changes all models")
    return result


def choice(config, group, key, *names):
    """The value of a key, one of the names."""
    name = config[group][key]
    if name not in names:
        raise SystemExit(f"{group}.{key}: expected one of {', '.join(names)}, found {name}")
    return name


def peak_of(config):
    schedule = config["training"]["learningRate"]
    if isinstance(schedule, list):
        return max(stage["rate"] for stage in schedule)
    return schedule["peak"] if isinstance(schedule, dict) else schedule


def with_peak(config, peak):
    schedule = config["training"]["learningRate"]
    if isinstance(schedule, list):
        factor = peak / peak_of(config)
        return merged(config, {"training": {"learningRate": [
            stage | {"rate": stage["rate"] * factor} for stage in schedule]}})
    return merged(config, {"training": {"learningRate": {"peak": peak} if isinstance(schedule, dict) else peak}})


def model_configuration(config):
    """The metadata by which a file of weights describes its model."""
    deviations = config["deviations"]
    model = config["model"] | {
        key: deviations[key] for key in ("forgetBias", "layerNormEpsilon", "hyperStateForEmbeddings", "hyperLayerNorm")}
    if model["cell"] not in ("lstm", "hyper-lstm") or model["layers"] != 1:
        raise SystemExit("expected one layer of cells lstm or hyper-lstm")
    if model["hyperStateForEmbeddings"] != "current":
        raise SystemExit("expected hyperStateForEmbeddings: current")
    return model


def rate(schedule, step):
    """The learning rate of a step, counted from 1: a number, stages, half a cosine, or one that is held and then falls."""
    if isinstance(schedule, (int, float)):
        return float(schedule)
    if isinstance(schedule, list):
        return next((stage["rate"] for stage in schedule if step <= stage["untilStep"]), schedule[-1]["rate"])
    peak, final, warm_up = schedule["peak"], schedule["final"], schedule["warmUpSteps"]
    if step < warm_up:
        return peak * step / warm_up
    hold = schedule.get("holdUntilStep")
    start = warm_up if hold is None else hold
    progress = min(1, max(0, step - start) / max(1, schedule["totalSteps"] - start))
    falls = (1 - math.cos(math.pi * progress)) / 2 if hold is None else progress
    return peak + (final - peak) * falls


class Streams:
    """A text as B parallel streams, T characters at a time: stream b holds characters b L … b L + L."""

    def __init__(self, text, vocabulary, batch, length, device):
        symbol = torch.full((256,), -1)
        symbol[list(vocabulary)] = torch.arange(len(vocabulary))
        self.symbols = symbol[torch.frombuffer(bytearray(text), dtype=torch.uint8).long()].to(device)
        if (self.symbols < 0).any():
            raise SystemExit("the text has symbols that the training text lacks")
        self.batch, self.length = batch, (len(text) - 1) // batch
        if self.length < 1:
            raise SystemExit(f"{len(text)} characters are too few for {batch} streams")
        self.sequences = -(-self.length // length)
        self.predictions = batch * self.length
        self.first = torch.arange(batch, device=device) * self.length
        self.offsets = torch.arange(length, device=device)[:, None]

    def read(self, start):
        """Inputs and targets [T, B] from place `start` [1] of every stream on; behind its end the targets are -1."""
        place = start + self.offsets
        index = (self.first + place).clamp(max=len(self.symbols) - 2)
        return self.symbols[index], self.symbols[index + 1].masked_fill(place >= self.length, -1)


# ---------------------------------------------------------------- parameters

def packed_shapes(c, V):
    """Shapes of the weights as the products below read them: matrices for the same vector lie side by side."""
    H, h, Nz = c["units"], c["hyperUnits"], c["embeddingSize"]
    shapes = {"W_h": (H, 4 * H + 4 * h), "W_x": (V, 4 * H + 4 * h), "b": (4 * (h or H),),
              "output.W": (H, V), "output.b": (V,)}
    if c["layerNorm"]:
        shapes |= {"gamma": (4 * H,), "beta": (4 * H,), "gamma_c": (H,), "beta_c": (H,)}
    if h:
        shapes |= {"b_0": (4 * H,), "hyper.W_h": (h, 4 * h), "W_hhat": (h, 12 * Nz), "b_hhat": (8 * Nz,),
                   "W_z": (12, Nz, H)}
    if h and (c["layerNorm"] or c["hyperLayerNorm"] == "always"):
        shapes |= {"hyper.gamma": (4 * h,), "hyper.beta": (4 * h,), "hyper.gamma_c": (h,), "hyper.beta_c": (h,)}
    return shapes


def pack(named, c):
    """From the names of the files of weights to those of `packed_shapes`."""
    named = {name.removeprefix("layer0."): tensor for name, tensor in named.items()}
    if not c["hyperUnits"]:
        return named
    H, take = c["units"], named.pop
    hyper = take("hyper.W_x")
    return {
        "W_h": torch.cat([take("W_h"), hyper[:H]], 1), "W_x": torch.cat([take("W_x"), hyper[H:]], 1),
        "b": take("hyper.b"), "W_hhat": torch.cat([take("W_hhat_h"), take("W_hhat_x"), take("W_hhat_b")], 1),
        "b_hhat": torch.cat([take("b_hhat_h"), take("b_hhat_x")]),
        "W_z": torch.cat([take("W_hz"), take("W_xz"), take("W_bz")]), **named}


def unpack(packed, c):
    """The inverse of `pack`."""
    named = dict(packed)
    if c["hyperUnits"]:
        H, take = c["units"], named.pop
        W_h, W_x = take("W_h"), take("W_x")
        named |= {"W_h": W_h[:, :4 * H], "W_x": W_x[:, :4 * H], "hyper.b": take("b"),
                  "hyper.W_x": torch.cat([W_h[:, 4 * H:], W_x[:, 4 * H:]])}
        named |= zip(("W_hhat_h", "W_hhat_x", "W_hhat_b"), take("W_hhat").chunk(3, 1))
        named |= zip(("b_hhat_h", "b_hhat_x"), take("b_hhat").chunk(2))
        named |= zip(("W_hz", "W_xz", "W_bz"), take("W_z").chunk(3))
    return {name if name.startswith("output") else f"layer0.{name}": tensor for name, tensor in named.items()}


class Packed(dict):
    """M models' tensors in one buffer [M, P], a model's side by side."""

    def __init__(self, shapes, models, device):
        super().__init__()
        places, end = {}, 0
        for name, shape in shapes.items():
            places[name] = end
            end += -(-math.prod(shape) // 64) * 64  # each begins at a multiple of 256 bytes
        self.flat = torch.zeros(models, end, device=device)
        for name, shape in shapes.items():
            self[name] = self.flat[:, places[name]:places[name] + math.prod(shape)].view(models, *shape)

    def norm(self, prefix=""):
        """gamma, beta, gamma_c, beta_c; empty without layer normalization."""
        names = [prefix + name for name in ("gamma", "beta", "gamma_c", "beta_c")]
        return [self[name] for name in names] if names[0] in self else []


def initial_values(config, V, seed):
    """A.2.3, under the names of the files of weights."""
    c, random = model_configuration(config), torch.Generator().manual_seed(seed)
    H, h, Nz = c["units"], c["hyperUnits"], c["embeddingSize"]

    def orthogonal(rows, columns, blocks=4):
        """Each block by itself."""
        made = []
        for _ in range(blocks):
            q, r = torch.linalg.qr(
                torch.randn(max(rows, columns), min(rows, columns), generator=random, dtype=torch.float64))
            q = q * r.diagonal().sign()
            made.append(q if rows >= columns else q.T)
        return torch.cat(made, 1).float()

    input_values = choice(config, "deviations", "inputInitialValues", "orthogonal", "uniform-unit-scaling")
    scaling_values = choice(config, "deviations", "scalingInitialValues", "constant", "distinct")
    packed = choice(config, "author", "orthogonal", "gate", "packed") == "packed"

    def gates(rows, columns):
        return orthogonal(rows, 4 * columns, 1) if packed else orthogonal(rows, columns)

    def input_weights(rows, columns):
        if input_values == "orthogonal":
            return gates(rows, columns)
        return (2 * torch.rand(rows, 4 * columns, generator=random) - 1) * math.sqrt(3 / rows)

    def scaling_weights():
        if scaling_values == "constant":
            return torch.full((4, Nz, H), 0.1 / Nz)
        apart = torch.randn(4, Nz, H, generator=random)
        return 0.1 / Nz * (1 + apart - apart.mean(1, keepdim=True))

    def norm(units):
        return {"gamma": torch.ones(4 * units), "beta": torch.zeros(4 * units), "gamma_c": torch.ones(units),
                "beta_c": torch.zeros(units)}

    layer = {"W_x": input_weights(V, H), "W_h": gates(H, H), "b_0" if h else "b": torch.zeros(4 * H)}
    if c["layerNorm"]:
        layer |= norm(H)
    if h:
        hyper = {"W_x": input_weights(H + V, h), "W_h": gates(h, h), "b": torch.zeros(4 * h)}
        if c["layerNorm"] or c["hyperLayerNorm"] == "always":
            hyper |= norm(h)
        layer |= {f"hyper.{name}": tensor for name, tensor in hyper.items()}
        for name in "h", "x":
            layer |= {f"W_hhat_{name}": torch.zeros(h, 4 * Nz), f"b_hhat_{name}": torch.ones(4 * Nz),
                      f"W_{name}z": scaling_weights()}
        layer |= {"W_hhat_b": 0.01 * torch.randn(h, 4 * Nz, generator=random), "W_bz": torch.zeros(4, Nz, H)}
    named = {f"layer0.{name}": tensor for name, tensor in layer.items()}
    return named | {"output.W": orthogonal(H, V, 1), "output.b": torch.zeros(V)}


# ---------------------------------------------------------------- the model

class Sequence:
    """T steps of M models on B streams, and their gradient: a cell, its states and the layer of logits.

    States have a slot for each step, [M, T + 1, B, ·]; the first holds the state that the sequence begins with.
    """

    def __init__(self, c, weights, T, B, gradients=None, fused=False, hyper_state=None):
        """hyper_state: of each model what becomes of the hyper cell's state (`author.hyperState`); None carries all."""
        self.c, self.W, self.gradients = c, weights, gradients
        M, device = len(weights.flat), weights.flat.device
        self.M, self.T, self.B = M, T, B
        H, h, Nz = self.sizes = c["units"], c["hyperUnits"], c["embeddingSize"]
        self.kept = T if gradients is not None else 1  # what only the way back needs again has one slot without it

        def empty(*shape):
            return torch.empty(M, *shape, device=device)

        def update(units, norm, b_0):
            kind = lstm_update.FusedUpdate if fused else lstm_update.Update
            return kind(units, float(c["forgetBias"]), c["layerNormEpsilon"], norm, b_0, B)

        self.h_t, self.c_t = empty(T + 1, B, H).zero_(), empty(T + 1, B, H).zero_()
        self.states = [self.h_t, self.c_t]
        self.p = empty(self.kept, B, 4 * H + 4 * h)
        self.update = update(H, weights.norm(), weights.get("b_0"))
        if h:
            self.hyper_update = update(h, weights.norm("hyper."), None)
            self.hyper_h, self.hyper_c = empty(T + 1, B, h).zero_(), empty(T + 1, B, h).zero_()
            self.states += [self.hyper_h, self.hyper_c]
            # What the hyper cell begins a step with: the states themselves where all models have memory.
            self.hyper_before = [self.hyper_h, self.hyper_c]
            self.memory, self.lasting = None, None
            if hyper_state and set(hyper_state) != {"carried"}:
                def factor(kinds):
                    return torch.tensor([float(kind in kinds) for kind in hyper_state], device=device).view(-1, 1, 1)

                self.lasting = factor(["carried"])
                if "none" in hyper_state:
                    self.memory = factor(["carried", "sequence"])
                    self.hyper_before = [torch.zeros_like(state) for state in self.hyper_before]
            self.z, self.d = empty(12, self.kept, B, Nz), empty(12, self.kept, B, H)
        if gradients is not None:
            self.dp, self.dc = empty(T, B, 4 * H + 4 * h), [empty(B, H), empty(B, H)]
            if h:
                self.dx, self.dd = empty(T, B, 4 * H), empty(12, T, B, H)
                self.dz, self.hyper_dc = empty(T, B, 12 * Nz), [empty(B, h), empty(B, h)]

    def carry(self, keep):
        """Begins with the last state, times `keep` [1] or [M]: 0 begins a text."""
        for state in self.states:
            torch.mul(state[:, -1], keep.view(-1, 1, 1), out=state[:, 0])
        if self.sizes[1] and self.lasting is not None:
            for state in self.hyper_h, self.hyper_c:
                state[:, 0].mul_(self.lasting)

    def one_hot(self, inputs):
        """[T, B] to [1, T B, V]."""
        V = self.W["W_x"].shape[1]
        return (inputs.reshape(1, -1, 1) == torch.arange(V, device=inputs.device)).to(self.W.flat.dtype)

    def forward(self, x, mask=None, hyper_mask=None):
        """x: one-hot characters, [M, T B, V]; masks of recurrent dropout, [M, T, B, H] and [M, T, B, h]. Fills the states."""
        W, T, M, B = self.W, self.T, self.M, self.B
        H, h, Nz = self.sizes
        self.x = torch.bmm(x, W["W_x"])
        self.x[..., -W["b"].shape[1]:] += W["b"][:, None]
        self.x = self.x.view(M, T, B, -1)
        if h:
            W_z = W["W_z"].reshape(M * 12, Nz, H)
            b_hhat = F.pad(W["b_hhat"], (0, 4 * Nz)).view(M, 12, 1, Nz)
        for t in range(T):
            slot = t if self.kept == T else 0
            p, d = self.p[:, slot], None
            torch.bmm(self.h_t[:, t], W["W_h"], out=p)
            if h:
                hyper_h, hyper_c = (before[:, t] for before in self.hyper_before)
                if self.memory is not None:
                    torch.mul(self.hyper_h[:, t], self.memory, out=hyper_h)
                    torch.mul(self.hyper_c[:, t], self.memory, out=hyper_c)
                p[..., 4 * H:].baddbmm_(hyper_h, W["hyper.W_h"])                                # Equation 10
                self.hyper_update.forward(
                    p[..., 4 * H:], self.x[:, t, :, 4 * H:], None, hyper_c,
                    None if hyper_mask is None else hyper_mask[:, t], self.hyper_h[:, t + 1], self.hyper_c[:, t + 1])
                z, d = self.z[:, :, slot], self.d[:, :, slot]
                made = torch.bmm(self.hyper_h[:, t + 1], W["W_hhat"])                           # Equation 11
                torch.add(made.view(M, B, 12, Nz).transpose(1, 2), b_hhat, out=z)
                torch.bmm(z.flatten(0, 1), W_z, out=d.flatten(0, 1))                            # Equation 12
            self.update.forward(
                p[..., :4 * H], self.x[:, t, :, :4 * H], d, self.c_t[:, t], None if mask is None else mask[:, t],
                self.h_t[:, t + 1], self.c_t[:, t + 1])

    def losses(self, h, W, b, targets):
        """Sum over the targets that are not -1 of the cross entropy in nats, [M]; h is [M, T B, H]."""
        logits = torch.baddbmm(b[:, None], h, W)
        nats = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten().repeat(self.M), ignore_index=-1, reduction="none")
        return nats.view(self.M, -1).sum(1)

    def outputs(self):
        """h of every step, [M, T B, H]."""
        return self.h_t[:, 1:].reshape(self.M, self.T * self.B, -1)

    def backward(self, x, mask, hyper_mask, dh):
        """From dh, the gradient of `outputs` (overwritten), to `gradients`; arguments as of `forward`."""
        W, G, T, M, B = self.W, self.gradients, self.T, self.M, self.B
        H, h, Nz = self.sizes
        dh = dh.view(M, T, B, H)
        self.dc[0].zero_()
        if h:
            W_z = W["W_z"].reshape(M * 12, Nz, H).mT
            self.hyper_dc[0].zero_()
        for t in reversed(range(T)):
            now, before = (T - 1 - t) % 2, (T - t) % 2
            if t < T - 1:
                dh[:, t].baddbmm_(self.dp[:, t + 1], W["W_h"].mT)
            self.update.backward(
                dh[:, t], self.dc[now], self.p[:, t, :, :4 * H], self.x[:, t, :, :4 * H], self.d[:, :, t] if h else None,
                self.c_t[:, t], None if mask is None else mask[:, t], self.dc[before], self.dp[:, t, :, :4 * H],
                self.dx[:, t] if h else None, self.dd[:, :, t] if h else None)
            if h:
                made = torch.bmm(self.dd[:, :, t].flatten(0, 1), W_z)
                self.dz[:, t].view(M, B, 12, Nz).transpose(1, 2).copy_(made.view(M, 12, B, Nz))
                hyper_dh = torch.bmm(self.dz[:, t], W["W_hhat"].mT)
                if t < T - 1:
                    later = self.dp[:, t + 1, :, 4 * H:]
                    hyper_dh.baddbmm_(later if self.memory is None else later * self.memory, W["hyper.W_h"].mT)
                    if self.memory is not None:
                        self.hyper_dc[now].mul_(self.memory)
                self.hyper_update.backward(
                    hyper_dh, self.hyper_dc[now], self.p[:, t, :, 4 * H:], self.x[:, t, :, 4 * H:], None,
                    self.hyper_before[1][:, t], None if hyper_mask is None else hyper_mask[:, t], self.hyper_dc[before],
                    self.dp[:, t, :, 4 * H:], None, None)

        def rows(tensor):
            """All steps of all streams under each other."""
            return tensor.flatten(-3, -2)

        # Every product's weights at once: inputs of all steps against gradients of all steps.
        dp = rows(self.dp)
        torch.bmm(rows(self.h_t[:, :-1]).mT, dp, out=G["W_h"])
        if h:
            torch.bmm(x.mT, rows(self.dx), out=G["W_x"][..., :4 * H])
            torch.bmm(x.mT, dp[..., 4 * H:], out=G["W_x"][..., 4 * H:])
            torch.bmm(rows(self.hyper_before[0][:, :-1]).mT, dp[..., 4 * H:], out=G["hyper.W_h"])
            torch.bmm(rows(self.hyper_h[:, 1:]).mT, rows(self.dz), out=G["W_hhat"])
            G["b_hhat"].copy_(rows(self.dz).sum(1)[:, :8 * Nz])
            G["W_z"].copy_(torch.bmm(rows(self.z).flatten(0, 1).mT, rows(self.dd).flatten(0, 1)).view(M, 12, Nz, H))
            G["b_0"].copy_(self.dd[:, 8:].sum((2, 3)).flatten(1))
            for out, gradient in zip(G.norm("hyper."), self.hyper_update.norm_gradients()):
                out.copy_(gradient)
        else:
            torch.bmm(x.mT, dp, out=G["W_x"])
        G["b"].copy_(dp[..., -G["b"].shape[1]:].sum(1))
        for out, gradient in zip(G.norm(), self.update.norm_gradients()):
            out.copy_(gradient)

    def learn(
            self, inputs, targets, count, keep_input=None, keep_recurrent=None, keep_hyper=None, keep_output=None):
        """Means of the cross entropy over `count` [1] targets, [M]; fills `gradients`. A keep probability for each model, [M]."""
        def mask(keep, *shape):
            if keep is None:
                return None
            keep = keep.view(-1, *[1] * (len(shape) - 1))
            return self.h_t.new_empty(shape).bernoulli_(keep).div_(keep)

        M, T, B, (H, h, _) = self.M, self.T, self.B, self.sizes
        x = self.one_hot(inputs)
        scale = mask(keep_input, M, T * B, 1)
        x = x.expand(M, -1, -1) if scale is None else x * scale
        recurrent, output = mask(keep_recurrent, M, T, B, H), mask(keep_output, M, T * B, H)
        hyper = mask(keep_hyper, M, T, B, h)
        self.forward(x, recurrent, hyper)
        with torch.enable_grad():
            outputs, W, b = leaves = [
                tensor.detach().requires_grad_() for tensor in (self.outputs(), self.W["output.W"], self.W["output.b"])]
            losses = self.losses(outputs if output is None else outputs * output, W, b, targets) / count
            dh, dW, db = torch.autograd.grad(losses.sum(), leaves)
        self.gradients["output.W"].copy_(dW)
        self.gradients["output.b"].copy_(db)
        self.backward(x, recurrent, hyper, dh)
        return losses.detach()


# ---------------------------------------------------------------- training and evaluation

def captured(function, device, graph=True):
    """A function that does what `function` does, as a CUDA graph where that can be had."""
    if device.type != "cuda" or not graph:
        return function, False
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    try:
        made = torch.cuda.CUDAGraph()
        with torch.cuda.graph(made):
            function()
        return made.replay, True
    except RuntimeError as error:
        print(f"no CUDA graph, going on without: {error}", flush=True)
        return function, False


class Evaluation:
    """Reads a text as B streams, each from a zero state, with every model."""

    def __init__(self, c, weights, text, vocabulary, streams, length, options, hyper_state=None):
        device = weights.flat.device
        self.streams = Streams(text, vocabulary, streams, length, device)
        self.sequence = Sequence(c, weights, length, streams, fused=options["fused"], hyper_state=hyper_state)
        self.start = torch.zeros(1, dtype=torch.long, device=device)
        self.keep = torch.zeros(1, device=device)
        self.nats = torch.zeros(len(weights.flat), dtype=torch.float64, device=device)
        self.step, _ = captured(self.window, device, options["graph"])

    def window(self):
        inputs, targets = self.streams.read(self.start)
        self.sequence.carry(self.keep)
        W = self.sequence.W
        self.sequence.forward(self.sequence.one_hot(inputs).expand(len(self.nats), -1, -1))
        self.nats += self.sequence.losses(self.sequence.outputs(), W["output.W"], W["output.b"], targets).double()
        self.start += len(self.streams.offsets)
        self.keep.fill_(1)

    def bits(self):
        """Bits per character, of each model."""
        self.start.zero_()
        self.keep.zero_()
        self.nats.zero_()
        for state in self.sequence.states:
            state.zero_()
        for _ in range(self.streams.sequences):
            self.step()
        return (self.nats / self.streams.predictions / math.log(2)).tolist()


class Training:
    """M models side by side, each with its variant of one configuration."""

    def __init__(self, configs, text, vocabulary, initial, device, options):
        self.c, self.training = model_configuration(configs[0]), configs[0]["training"]
        self.M, self.steps = len(configs), self.training["steps"]
        shapes = packed_shapes(self.c, len(vocabulary))
        self.weights, self.gradients = (Packed(shapes, self.M, device) for _ in range(2))
        self.moments = [torch.zeros_like(self.weights.flat) for _ in range(2)]
        B, T = self.training["batch"], self.training["sequenceLength"]
        self.streams = Streams(text, vocabulary, B, T, device)
        self.hyper_state = [choice(config, "author", "hyperState", "carried", "sequence", "none") for config in configs]
        self.sequence = Sequence(self.c, self.weights, T, B, self.gradients, options["fused"], self.hyper_state)

        # Values for each step, read by its number.
        adam, length = self.training["adam"], self.streams.length
        places = [step % self.streams.sequences * T for step in range(self.steps)]
        self.step = torch.zeros(1, dtype=torch.long, device=device)
        self.start = torch.tensor(places, device=device)
        self.keep = torch.tensor(
            [[float(place > 0 and config["training"]["carryState"]) for config in configs] for place in places],
            device=device)
        self.count = torch.tensor([float(B * min(T, length - place)) for place in places], device=device)
        self.rates = torch.tensor(
            [[rate(config["training"]["learningRate"], step) / (1 - adam["beta1"] ** step) for config in configs]
             for step in range(1, self.steps + 1)], device=device)
        self.correction = torch.tensor(
            [1 / math.sqrt(1 - adam["beta2"] ** step) for step in range(1, self.steps + 1)], device=device)
        keeps = [[float(config["model"][key]) for config in configs]
                 for key in ("keepInput", "keepRecurrent", "keepHyperRecurrent", "keepOutput")]
        self.keeps = [None if set(keep) == {1} else torch.tensor(keep, device=device) for keep in keeps]
        # Results of each step: the loss in nats and the gradient's norm.
        self.history = torch.zeros(self.steps, self.M, 2, device=device)

        self.replay, self.is_graph = captured(self.learn, device, options["graph"])
        # The calls before this one were trials: their results are forgotten.
        self.step.zero_()
        self.history.zero_()
        for tensor in self.moments + self.sequence.states:
            tensor.zero_()
        for m, named in enumerate(initial):
            for name, tensor in pack(named, self.c).items():
                self.weights[name][m].copy_(tensor)

    def learn(self):
        """One step of every model."""
        step = self.step.clamp(max=self.steps - 1)
        inputs, targets = self.streams.read(self.start[step])
        self.sequence.carry(self.keep[step])
        losses = self.sequence.learn(inputs, targets, self.count[step], *self.keeps)
        x, g, (m, v), adam = self.weights.flat, self.gradients.flat, self.moments, self.training["adam"]
        norms = torch.linalg.vector_norm(g, dim=1)
        if self.training["clipNorm"] is not None:
            g.mul_((self.training["clipNorm"] / norms).clamp(max=1)[:, None])
        m.lerp_(g, 1 - adam["beta1"])
        v.mul_(adam["beta2"]).addcmul_(g, g, value=1 - adam["beta2"])
        scale = v.sqrt().mul_(self.correction[step]).add_(adam["epsilon"])
        x.sub_(m.div(scale).mul_(self.rates[step].view(-1, 1)))
        self.history.index_copy_(0, step, torch.stack([losses, norms], 1)[None])
        self.step += 1

    def named(self, m):
        """Weights of model m under the names of the files of weights."""
        return unpack({name: tensor[m].cpu() for name, tensor in self.weights.items()}, self.c)

    def tensors(self):
        """All that a step changes and reads again; the results of the steps are not part of it."""
        return [self.step, self.weights.flat, *self.moments, *self.sequence.states]


class Best:
    """Validation chooses the weights: of every model those of its lowest validation so far."""

    def __init__(self, weights):
        self.weights, self.flat = weights, weights.flat.clone()
        self.bits, self.steps = [math.nan] * len(self.flat), [0] * len(self.flat)

    def look(self, step, bits):
        """A figure that is not a number is taken too, so that a model that diverged is reported as such."""
        for m, figure in enumerate(bits):
            if not figure >= self.bits[m]:
                self.bits[m], self.steps[m] = figure, step
                self.flat[m].copy_(self.weights.flat[m])

    def restore(self):
        self.weights.flat.copy_(self.flat)


def save_state(path, trained, best, record):
    """All of a run, to be gone on with by `load_state`; the random numbers of dropout begin anew there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(f"{path}.tmp")
    torch.save({"tensors": trained.tensors(), "best": best.flat, "bits": best.bits, "steps": best.steps,
                "record": record}, partial)
    os.replace(partial, path)


def lasting(settings):
    """Those settings that a run keeps for its whole life, as --variants takes them."""
    changeable = "training.learningRate", "training.steps", "evaluation"
    return "'" + "; ".join(setting for setting in settings if not setting.startswith(changeable)) + "'"


def load_state(path, trained, best, record):
    """Takes up a run of the same models where `save_state` left it, and says where in `record`. Seeds and settings are
    held to those of the run, except rate, length and evaluation."""
    try:
        state = torch.load(path, map_location=trained.step.device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise SystemExit(f"{path}: expected the state of a run as --states keeps it: {error}") from error
    if not isinstance(state, dict) or not {"record", "tensors", "best", "bits", "steps"} <= state.keys():
        raise SystemExit(f"{path}: expected the state of a run as --states keeps it, found another file of torch's")
    before = state["record"]
    if len(before["models"]) != len(record["models"]):
        raise SystemExit(f"{path}: expected {len(record['models'])} models, found {len(before['models'])}")
    compared = [(key, record[key], before[key])
                for key in ("kind", "parameters", "batch", "sequenceLength", "trainingTextSHA256")]
    compared.append(("--set", lasting(record["set"]), lasting(before["set"])))
    for m, (model, old) in enumerate(zip(record["models"], before["models"]), 1):
        compared += [(f"model {m} of seed", model["seed"], old["seed"]),
                     (f"model {m} of variant", lasting(model.get("set", [])), lasting(old.get("set", [])))]
    for name, expected, found in compared:
        if found != expected:
            raise SystemExit(f"{path}: expected a run with {name} {expected}, found {found}")
    for tensor, saved in zip(trained.tensors(), state["tensors"]):
        tensor.copy_(saved)
    best.flat.copy_(state["best"])
    best.bits, best.steps = state["bits"], state["steps"]
    for model, old in zip(record["models"], before["models"]):
        model |= {key: old[key] for key in ("curve", "steps")}
    record |= {"resumedAt": trained.step.item(), "seconds": before["seconds"]}
    torch.manual_seed(record["models"][0]["seed"] + record["resumedAt"])


def begun_from(path, c, vocabulary):
    """The weights of a file, which must be those of the configuration's model."""
    model, expected = hypernetworks.load(path), hypernetworks.CharacterModel(c, vocabulary)
    shapes = [{name: tuple(tensor.shape) for name, tensor in one.state_dict().items()} for one in (model, expected)]
    if getattr(model, "vocabulary", None) != vocabulary or shapes[0] != shapes[1]:
        raise SystemExit(f"{path}: expected weights of the configuration's model, with the training text's symbols")
    return model.state_dict()


def save_weights(path, named, c, vocabulary, step):
    """A file of weights in half precision, which `char-hyperlstm evaluate` reads."""
    model = hypernetworks.CharacterModel(c, vocabulary)
    model.load_state_dict(named)
    model.metadata = {
        "model": json.dumps(c, sort_keys=True, separators=(",", ":")), "corpus": "ptb", "step": str(step),
        "vocabulary": " ".join(map(str, vocabulary))}
    hypernetworks.save(model.half(), path)


def json_text(record):
    """As JSON: numbers to six decimals, null for what is not finite, each list of numbers on one line."""
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        if isinstance(value, float):
            return round(value, 6) if math.isfinite(value) else None
        return value

    def on_one_line(numbers):
        return "[" + " ".join(numbers[1].split()) + "]"

    return re.sub(r"\[([^][{}]*)\]", on_one_line, json.dumps(plain(record), indent=1)) + "\n"


def write(path, record):
    """Replaces the file atomically."""
    partial = Path(f"{path}.tmp")
    partial.write_text(json_text(record))
    os.replace(partial, path)


def main():
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configuration", nargs="?", help="a name from `char-hyperlstm list`, or a YAML file")
    parser.add_argument("--data", type=Path, default=evaluate.DATA, help="the data folder; default: $HYPERNETWORKS_DATA, else data/")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="as of `train`")
    parser.add_argument("--peaks", type=float, nargs="+", help="a model for each peak rate; default: the configuration's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="and for each seed")
    parser.add_argument("--variants", nargs="+", default=[""], metavar="KEY.PATH=VALUE;…",
                        help="and for each of these changes of rate, dropout, initial values or carried state; "
                             "an empty one changes nothing")
    parser.add_argument("--initial", help="weights to start from, in place of those of the seed")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after so long, counted from the start")
    parser.add_argument("--report-streams", type=int, default=0,
                        help="at the end read validation and test split, with the weights of the best validation, "
                             "as so many streams; 1 is the paper's way")
    parser.add_argument("--out", default="cross-check.json", help="curves, written after every validation")
    parser.add_argument("--weights", help="a file for the weights of the model with the best validation")
    parser.add_argument("--states", metavar="FOLDER", help="keeps all of the run at its end, as step-STEP.pt")
    parser.add_argument("--states-at", type=int, nargs="+", default=[], metavar="STEP", help="and after so many steps, each with a validation")
    parser.add_argument("--resume", metavar="FILE", help="one of these; rate, length and evaluation may have been changed")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tf32", action="store_true", help="products of TensorFloat-32 in place of float32")
    parser.add_argument("--no-graph", action="store_true", help="without a CUDA graph")
    parser.add_argument("--no-fused", action="store_true", help="without the kernels of lstm_update.py")
    parser.add_argument("--smoke", action="store_true", help="a check of graph and kernels on small models, nothing else")
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    torch.set_float32_matmul_precision("high" if arguments.tf32 else "highest")
    device = torch.device(arguments.device)
    options = {"graph": not arguments.no_graph,
               "fused": device.type == "cuda" and lstm_update.triton is not None and not arguments.no_fused}
    if arguments.smoke:
        return smoke(device)
    if arguments.configuration is None:
        parser.error("expected a configuration")
    if arguments.states_at and not arguments.states:
        parser.error("--states-at expects --states FOLDER too")
    # What would stop the program at its end is looked for now.
    for path in arguments.out, arguments.weights:
        if path and not Path(path).absolute().parent.is_dir():
            parser.error(f"{path}: its folder does not exist")
    if arguments.report_streams < 0:
        parser.error(f"--report-streams expects at least 0, found {arguments.report_streams}")

    config = configuration(arguments.configuration, arguments.set)
    c, training, evaluation = model_configuration(config), config["training"], config["evaluation"]
    if config["data"]["corpus"] != "ptb":
        raise SystemExit(f"no reader of the corpus '{config['data']['corpus']}'; expected ptb")
    if training["patience"] is not None:
        raise SystemExit(f"training.patience: expected null, found {training['patience']}: no run here stops early")
    text = {split: evaluate.penn_treebank(arguments.data, split) for split in ("train", "valid", "test")}
    vocabulary = bytes(sorted(set(text["train"])))
    if max(arguments.states_at, default=0) > training["steps"]:
        parser.error(f"--states-at expects at most the {training['steps']} steps of the run, found {max(arguments.states_at)}")
    models, configs, initial = [], [], []
    loaded = begun_from(arguments.initial, c, vocabulary) if arguments.initial else None
    for seed in arguments.seeds:
        for changes in arguments.variants:
            changes = [change.strip() for change in changes.split(";") if change.strip()]
            varied = variant(config, changes)
            named = loaded or initial_values(varied, len(vocabulary), seed)
            for peak in arguments.peaks or [peak_of(varied)]:
                models.append({"peak": peak, "seed": seed} | ({"set": changes} if changes else {}))
                configs.append(with_peak(varied, peak))
                initial.append(named)
    # Other programs carry the hyper cell's state, and would read the other weights without a word as what they are not.
    readable = [m for m, one in enumerate(configs) if one["author"]["hyperState"] == "carried"]
    if arguments.weights and not readable:
        parser.error("--weights expects a model with author.hyperState=carried: no other program reads the others")
    torch.manual_seed(arguments.seeds[0])

    def training_of(options):
        return Training(configs, text["train"], vocabulary, initial, device, options)

    try:
        trained = training_of(options)
    except Exception as error:  # whatever a compiler of kernels may raise on a machine not seen before
        if not options["fused"]:
            raise
        print(f"no fused kernels, going on without: {error}", flush=True)
        options["fused"] = False
        trained = training_of(options)
    prefix = evaluation["validationCharacters"]
    validation = Evaluation(
        c, trained.weights, text["valid"][:prefix], vocabulary, evaluation["validationStreams"],
        training["sequenceLength"], options, trained.hyper_state)
    torch.manual_seed(arguments.seeds[0])
    places = evaluation["validateAt"]
    places = set(range(places, training["steps"] + 1, places) if isinstance(places, int) else places)
    places |= {training["steps"], *arguments.states_at}

    record = {
        "program": "python/cross_check.py", "configuration": Path(arguments.configuration).name.removesuffix(".yaml"),
        "set": arguments.set,
        "kind": ("Layer Norm " if c["layerNorm"] else "") + ("HyperLSTM" if c["hyperUnits"] else "LSTM"),
        "units": c["units"], "batch": training["batch"], "sequenceLength": training["sequenceLength"],
        "parameters": sum(tensor.numel() for tensor in initial[0].values()), "stepsPlanned": training["steps"],
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "cpu",
        "versions": {"torch": str(torch.__version__), "cuda": torch.version.cuda, "python": platform.python_version()},
        "products": "TF32" if arguments.tf32 else "float32", "graph": trained.is_graph, "fused": options["fused"],
        "trainingTextSHA256": hashlib.sha256(text["train"]).hexdigest(),
        "validation": {"streams": validation.streams.batch, "predictions": validation.streams.predictions},
        "curveColumns": ["step", "training bits since the last", "validation bits"],
        "stepColumns": ["step", "loss in nats", "gradient norm"],
        "models": [model | {"curve": [], "steps": []} for model in models]}
    print(f"{record['kind']}, {record['units']} units, {len(models)} models of {record['parameters']:,} parameters; "
          f"{record['device']}, {record['products']}, graph {record['graph']}, fused {record['fused']}; ready after "
          f"{time.monotonic() - began:.1f} s", flush=True)

    def synchronize():
        if device.type == "cuda":
            torch.cuda.synchronize()

    best = Best(trained.weights)
    if arguments.resume:
        load_state(arguments.resume, trained, best, record)
        if record["resumedAt"] >= training["steps"]:
            parser.error(f"--resume: {arguments.resume} is at step {record['resumedAt']}, the end of "
                         f"{training['steps']} steps: --set training.steps=… goes on")
    begun, earlier = record.get("resumedAt", 0), record.get("seconds", 0)
    trained_seconds, last, done, every = 0.0, begun, begun, training["logEvery"]
    while done < training["steps"]:
        start = time.monotonic()
        # As many as are sure to need no look at the clock, up to the next validation.
        until = min(min(place for place in places if place > done), done + 20)
        for _ in range(until - done):
            trained.replay()
        synchronize()
        done = until
        trained_seconds += time.monotonic() - start
        out_of_time = time.monotonic() - began > arguments.seconds
        if done not in places and not out_of_time:
            continue
        bits, history = validation.bits(), trained.history[last:done].double().cpu()
        best.look(done, bits)
        for m, model in enumerate(record["models"]):
            model["bestStep"] = best.steps[m]
            model["curve"].append([done, history[:, m, 0].mean().item() / math.log(2), bits[m]])
            model["steps"] += [
                [step, *history[step - last - 1, m].tolist()] for step in range(last + 1, done + 1)
                if step <= FIRST_STEPS and (step % every == 0 or step == 1)]
        last = done
        record |= {"stepsDone": done, "millisecondsPerStep": 1000 * trained_seconds / (done - begun),
                   "seconds": earlier + time.monotonic() - began}
        write(arguments.out, record)
        print(f"step {done}: " + "  ".join(
            f"[{'; '.join([format(model['peak'], 'g'), 'seed %d' % model['seed'], *model.get('set', [])])}] "
            f"{model['curve'][-1][1]:.4f} / {model['curve'][-1][2]:.4f}" for model in record["models"]) +
            f"  ({record['millisecondsPerStep']:.1f} ms a step, {record['seconds']:.0f} s)", flush=True)
        if arguments.states and (out_of_time or done in {training["steps"], *arguments.states_at}):
            save_state(Path(arguments.states) / f"step-{done}.pt", trained, best, record)
        if out_of_time:
            print("out of time", flush=True)
            break

    best.restore()
    if arguments.weights:
        # A diverged model, whose figure is NaN, comes last.
        chosen = min(readable, key=lambda m: (math.isnan(best.bits[m]), best.bits[m]))
        save_weights(
            arguments.weights, trained.named(chosen), model_configuration(configs[chosen]), vocabulary, best.steps[chosen])
        record["weights"] = {"file": Path(arguments.weights).name, **models[chosen]}
    if arguments.report_streams:
        for split in "valid", "test":
            reading = Evaluation(
                c, trained.weights, text[split], vocabulary, arguments.report_streams, training["sequenceLength"],
                options, trained.hyper_state)
            read = reading.bits()
            for m, model in enumerate(record["models"]):
                model[split] = {"figure": read[m], "streams": arguments.report_streams,
                                "predictions": reading.streams.predictions}
            print(f"{split} as {arguments.report_streams} streams: " + "  ".join(f"{b:.4f}" for b in read), flush=True)
    record["seconds"] = earlier + time.monotonic() - began
    write(arguments.out, record)
    print(f"{arguments.out}: {record['seconds']:.0f} s", flush=True)


def smoke(device):
    """Trains small models for 20 steps with and without graph and kernels, and compares."""
    began, worst = time.monotonic(), 0.0
    text = bytes(torch.randint(97, 105, (20_000,), generator=torch.Generator().manual_seed(1)).tolist())
    vocabulary = bytes(sorted(set(text)))
    for name in "table3-lstm", "table3-layer-norm-hyperlstm":
        config = configuration(name, [
            "model.units=72", "training.batch=8", "training.sequenceLength=12", "training.steps=20",
            "training.learningRate=0.003", "model.keepInput=1", "model.keepOutput=1", "model.keepRecurrent=1"])
        if config["model"]["hyperUnits"]:
            config["model"]["hyperUnits"] = 24
        initial = [initial_values(config, len(vocabulary), seed) for seed in (0, 1)]
        results = {}
        for fused, graph in (False, False), (True, False), (True, True):
            options = {"fused": fused and device.type == "cuda" and lstm_update.triton is not None, "graph": graph}
            trained = Training(
                [with_peak(config, peak) for peak in (0.003, 0.001)], text, vocabulary, initial, device, options)
            evaluation = Evaluation(trained.c, trained.weights, text[:3000], vocabulary, 5, 12, options)
            for _ in range(20):
                trained.replay()
            results[fused, graph] = torch.cat(
                [trained.history[..., 0].flatten().cpu(), torch.tensor(evaluation.bits())])
            if graph:
                print(f"{name}: graph {trained.is_graph}, kernels {options['fused']}, losses "
                      f"{trained.history[0, 0, 0].item():.4f} to {trained.history[-1, 0, 0].item():.4f}")
        for key, result in results.items():
            difference = (result - results[False, False]).abs().max().item()
            worst = max(worst, difference if math.isfinite(difference) else math.inf)
            print(f"  fused {key[0]}, graph {key[1]}: within {difference:.1e} of the plain computation")
    print(f"{'passed' if worst < 1e-3 else 'FAILED'} in {time.monotonic() - began:.1f} s")
    sys.exit(worst >= 1e-3)


if __name__ == "__main__":
    evaluate.run(main)
