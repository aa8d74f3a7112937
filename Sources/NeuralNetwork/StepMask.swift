/// The part of a dropout mask over [T, B, N] that one step uses, made anew at every step.
package struct StepMask {
    private let mask: DropoutMask
    private let memory: Tensor

    /// Nil without a mask.
    package init?(_ mask: DropoutMask?, batch: Int, units: Int) {
        guard let mask else { return nil }
        self.mask = mask
        memory = Tensor(uninitialized: [batch, units])
    }

    /// Writes the factors of some rows at step t, [rows, N], and returns where they are.
    package func write(_ t: Int, _ rows: Range<Int>) -> FloatPointer {
        let (B, N) = (memory.shape[0], memory.shape[1]), target = memory.pointer + rows.lowerBound * N
        mask.write(first: (t * B + rows.lowerBound) * N, count: rows.count * N, to: target)
        return target
    }
}
