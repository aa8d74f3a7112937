"""Makes the fixture of HyperGRUCell, in PyTorch float64: five steps of the cell, values and all gradients.

To make it again:     python3 Tests/ExperimentKitTests/Fixtures/hyper_gru.py            (needs torch, numpy, safetensors)
To compare only:      python3 Tests/ExperimentKitTests/Fixtures/hyper_gru.py --check

Keys as in Tests/HyperNetworksTests/Fixtures/generate.py; gates stand in the order r, u, n.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "TestSupport")]
import torch
from oracle import Case, main

σ, φ = torch.sigmoid, torch.tanh


def gru(x, recurrent, b, h):
    """The next h from the input's part x [B, 3H] and the state's part of the pre-activations."""
    x_r, x_u, x_n = (x + b).chunk(3, -1)
    h_r, h_u, h_n = recurrent.chunk(3, -1)
    u = σ(x_u + h_u)
    return (1 - u) * φ(x_n + σ(x_r + h_r) * h_n) + u * h


def check_gru():
    """The plain GRU is torch.nn.GRU without a bias on the recurrent part (gates r, z, n)."""
    random = torch.Generator().manual_seed(1)
    W_x, W_h, b, x, h = (torch.randn(*shape, generator=random) for shape in ((6, 21), (7, 21), (21,), (3, 6), (3, 7)))
    theirs = torch.nn.GRUCell(6, 7)
    with torch.no_grad():
        theirs.weight_ih.copy_(W_x.t())
        theirs.weight_hh.copy_(W_h.t())
        theirs.bias_ih.copy_(b)
        theirs.bias_hh.zero_()
    assert torch.allclose(gru(x @ W_x, h @ W_h, b, h), theirs(x, h), rtol=1e-13, atol=1e-13)


def hyper_gru(T=5, B=3, V=6, H=7, h=5):
    case = Case("hyper_gru")
    x = torch.nn.functional.one_hot(case.symbols("in.symbols", T, B, count=V), V).to(torch.float64)
    main_h = case.normal("in.h0", B, H, deviation=0.5)
    hyper_h = case.normal("in.hyper_h0", B, h, deviation=0.5)
    for prefix, inputs, units in (("param.", V, H), ("param.hyper.", H + V, h)):
        case.normal(f"{prefix}W_x", inputs, 3 * units, deviation=inputs ** -0.5)
        case.normal(f"{prefix}W_h", units, 3 * units, deviation=units ** -0.5)
        case.normal(f"{prefix}b", 3 * units, deviation=0.5)
    case.normal("param.W_d", h, 6 * H, deviation=h ** -0.5)
    case.normal("param.b_d", 6 * H, mean=1, deviation=0.3)
    p, hs = case.group("param."), []
    for t in range(T):
        x̂ = torch.cat([main_h, x[t]], -1)
        hyper_h = gru(x̂ @ p["hyper.W_x"], hyper_h @ p["hyper.W_h"], p["hyper.b"], hyper_h)
        d_h, d_x = (hyper_h @ p["W_d"] + p["b_d"]).chunk(2, -1)
        main_h = gru(d_x * (x[t] @ p["W_x"]), d_h * (main_h @ p["W_h"]), p["b"], main_h)
        hs.append(main_h)
    return case, case.finish({"h": torch.stack(hs), "hT": main_h, "hyper_hT": hyper_h})


if __name__ == "__main__":
    check_gru()
    main(HERE, [hyper_gru()])
