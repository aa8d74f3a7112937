"""Makes the fixtures of HyperNetworksTests, in PyTorch float64: here the paper's recurrent cells over a whole sequence; the
static hypernetworks and the image classifiers are in static_networks.py beside this.

To make them again:   python3 Tests/HyperNetworksTests/Fixtures/generate.py            (needs torch, numpy, safetensors)
One of them alone:    python3 Tests/HyperNetworksTests/Fixtures/generate.py lstm_dense
To compare only:      python3 Tests/HyperNetworksTests/Fixtures/generate.py --check

Every matrix is stored as [in, out] and applied as x · W. Packed gates stand in the order i, g, f, o on the last axis: [.., 4H].
T steps, B streams, V symbols, I inputs, H units, h hyper units, N_z embedding entries.

    in.symbols       [T, B] int64   the one-hot input x_t, or
    in.x             [T, B, I]      the dense input
    in.inputScale    [T, B]         factor on x_t (input dropout), for the main cell and inside x̂_t
    in.dropout       [T, B, H]      factor on φ(g) of the main cell (recurrent dropout, Eq. 13)
    in.hyperDropout  [T, B, h]      the same in the hyper cell, where a case has it
    in.h0, in.c0     [B, H]         state before the first step; in.hyper_h0, in.hyper_c0 [B, h]
    out.h            [T, B, H]      h_1 … h_T;  out.hT, out.cT, out.hyper_hT, out.hyper_cT the last state
    param.*                         named by the paper; `param.hyper.*` is the hyper cell, `param.layer0.*` a layer of a model

Cells with layer normalization have gamma, beta [4H] for the gates and gamma_c, beta_c [H] for c inside φ.
Keys of gradients and of the objective: see oracle.py in Tests/TestSupport.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "TestSupport")]
import static_networks
import torch
from oracle import Case, cross_entropy, layer_norm, main

EPSILON = 1e-3
σ, φ = torch.sigmoid, torch.tanh


# ---------------------------------------------------------------- the paper's equations

def lstm_update(p, y, c, dropout, forget_bias):
    """From packed pre-activations y [B, 4H] to h_t and c_t. Layer normalization where the parameters have a γ."""
    if "gamma" in p:
        y = layer_norm(y, p["gamma"], p["beta"], EPSILON, groups=4)
    i, g, f, o = y.chunk(4, -1)
    c = σ(f + forget_bias) * c + σ(i) * (dropout * φ(g))                                      # Eq. 13
    normalized = layer_norm(c, p["gamma_c"], p["beta_c"], EPSILON) if "gamma_c" in p else c    # c itself stays raw
    return σ(o) * φ(normalized), c                                                            # Eq. 13


def lstm_step(p, x, h, c, dropout, forget_bias):
    y = h @ p["W_h"] + x @ p["W_x"] + p["b"]                                                  # Eq. 9
    return lstm_update(p, y, c, dropout, forget_bias)


def part(p, prefix):
    return {key[len(prefix):]: value for key, value in p.items() if key.startswith(prefix)}


def hyperlstm_step(p, x, h, c, ĥ, ĉ, dropout, hyper_dropout, forget_bias, embed_previous):
    x̂ = torch.cat([h, x], -1)
    ĥ_before = ĥ
    ĥ, ĉ = lstm_step(part(p, "hyper."), x̂, ĥ, ĉ, hyper_dropout, forget_bias)                  # Eq. 10
    source = ĥ_before if embed_previous else ĥ

    def per_gate(z):
        return z.unflatten(-1, (4, -1))

    z_h = per_gate(source @ p["W_hhat_h"] + p["b_hhat_h"])                                    # Eq. 11, [B, 4, N_z]
    z_x = per_gate(source @ p["W_hhat_x"] + p["b_hhat_x"])
    z_b = per_gate(source @ p["W_hhat_b"])

    d_h = torch.einsum("bkz,kzj->bkj", z_h, p["W_hz"]).flatten(-2)                            # Eq. 12, [B, 4H]
    d_x = torch.einsum("bkz,kzj->bkj", z_x, p["W_xz"]).flatten(-2)
    b = torch.einsum("bkz,kzj->bkj", z_b, p["W_bz"]).flatten(-2) + p["b_0"]
    y = d_h * (h @ p["W_h"]) + d_x * (x @ p["W_x"]) + b
    h, c = lstm_update(p, y, c, dropout, forget_bias)                                         # LN of Eq. 12, Eq. 13
    return h, c, ĥ, ĉ


def hyperrnn_step(p, x, h, ĥ, full, embed_previous=False):
    hyper = part(p, "hyper.")
    x̂ = torch.cat([h, x], -1)
    ĥ_before, ĥ = ĥ, φ(ĥ @ hyper["W_h"] + x̂ @ hyper["W_x"] + hyper["b"])                      # Eq. 6
    source = ĥ_before if embed_previous else ĥ
    z_h = source @ p["W_hhat_h"] + p["b_hhat_h"]
    z_x = source @ p["W_hhat_x"] + p["b_hhat_x"]
    z_b = source @ p["W_hhat_b"]
    b = z_b @ p["W_bz"] + p["b_0"]
    if full:
        W_h = torch.einsum("bz,zij->bij", z_h, p["W_hz"])                                     # Eq. 5
        W_x = torch.einsum("bz,zij->bij", z_x, p["W_xz"])
        h = φ(torch.einsum("bi,bij->bj", h, W_h) + torch.einsum("bi,bij->bj", x, W_x) + b)
    else:
        d_h, d_x = z_h @ p["W_hz"], z_x @ p["W_xz"]                                           # Eq. 7
        h = φ(d_h * (h @ p["W_h"]) + d_x * (x @ p["W_x"]) + b)                                # Eq. 8
    return h, ĥ


# ---------------------------------------------------------------- whole sequences

def lstm_sequence(p, inputs, x, forget_bias):
    h, c, hs = inputs["h0"], inputs["c0"], []
    for t in range(len(x)):
        h, c = lstm_step(p, x[t], h, c, inputs["dropout"][t], forget_bias)
        hs.append(h)
    return {"h": torch.stack(hs), "hT": h, "cT": c}


def hyperlstm_sequence(p, inputs, x, forget_bias, embed_previous=False):
    h, c, ĥ, ĉ, hs = inputs["h0"], inputs["c0"], inputs["hyper_h0"], inputs["hyper_c0"], []
    for t in range(len(x)):
        hyper_dropout = inputs["hyperDropout"][t] if "hyperDropout" in inputs else 1.0
        h, c, ĥ, ĉ = hyperlstm_step(
            p, x[t], h, c, ĥ, ĉ, inputs["dropout"][t], hyper_dropout, forget_bias, embed_previous)
        hs.append(h)
    return {"h": torch.stack(hs), "hT": h, "cT": c, "hyper_hT": ĥ, "hyper_cT": ĉ}


# ---------------------------------------------------------------- drawing parameters and inputs

def draw_matrix(case, key, inputs, *outputs):
    case.normal(key, inputs, *outputs, deviation=inputs ** -0.5)


def draw_norm(case, prefix, H):
    for suffix, size in (("", 4 * H), ("_c", H)):
        case.normal(f"{prefix}gamma{suffix}", size, mean=1, deviation=0.3)
        case.normal(f"{prefix}beta{suffix}", size, deviation=0.3)


def draw_lstm(case, prefix, I, H, norm, bias="b"):
    draw_matrix(case, f"{prefix}W_x", I, 4 * H)
    draw_matrix(case, f"{prefix}W_h", H, 4 * H)
    case.normal(f"{prefix}{bias}", 4 * H, deviation=0.5)
    if norm:
        draw_norm(case, prefix, H)


def draw_embeddings(case, prefix, h, size):
    for name in ("W_hhat_h", "W_hhat_x", "W_hhat_b"):
        draw_matrix(case, prefix + name, h, size)
    for name in ("b_hhat_h", "b_hhat_x"):
        case.normal(prefix + name, size, mean=1, deviation=0.3)


def draw_hyperlstm(case, prefix, I, H, h, N_z, norm, hyper_norm):
    draw_lstm(case, prefix, I, H, norm, bias="b_0")
    draw_lstm(case, f"{prefix}hyper.", H + I, h, hyper_norm)
    draw_embeddings(case, prefix, h, 4 * N_z)
    for name, mean in (("W_hz", 1), ("W_xz", 1), ("W_bz", 0)):
        case.normal(prefix + name, 4, N_z, H, mean=mean / N_z, deviation=0.5 * N_z ** -0.5)


def draw_state(case, prefix, B, H, h=None):
    names = [("h0", H), ("c0", H)] + ([("hyper_h0", h), ("hyper_c0", h)] if h else [])
    for name, size in names:
        case.normal(prefix + name, B, size, deviation=0.5)


def draw_input(case, T, B, V, dense):
    """The scaled input x_t [T, B, V]: one-hot symbols, or dense values of the same width."""
    if dense:
        x = case.normal("in.x", T, B, V)
    else:
        x = torch.nn.functional.one_hot(case.symbols("in.symbols", T, B, count=V), V).to(torch.float64)
    return case.mask("in.inputScale", T, B)[:, :, None] * x


def lstm_case(name, norm, dense=False, forget_bias=1, T=5, B=3, V=6, H=7):
    case = Case(name, epsilon=EPSILON, forgetBias=forget_bias, layerNorm=norm)
    x = draw_input(case, T, B, V, dense)
    draw_state(case, "in.", B, H)
    case.mask("in.dropout", T, B, H)
    draw_lstm(case, "param.", V, H, norm)
    return case, case.finish(lstm_sequence(case.group("param."), case.group("in."), x, forget_bias))


def hyperlstm_case(name, norm, dense=False, forget_bias=1, T=5, B=3, V=6, H=7, h=5, N_z=3, hyper_norm=None,
                   hyper_dropout=False, embed_previous=False):
    hyper_norm = norm if hyper_norm is None else hyper_norm
    case = Case(name, epsilon=EPSILON, forgetBias=forget_bias, layerNorm=norm, hyperLayerNorm=hyper_norm,
                embeddingsFrom="previous" if embed_previous else "current")
    x = draw_input(case, T, B, V, dense)
    draw_state(case, "in.", B, H, h)
    case.mask("in.dropout", T, B, H)
    if hyper_dropout:
        case.mask("in.hyperDropout", T, B, h)
    draw_hyperlstm(case, "param.", V, H, h, N_z, norm, hyper_norm)
    outputs = hyperlstm_sequence(case.group("param."), case.group("in."), x, forget_bias, embed_previous)
    return case, case.finish(outputs)


def hyperrnn_case(name, full, embed_previous=False, T=5, B=3, I=6, H=7, h=5, N_z=3):
    case = Case(name, **({"embeddingsFrom": "previous"} if embed_previous else {}))
    x = case.normal("in.x", T, B, I)
    for key, size in (("in.h0", H), ("in.hyper_h0", h)):
        case.normal(key, B, size, deviation=0.5)
    draw_matrix(case, "param.hyper.W_x", H + I, h)
    draw_matrix(case, "param.hyper.W_h", h, h)
    case.normal("param.hyper.b", h, deviation=0.5)
    draw_embeddings(case, "param.", h, N_z)
    case.normal("param.b_0", H, deviation=0.5)
    case.normal("param.W_bz", N_z, H, deviation=0.3)
    if full:
        case.normal("param.W_hz", N_z, H, H, deviation=0.1)
        case.normal("param.W_xz", N_z, I, H, deviation=0.1)
    else:
        draw_matrix(case, "param.W_h", H, H)
        draw_matrix(case, "param.W_x", I, H)
        case.normal("param.W_hz", N_z, H, mean=1 / N_z, deviation=0.3)
        case.normal("param.W_xz", N_z, H, mean=1 / N_z, deviation=0.3)
    p, h, ĥ, hs = case.group("param."), case.tensors["in.h0"], case.tensors["in.hyper_h0"], []
    for t in range(T):
        h, ĥ = hyperrnn_step(p, x[t], h, ĥ, full, embed_previous)
        hs.append(h)
    return case, case.finish({"h": torch.stack(hs), "hT": h, "hyper_hT": ĥ})


def model_case(kind, layers, hyper, norm, T=5, B=3, V=6, H=7, h=5, N_z=3):
    """A whole character model: layers, output dropout on the last h, biased softmax, mean cross entropy over T·B in nats."""
    forget_bias = 1
    case = Case(f"model_{kind}", epsilon=EPSILON, forgetBias=forget_bias, layerNorm=norm, layers=layers, hyper=hyper)
    x = draw_input(case, T, B, V, dense=False)
    targets = case.symbols("in.targets", T, B, count=V)
    outputs = {}
    for layer in range(layers):
        inputs, parameters = f"in.layer{layer}.", f"param.layer{layer}."
        draw_state(case, inputs, B, H, h if hyper else None)
        case.mask(f"{inputs}dropout", T, B, H)
        if hyper:
            draw_hyperlstm(case, parameters, x.shape[-1], H, h, N_z, norm, norm)
        else:
            draw_lstm(case, parameters, x.shape[-1], H, norm)
        sequence = hyperlstm_sequence if hyper else lstm_sequence
        states = sequence(case.group(parameters), case.group(inputs), x, forget_bias)
        x = states["h"]
        outputs.update({f"layer{layer}.{key}": value for key, value in states.items() if key != "h"})
    x = case.mask("in.outputDropout", T, B, H) * x
    draw_matrix(case, "param.output.W", H, V)
    case.normal("param.output.b", V, deviation=0.5)
    logits = x @ case.tensors["param.output.W"] + case.tensors["param.output.b"]
    loss = cross_entropy(logits.reshape(-1, V), targets.reshape(-1))
    return case, case.finish({**outputs, "logits": logits, "loss": loss}, objective=loss)


# ---------------------------------------------------------------- the equations above against others

def check_full_form():
    """With W_hz[z, i, j] = W_h[i, j] d[z, j], and W_xz alike, the full form of Eq. 5 is the efficient form of Eq. 8."""
    case, _ = hyperrnn_case("check", full=False)
    p, x, h, ĥ = case.group("param."), *(case.tensors[f"in.{key}"] for key in ("x", "h0", "hyper_h0"))
    full = {**p, "W_hz": p["W_h"] * p["W_hz"][:, None], "W_xz": p["W_x"] * p["W_xz"][:, None]}
    for ours, theirs in zip(hyperrnn_step(p, x[0], h, ĥ, full=False), hyperrnn_step(full, x[0], h, ĥ, full=True)):
        assert torch.allclose(ours, theirs, rtol=1e-13, atol=1e-13)


def check_lstm():
    """Without dropout, LN and forget bias the LSTM is torch.nn.LSTM (whose gates stand i, f, g, o)."""
    case, _ = lstm_case("check", norm=False, dense=True, forget_bias=0)
    p, inputs = case.group("param."), case.group("in.")
    inputs["dropout"] = torch.ones_like(inputs["dropout"])
    ours = lstm_sequence(p, inputs, inputs["x"], forget_bias=0)
    theirs = torch.nn.LSTM(6, 7)
    i, g, f, o = range(4)

    def reordered(w):
        blocks = w.detach().chunk(4, -1)
        return torch.cat([blocks[gate] for gate in (i, f, g, o)], -1).t()

    with torch.no_grad():
        theirs.weight_ih_l0.copy_(reordered(p["W_x"]))
        theirs.weight_hh_l0.copy_(reordered(p["W_h"]))
        theirs.bias_ih_l0.copy_(reordered(p["b"]))
        theirs.bias_hh_l0.zero_()
    h, (hT, cT) = theirs(inputs["x"], (inputs["h0"][None], inputs["c0"][None]))
    for name, value in (("h", h), ("hT", hT[0]), ("cT", cT[0])):
        assert torch.allclose(ours[name], value, rtol=1e-13, atol=1e-13), name


def cases():
    check_lstm()
    check_full_form()
    yield lstm_case("lstm", norm=False)
    yield lstm_case("lstm_forgetBias0", norm=False, forget_bias=0)
    yield lstm_case("lstm_dense", norm=False, dense=True)
    yield lstm_case("lstm_h33", norm=False, H=33, T=3)
    yield lstm_case("lstm_ln", norm=True)
    yield lstm_case("lstm_ln_forgetBias0", norm=True, forget_bias=0)
    yield lstm_case("lstm_ln_dense", norm=True, dense=True)
    yield lstm_case("lstm_ln_h19", norm=True, H=19)
    yield lstm_case("lstm_ln_h33", norm=True, H=33, T=3)

    yield hyperlstm_case("hyperlstm", norm=False)
    yield hyperlstm_case("hyperlstm_dense", norm=False, dense=True)
    yield hyperlstm_case("hyperlstm_nz4", norm=False, N_z=4)
    yield hyperlstm_case("hyperlstm_nz17", norm=False, N_z=17)
    yield hyperlstm_case("hyperlstm_hyperLN", norm=False, hyper_norm=True)
    yield hyperlstm_case("hyperlstm_ln", norm=True)
    yield hyperlstm_case("hyperlstm_ln_dense", norm=True, dense=True)
    yield hyperlstm_case("hyperlstm_ln_nz4", norm=True, N_z=4)
    yield hyperlstm_case("hyperlstm_ln_nz17", norm=True, N_z=17)
    yield hyperlstm_case("hyperlstm_ln_hyperDropout", norm=True, hyper_dropout=True)
    yield hyperlstm_case("hyperlstm_ln_previous", norm=True, embed_previous=True)
    yield hyperlstm_case("hyperlstm_ln_forgetBias0", norm=True, forget_bias=0)
    yield hyperlstm_case("hyperlstm_ln_h19", norm=True, H=19, h=9, N_z=4, T=3)
    yield hyperlstm_case("hyperlstm_ln_h33", norm=True, H=33, h=9, N_z=3, T=3)

    yield hyperrnn_case("hyperrnn_efficient", full=False)
    yield hyperrnn_case("hyperrnn_full", full=True)
    yield hyperrnn_case("hyperrnn_previous", full=False, embed_previous=True)

    yield model_case("lstm", layers=1, hyper=False, norm=False)
    yield model_case("ln_lstm", layers=1, hyper=False, norm=True)
    yield model_case("2_layer_lstm", layers=2, hyper=False, norm=False)
    yield model_case("hyperlstm", layers=1, hyper=True, norm=False)
    yield model_case("ln_hyperlstm", layers=1, hyper=True, norm=True)
    yield model_case("2_layer_ln_hyperlstm", layers=2, hyper=True, norm=True)

    yield from static_networks.cases()


if __name__ == "__main__":
    main(HERE, cases())
