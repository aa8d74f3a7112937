/// The multiplicative mask of one use of dropout: 1/keep with probability `keep`, else 0.
///
/// A random mask is never stored: whoever needs a part of it makes that part, in the forward and again in the backward
/// pass.
public struct DropoutMask: Sendable {
    private enum Source {
        case random(keep: Float, seed: UInt64, stream: UInt64, start: UInt64)
        case given(Tensor)
    }
    private let source: Source

    /// Sets `count` elements of `random` aside.
    ///
    /// - Parameter keep: Probability that an element is kept, in (0, 1].
    public init(keep: Float, count: Int, random: inout RandomStream) {
        precondition(keep > 0 && keep <= 1, "a keep probability lies in (0, 1], found \(keep)")
        source = .random(keep: keep, seed: random.seed, stream: random.stream, start: random.reserve(count))
    }

    /// A mask that is known already.
    public init(factors: Tensor) { source = .given(factors) }

    /// Writes the factors of the elements `first ..< first + count`.
    package func write(first: Int, count: Int, to mask: FloatPointer) {
        switch source {
        case .random(let keep, let seed, let stream, let start):
            Kernels.current.dropout_mask(Int64(count), keep, seed, stream, start + UInt64(first), mask)
        case .given(let factors):
            precondition(first + count <= factors.count, "a mask of \(factors.count) elements has no \(first + count)")
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
