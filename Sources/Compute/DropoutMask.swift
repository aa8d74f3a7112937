/// The multiplicative mask of one use of dropout: 1/keep with probability `keep`, else 0.
///
/// A random mask is never stored: whoever needs a part of it makes that part, in the forward and again in the backward
/// pass.
public struct DropoutMask: Sendable {
    /// The rows of each step that a shard of a batch has, of a mask over [T, B, N] elements.
    private struct Window {
        /// Elements of a step: in all rows, and in those of the window.
        let stride, width: Int
        /// The window's first element in a step.
        let first: Int
    }
    private enum Source {
        case random(keep: Float, seed: UInt64, stream: UInt64, start: UInt64)
        case given(Tensor)
    }
    private let source: Source
    /// Elements of the whole mask; the random numbers that follow belong to the next mask.
    private let count: Int
    /// Nil for all rows.
    private var window: Window?

    /// Sets `count` elements of `random` aside.
    ///
    /// - Parameter keep: Probability that an element is kept, in (0, 1].
    public init(keep: Float, count: Int, random: inout RandomStream) {
        precondition(keep > 0 && keep <= 1, "a keep probability lies in (0, 1], found \(keep)")
        source = .random(keep: keep, seed: random.seed, stream: random.stream, start: random.reserve(count))
        self.count = count
    }

    /// The rows `rows` of every step of a mask over [T, `batch`, `units`], as a mask over [T, `rows.count`, `units`].
    /// Each element has the factor that it has in the whole mask.
    ///
    /// - Parameters:
    ///   - keep: Probability that an element is kept, in (0, 1].
    ///   - steps: T.
    ///   - batch: Rows of the whole mask in each step.
    ///   - units: Elements of a row.
    ///   - rows: Rows of the batch that the mask is for.
    ///   - random: Moves by the whole mask, so that all parts see the same numbers.
    public init(
        keep: Float, steps: Int, batch: Int, units: Int, rows: Range<Int>, random: inout RandomStream
    ) {
        self.init(keep: keep, count: steps * batch * units, random: &random)
        if rows.count != batch {
            window = Window(stride: batch * units, width: rows.count * units, first: rows.lowerBound * units)
        }
    }

    /// A mask that is known already.
    public init(factors: Tensor) {
        source = .given(factors)
        count = factors.count
    }

    /// Writes the factors of the elements `first ..< first + count`.
    package func write(first: Int, count: Int, to mask: FloatPointer) {
        guard let window else { return writeWhole(first: first, count: count, to: mask) }
        var done = 0
        while done < count {
            let (step, place) = (first + done).quotientAndRemainder(dividingBy: window.width)
            let part = min(count - done, window.width - place)
            writeWhole(first: step * window.stride + window.first + place, count: part, to: mask + done)
            done += part
        }
    }

    private func writeWhole(first: Int, count: Int, to mask: FloatPointer) {
        precondition(first + count <= self.count, "a mask of \(self.count) elements has no \(first + count)")
        switch source {
        case .random(let keep, let seed, let stream, let start):
            Kernels.current.dropout_mask(Int64(count), keep, seed, stream, start + UInt64(first), mask)
        case .given(let factors):
            mask.update(from: factors.pointer + first, count: count)
        }
    }

    /// The factors of the elements `0 ..< product of shape`.
    public func tensor(_ shape: [Int]) -> Tensor {
        let result = Tensor(uninitialized: shape)
        write(first: 0, count: result.count, to: result.pointer)
        return result
    }
}
