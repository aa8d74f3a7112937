/// One part of a cell's state before and after every step of a sequence.
package struct StateHistory {
    /// Before the first step, [B, N].
    package let initial: Tensor
    /// After each step, [T, B, N].
    package let states: Tensor

    /// States that the steps will write.
    package init(initial: Tensor, steps: Int) {
        self.initial = initial
        states = Tensor(uninitialized: [steps] + initial.shape)
    }

    private var batch: Int { initial.shape[0] }

    /// The state before step t, [B, N].
    package func before(_ t: Int) -> MatrixView { t == 0 ? initial.matrix : after(t - 1) }

    /// The state after step t, [B, N].
    package func after(_ t: Int) -> MatrixView { states.matrix.rows(t * batch..<(t + 1) * batch) }

    /// dW (+)= Σ_t s_{t-1}ᵀ dY_t, the gradient of weights that multiply the state before each step.
    ///
    /// - Parameters:
    ///   - dY: Gradients of the products, [T·B, O].
    ///   - dW: [N, O].
    package func weightGradient(_ dY: MatrixView, to dW: MatrixView, accumulate: Bool) {
        let T = states.shape[0], B = batch
        // The first step's state lies by itself; those of all others make one matrix.
        Blas.multiply(initial.matrix, transposeA: true, dY.rows(0..<B), into: dW, accumulate: accumulate)
        guard T > 1 else { return }
        addTransposedProduct(states.matrix.rows(0..<(T - 1) * B), dY.rows(B..<T * B), to: dW)
    }
}
