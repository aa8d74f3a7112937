"""What follows the matrix products in a step of an LSTM (Equations 10, 12 and 13), for M models at once, and its gradient.

`Update` is the readable one: PyTorch's operations and its automatic gradient, on any device. `FusedUpdate` computes the
same with one Triton kernel each way; a program of the kernel does one row: one stream of one model.

| symbol | shape | what |
|---|---|---|
| p, x | [M, B, 4H] | h W_h and x W_x, gates in the order i, g, f, o; the LSTM's bias is in x |
| d | [M, 12, B, H] | HyperLSTM alone: d_h, d_x and b of Equation 12, gate by gate |
| b_0 | [M, 4H] | HyperLSTM alone |
| c, mask | [M, B, H] | c_(t-1); recurrent dropout on φ(g), or None |
"""
import torch
from torch.nn import functional as F

try:
    import triton
    from triton import language as tl
except ImportError:
    triton = None


class Update:
    def __init__(self, units, forget_bias, epsilon, norm, b_0, batch):
        """norm: gamma, beta [M, 4H], gamma_c, beta_c [M, H]; empty without layer normalization."""
        self.units, self.forget_bias, self.epsilon, self.norm, self.b_0 = units, forget_bias, epsilon, norm, b_0
        # Gradients of the norm's parameters, summed over the steps and not yet over the streams.
        self.sums = [w.new_zeros(len(w), batch, w.shape[1]) for w in norm]

    def norm_gradients(self):
        """Summed over steps and streams, in the order of `norm`; the sums begin anew."""
        gradients = [sums.sum(1) for sums in self.sums]
        for sums in self.sums:
            sums.zero_()
        return gradients

    def equations(self, p, x, d, c, mask, norm):
        if d is None:
            y = p + x
        else:
            d_h, d_x, b = (part.transpose(1, 2).flatten(2) for part in d.chunk(3, 1))
            y = d_h * p + d_x * x + b + self.b_0[:, None]
        if norm:
            y = F.layer_norm(y.unflatten(-1, (4, -1)), (self.units,), eps=self.epsilon).flatten(-2) * norm[0] + norm[1]
        i, g, f, o = y.chunk(4, -1)
        candidate = torch.tanh(g) if mask is None else torch.tanh(g) * mask
        c = torch.sigmoid(f + self.forget_bias) * c + torch.sigmoid(i) * candidate
        inner = F.layer_norm(c, (self.units,), eps=self.epsilon) * norm[2] + norm[3] if norm else c
        return torch.sigmoid(o) * torch.tanh(inner), c

    def spread(self):
        """The norm's parameters, the same for every stream."""
        return [w[:, None].expand_as(sums) for w, sums in zip(self.norm, self.sums)]

    def forward(self, p, x, d, c, mask, h_out, c_out):
        h, c = self.equations(p, x, d, c, mask, self.spread())
        h_out.copy_(h)
        c_out.copy_(c)

    def backward(self, dh, dc, p, x, d, c, mask, dc_out, dp, dx, dd):
        """From the gradients of h_t and c_t to those of c_(t-1), p, x and d. Without d, x has p's gradient."""
        with torch.enable_grad():
            inputs = [tensor.detach().requires_grad_() for tensor in ([c, p] if d is None else [c, p, x, d])]
            norm = [w.detach().requires_grad_() for w in self.spread()]
            c, p, x, d = inputs if d is not None else (*inputs, x, None)
            gradients = torch.autograd.grad(self.equations(p, x, d, c, mask, norm), inputs + norm, (dh, dc))
        for out, gradient in zip((dc_out, dp, dx, dd), gradients[:len(inputs)]):
            out.copy_(gradient)
        for sums, gradient in zip(self.sums, gradients[len(inputs):]):
            sums.add_(gradient)


class FusedUpdate(Update):
    def launch(self, kernel, tensors, mask, d, dd=None):
        """`tensors` in the kernel's order, each with its strides from model to model and from row to row."""
        p = tensors[0]
        M, B = p.shape[:2]
        arguments = []
        for tensor in tensors + [mask]:
            tensor = p if tensor is None else tensor
            assert tensor.shape[:2] == (M, B) and tensor.stride(2) == 1
            arguments += [tensor, tensor.stride(0), tensor.stride(1)]
        for tensor in (d, dd):
            arguments += [p, 0, 0, 0] if tensor is None else [tensor, *tensor.stride()[:3]]
        weights = [*self.norm, *(w for w in [self.b_0] if w is not None)]
        # The stride of a dimension of one is whatever PyTorch made it.
        assert M == 1 or len({w.stride(0) for w in weights}) < 2, "the parameters lie in one buffer, model after model"
        block = triton.next_power_of_2(self.units)
        kernel[(M * B,)](
            *arguments, *(self.norm or [p] * 4), p if self.b_0 is None else self.b_0,
            weights[0].stride(0) if weights else 0, *(self.sums or [p] * 4), B, self.epsilon or 0.0, self.forget_bias,
            H=self.units, BLOCK=block, NORMALIZED=bool(self.norm), SCALED=d is not None, MASKED=mask is not None,
            num_warps=max(1, min(8, block // 128)))

    def forward(self, p, x, d, c, mask, h_out, c_out):
        self.launch(forward_kernel, [p, x, c, h_out, c_out], mask, d)

    def backward(self, dh, dc, p, x, d, c, mask, dc_out, dp, dx, dd):
        self.launch(backward_kernel, [p, x, c, dh, dc, dc_out, dp, dx], mask, d, dd)


if triton is not None:
    @triton.jit
    def tanh(x):
        return 2 * tl.sigmoid(2 * x) - 1

    @triton.jit
    def standardized(y, ok, epsilon, H: tl.constexpr):
        """Mean 0 and variance 1 over a row, and what it was multiplied by."""
        centered = tl.where(ok, y - tl.sum(y, 0) / H, 0.0)
        scale = 1.0 / tl.sqrt(tl.sum(centered * centered, 0) / H + epsilon)
        return centered * scale, scale

    @triton.jit
    def standardized_backward(gradient, standard, scale, H: tl.constexpr):
        mean = tl.sum(gradient, 0) / H
        along = tl.sum(gradient * standard, 0) / H
        return scale * (gradient - mean - standard * along)

    @triton.jit
    def gate(k, P, X, D, d_k, GAMMA, BETA, BIAS, u, ok, epsilon, H: tl.constexpr, NORMALIZED: tl.constexpr,
             SCALED: tl.constexpr):
        """Gate k before its nonlinearity; before that its standardized value and the factor, for the way back."""
        at = k * H + u
        y = tl.load(P + at, mask=ok, other=0.0)
        if SCALED:
            y = y * tl.load(D + k * d_k + u, mask=ok, other=0.0)
            y += tl.load(X + at, mask=ok, other=0.0) * tl.load(D + (4 + k) * d_k + u, mask=ok, other=0.0)
            y += tl.load(D + (8 + k) * d_k + u, mask=ok, other=0.0) + tl.load(BIAS + at, mask=ok, other=0.0)
        else:
            y += tl.load(X + at, mask=ok, other=0.0)
        standard = y
        scale = tl.full((), 1.0, tl.float32)
        if NORMALIZED:
            standard, scale = standardized(y, ok, epsilon, H)
            y = standard * tl.load(GAMMA + at, mask=ok, other=0.0) + tl.load(BETA + at, mask=ok, other=0.0)
        return y, standard, scale

    @triton.jit
    def add(SUM, value, ok):
        tl.store(SUM, tl.load(SUM, mask=ok, other=0.0) + value, mask=ok)

    @triton.jit
    def gate_backward(k, dy, standard, scale, P, X, D, d_k, GAMMA, DP, DX, DD, dd_k, SUM_GAMMA, SUM_BETA, u, ok,
                      H: tl.constexpr, NORMALIZED: tl.constexpr, SCALED: tl.constexpr):
        at = k * H + u
        if NORMALIZED:
            add(SUM_GAMMA + at, dy * standard, ok)
            add(SUM_BETA + at, dy, ok)
            dy = standardized_backward(
                dy * tl.load(GAMMA + at, mask=ok, other=0.0), standard, scale, H)
        if SCALED:
            p = tl.load(P + at, mask=ok, other=0.0)
            x = tl.load(X + at, mask=ok, other=0.0)
            d_h = tl.load(D + k * d_k + u, mask=ok, other=0.0)
            d_x = tl.load(D + (4 + k) * d_k + u, mask=ok, other=0.0)
            tl.store(DP + at, dy * d_h, mask=ok)
            tl.store(DX + at, dy * d_x, mask=ok)
            tl.store(DD + k * dd_k + u, dy * p, mask=ok)
            tl.store(DD + (4 + k) * dd_k + u, dy * x, mask=ok)
            tl.store(DD + (8 + k) * dd_k + u, dy, mask=ok)
        else:
            tl.store(DP + at, dy, mask=ok)

    @triton.jit
    def forward_kernel(
            P, p_m, p_b, X, x_m, x_b, C, c_m, c_b, H_OUT, ho_m, ho_b, C_OUT, co_m, co_b, MASK, mask_m, mask_b,
            D, d_m, d_k, d_b, DD, dd_m, dd_k, dd_b, GAMMA, BETA, GAMMA_C, BETA_C, BIAS, w_m,
            SUM_GAMMA, SUM_BETA, SUM_GAMMA_C, SUM_BETA_C, B, epsilon, forget_bias, H: tl.constexpr,
            BLOCK: tl.constexpr, NORMALIZED: tl.constexpr, SCALED: tl.constexpr, MASKED: tl.constexpr):
        row = tl.program_id(0)
        m = (row // B).to(tl.int64)
        b = row % B
        u = tl.arange(0, BLOCK)
        ok = u < H
        P += m * p_m + b * p_b
        X += m * x_m + b * x_b
        D += m * d_m + b * d_b
        GAMMA += m * w_m
        BETA += m * w_m
        BIAS += m * w_m
        i, _, _ = gate(0, P, X, D, d_k, GAMMA, BETA, BIAS, u, ok, epsilon, H, NORMALIZED, SCALED)
        g, _, _ = gate(1, P, X, D, d_k, GAMMA, BETA, BIAS, u, ok, epsilon, H, NORMALIZED, SCALED)
        f, _, _ = gate(2, P, X, D, d_k, GAMMA, BETA, BIAS, u, ok, epsilon, H, NORMALIZED, SCALED)
        o, _, _ = gate(3, P, X, D, d_k, GAMMA, BETA, BIAS, u, ok, epsilon, H, NORMALIZED, SCALED)
        candidate = tanh(g)
        if MASKED:
            candidate *= tl.load(MASK + m * mask_m + b * mask_b + u, mask=ok, other=0.0)
        before = tl.load(C + m * c_m + b * c_b + u, mask=ok, other=0.0)
        c = tl.where(ok, tl.sigmoid(f + forget_bias) * before + tl.sigmoid(i) * candidate, 0.0)
        inner = c
        if NORMALIZED:
            inner, _ = standardized(c, ok, epsilon, H)
            inner = inner * tl.load(GAMMA_C + m * w_m + u, mask=ok, other=0.0)
            inner += tl.load(BETA_C + m * w_m + u, mask=ok, other=0.0)
        tl.store(H_OUT + m * ho_m + b * ho_b + u, tl.sigmoid(o) * tanh(inner), mask=ok)
        tl.store(C_OUT + m * co_m + b * co_b + u, c, mask=ok)

    @triton.jit
    def backward_kernel(
            P, p_m, p_b, X, x_m, x_b, C, c_m, c_b, DH, dh_m, dh_b, DC, dc_m, dc_b, DC_OUT, dco_m, dco_b,
            DP, dp_m, dp_b, DX, dx_m, dx_b, MASK, mask_m, mask_b,
            D, d_m, d_k, d_b, DD, dd_m, dd_k, dd_b, GAMMA, BETA, GAMMA_C, BETA_C, BIAS, w_m,
            SUM_GAMMA, SUM_BETA, SUM_GAMMA_C, SUM_BETA_C, B, epsilon, forget_bias, H: tl.constexpr,
            BLOCK: tl.constexpr, NORMALIZED: tl.constexpr, SCALED: tl.constexpr, MASKED: tl.constexpr):
        row = tl.program_id(0)
        m = (row // B).to(tl.int64)
        b = row % B
        u = tl.arange(0, BLOCK)
        ok = u < H
        P += m * p_m + b * p_b
        X += m * x_m + b * x_b
        D += m * d_m + b * d_b
        DP += m * dp_m + b * dp_b
        DX += m * dx_m + b * dx_b
        DD += m * dd_m + b * dd_b
        GAMMA += m * w_m
        BETA += m * w_m
        BIAS += m * w_m
        SUM_GAMMA += row.to(tl.int64) * 4 * H
        SUM_BETA += row.to(tl.int64) * 4 * H
        # The step again
        i, i_standard, i_scale = gate(0, P, X, D, d_k, GAMMA, BETA, BIAS, u, ok, epsilon, H, NORMALIZED, SCALED)
        g, g_standard, g_scale = gate(1, P, X, D, d_k, GAMMA, BETA, BIAS, u, ok, epsilon, H, NORMALIZED, SCALED)
        f, f_standard, f_scale = gate(2, P, X, D, d_k, GAMMA, BETA, BIAS, u, ok, epsilon, H, NORMALIZED, SCALED)
        o, o_standard, o_scale = gate(3, P, X, D, d_k, GAMMA, BETA, BIAS, u, ok, epsilon, H, NORMALIZED, SCALED)
        i = tl.sigmoid(i)
        g = tanh(g)
        f = tl.sigmoid(f + forget_bias)
        o = tl.sigmoid(o)
        mask = tl.full((BLOCK,), 1.0, tl.float32)
        if MASKED:
            mask = tl.load(MASK + m * mask_m + b * mask_b + u, mask=ok, other=0.0)
        before = tl.load(C + m * c_m + b * c_b + u, mask=ok, other=0.0)
        c = tl.where(ok, f * before + i * g * mask, 0.0)
        inner = c
        c_standard = c
        c_scale = tl.full((), 1.0, tl.float32)
        gamma_c = tl.full((BLOCK,), 1.0, tl.float32)
        if NORMALIZED:
            c_standard, c_scale = standardized(c, ok, epsilon, H)
            gamma_c = tl.load(GAMMA_C + m * w_m + u, mask=ok, other=0.0)
            inner = c_standard * gamma_c + tl.load(BETA_C + m * w_m + u, mask=ok, other=0.0)
        out = tanh(inner)
        # Back
        dh = tl.load(DH + m * dh_m + b * dh_b + u, mask=ok, other=0.0)
        dc = dh * o * (1 - out * out)
        if NORMALIZED:
            add(SUM_GAMMA_C + row.to(tl.int64) * H + u, dc * c_standard, ok)
            add(SUM_BETA_C + row.to(tl.int64) * H + u, dc, ok)
            dc = standardized_backward(dc * gamma_c, c_standard, c_scale, H)
        dc = tl.where(ok, dc + tl.load(DC + m * dc_m + b * dc_b + u, mask=ok, other=0.0), 0.0)
        tl.store(DC_OUT + m * dco_m + b * dco_b + u, dc * f, mask=ok)
        di = dc * g * mask * i * (1 - i)
        dg = dc * i * mask * (1 - g * g)
        df = dc * before * f * (1 - f)
        do = dh * out * o * (1 - o)
        gate_backward(0, di, i_standard, i_scale, P, X, D, d_k, GAMMA, DP, DX, DD, dd_k, SUM_GAMMA, SUM_BETA, u, ok, H,
                      NORMALIZED, SCALED)
        gate_backward(1, dg, g_standard, g_scale, P, X, D, d_k, GAMMA, DP, DX, DD, dd_k, SUM_GAMMA, SUM_BETA, u, ok, H,
                      NORMALIZED, SCALED)
        gate_backward(2, df, f_standard, f_scale, P, X, D, d_k, GAMMA, DP, DX, DD, dd_k, SUM_GAMMA, SUM_BETA, u, ok, H,
                      NORMALIZED, SCALED)
        gate_backward(3, do, o_standard, o_scale, P, X, D, d_k, GAMMA, DP, DX, DD, dd_k, SUM_GAMMA, SUM_BETA, u, ok, H,
                      NORMALIZED, SCALED)
