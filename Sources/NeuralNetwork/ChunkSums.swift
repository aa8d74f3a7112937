/// Sums that every chunk of a parallel loop accumulates for itself, zero at the start: a vector for each slot.
package final class ChunkSums<Slot: RawRepresentable & CaseIterable> where Slot.RawValue == Int {
    private let sums: Tensor
    private let chunks: Int
    private let offsets: [Int]
    private let width: Int

    /// - Parameters:
    ///   - chunks: Of the loop.
    ///   - length: Of the vector of a slot; 0 for one that is not used.
    package init(chunks: Int, length: (Slot) -> Int) {
        var offsets: [Int] = [], width = 0
        for slot in Slot.allCases {
            precondition(slot.rawValue == offsets.count, "slots are numbered from 0 in order")
            offsets.append(width)
            width += (length(slot) + 15) / 16 * 16
        }
        (self.chunks, self.offsets, self.width) = (chunks, offsets, width)
        sums = Tensor(zeros: [chunks, width])
    }

    /// The vector that `chunk` adds to.
    package subscript(chunk: Int, slot: Slot) -> FloatPointer {
        precondition(chunk < chunks, "chunk \(chunk) of \(chunks)")
        return sums.pointer + chunk * width + offsets[slot.rawValue]
    }

    /// Adds the vectors of all chunks, in order, to `count` numbers.
    ///
    /// - Parameter first: The element of the vector that goes to the first of them.
    package func add(_ slot: Slot, from first: Int = 0, to target: FloatPointer, count: Int) {
        for chunk in 0..<chunks { Kernels.current.axpy(Int64(count), 1, self[chunk, slot] + first, target) }
    }

    /// Adds the vectors of all chunks, in order, to the gradient of a parameter.
    ///
    /// - Parameter first: The element of the vector that goes to the parameter's first.
    package func add(_ slot: Slot, from first: Int = 0, to parameter: Variable) {
        parameter.addGradient { gradient, accumulate in
            if !accumulate { gradient.fill(0) }
            add(slot, from: first, to: gradient.pointer, count: gradient.count)
        }
    }

    /// Adds the vectors of all chunks to the gradients of a normalization's parameters, a slot for each in their order.
    package func add(_ slots: [Slot], to norm: LSTMLayerNorm?) {
        for (slot, parameter) in zip(slots, norm?.parameters ?? []) { add(slot, to: parameter.variable) }
    }
}
