import CKernels
import Foundation

/// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
/// 3", SC 2011).
///
/// Element `position` of stream `stream` under `seed` is a pure function of the three, so a mask is the same whatever
/// the number of threads or the width of the vectors, and a checkpoint needs only the position.
public struct RandomStream: Sendable, Codable, Equatable {
    public let seed: UInt64
    public let stream: UInt64
    /// Elements drawn so far.
    public var position: UInt64

    public init(seed: UInt64, stream: UInt64, position: UInt64 = 0) {
        self.seed = seed
        self.stream = stream
        self.position = position
    }

    /// Sets `count` elements aside and returns where they start: for a mask that is made step by step, or twice.
    ///
    /// A reservation starts at a multiple of 64, the block that the generator makes at once.
    package mutating func reserve(_ count: Int) -> UInt64 {
        let start = (position + 63) / 64 * 64
        position = start + UInt64(count)
        return start
    }

    /// 32 random bits an element.
    public mutating func bits(_ count: Int) -> [UInt32] {
        var result = [UInt32](repeating: 0, count: count)
        result.withUnsafeMutableBufferPointer {
            if let base = $0.baseAddress { Kernels.current.random_bits(Int64(count), seed, stream, position, base) }
        }
        position += UInt64(count)
        return result
    }

    /// Uniform on [0, 1), with 24 random bits.
    public mutating func uniform(_ count: Int) -> [Float] { bits(count).map { Float($0 >> 8) * 0x1p-24 } }

    /// Standard normal (Box and Muller).
    public mutating func normal(_ count: Int) -> [Float] {
        let bits = bits(2 * count)
        return (0..<count).map { index in
            let first = (Double(bits[2 * index]) + 1) * 0x1p-32, second = Double(bits[2 * index + 1]) * 0x1p-32
            return Float((-2 * log(first)).squareRoot() * cos(2 * .pi * second))
        }
    }

    /// A whole number in `0 ..< bound`, uniform to within bound / 2³².
    public mutating func integer(below bound: Int) -> Int {
        precondition(bound > 0 && bound <= 1 << 31, "a bound lies in 1 ... 2^31, found \(bound)")
        return Int((UInt64(bits(1)[0]) * UInt64(bound)) >> 32)
    }
}
