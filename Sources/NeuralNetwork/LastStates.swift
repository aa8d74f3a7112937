/// The last states that a sequence operation computed, as variables of their own: a gradient that reaches one of them
/// is kept here until the operation's backward pass.
package final class LastStates {
    private var gradients: [Int: Tensor] = [:]

    package init() {}

    /// The state after the last step, [B, N].
    ///
    /// - Parameters:
    ///   - slot: The number that its gradient is kept under.
    ///   - output: The operation's result, whose backward pass takes the gradient.
    package func variable(_ slot: Int, of history: StateHistory, output: Variable) -> Variable {
        let steps = history.states.shape[0], last = Tensor(uninitialized: history.initial.shape)
        history.after(steps - 1).copy(to: last.matrix)
        return Variable(last, operands: [output]) { gradient in
            self.gradients[slot] = gradient.copied()
            _ = output.gradientOrZeros  // so that its backward pass runs
        }
    }

    /// The gradient of a slot, which the caller may overwrite; zeros if none came.
    package func gradient(_ slot: Int, _ shape: [Int]) -> Tensor { gradients[slot] ?? Tensor(zeros: shape) }
}
