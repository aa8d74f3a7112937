import Foundation

/// A dense array of Float32: contiguous, row-major, 64-byte aligned unless it is a view of rows.
///
/// A tensor is a reference to its elements: a copy of the struct, or a `reshaped` view, shares them. Its memory goes
/// back to a pool when the last reference goes, so that a training step reuses what the step before it used.
public struct Tensor: @unchecked Sendable {
    public let shape: [Int]
    public let count: Int
    private let storage: Storage
    /// The start of the elements in the storage.
    private let offset: Int

    private init(storage: Storage, offset: Int, shape: [Int], count: Int) {
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.count = count
    }

    /// Elements with no defined values: for results that are written whole.
    package init(uninitialized shape: [Int]) {
        precondition(shape.allSatisfy { $0 >= 0 }, "a shape has no negative extent, found \(shape)")
        count = shape.reduce(1, *)
        self.shape = shape
        storage = Storage(count: count)
        offset = 0
    }

    /// All zeros.
    public init(zeros shape: [Int]) {
        self.init(repeating: 0, shape: shape)
    }

    /// All equal to `value`.
    public init(repeating value: Float, shape: [Int]) {
        self.init(uninitialized: shape)
        fill(value)
    }

    /// The given elements in row-major order.
    ///
    /// - Precondition: `values.count` is the product of `shape`.
    public init(_ values: [Float], shape: [Int]) {
        self.init(uninitialized: shape)
        copy(from: values)
    }

    /// A copy of the elements, row-major.
    public var floats: [Float] { withUnsafeBufferPointer { Array($0) } }

    /// Overwrites all elements.
    ///
    /// - Precondition: `values.count == count`.
    public func copy(from values: [Float]) {
        precondition(values.count == count, "expected \(count) values for shape \(shape), found \(values.count)")
        values.withUnsafeBufferPointer { if let base = $0.baseAddress { pointer.update(from: base, count: count) } }
    }

    /// Overwrites all elements.
    ///
    /// - Precondition: Both have as many elements.
    public func copy(from other: Tensor) {
        precondition(other.count == count, "expected \(shape), found \(other.shape)")
        pointer.update(from: other.pointer, count: count)
    }

    /// Sets every element.
    public func fill(_ value: Float) { pointer.update(repeating: value, count: count) }

    /// A tensor of its own with the same elements.
    public func copied() -> Tensor {
        let result = Tensor(uninitialized: shape)
        result.copy(from: self)
        return result
    }

    /// The same elements under another shape.
    ///
    /// - Precondition: Both shapes have as many elements.
    public func reshaped(_ shape: [Int]) -> Tensor {
        let wanted = shape.reduce(1, *)
        precondition(wanted == count, "cannot read \(self.shape) (\(count) elements) as \(shape) (\(wanted) elements)")
        return Tensor(storage: storage, offset: offset, shape: shape, count: count)
    }

    /// Rows `range` of [R, ..] without a copy. The view keeps the memory of the whole tensor alive.
    ///
    /// - Precondition: The rows exist.
    package func viewOfRows(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= shape[0], "rows \(range) of \(shape)")
        let width = shape.dropFirst().reduce(1, *)
        return Tensor(
            storage: storage, offset: offset + range.lowerBound * width, shape: [range.count] + shape.dropFirst(),
            count: range.count * width)
    }

    /// The elements, valid as long as a reference to this tensor is held.
    package var pointer: FloatPointer { storage.base + offset }

    /// Calls `body` with the elements.
    public func withUnsafeBufferPointer<R>(_ body: (UnsafeBufferPointer<Float>) throws -> R) rethrows -> R {
        defer { withExtendedLifetime(storage) {} }
        return try body(UnsafeBufferPointer(start: pointer, count: count))
    }

    /// Calls `body` with the elements, to change.
    public func withUnsafeMutableBufferPointer<R>(
        _ body: (UnsafeMutableBufferPointer<Float>) throws -> R
    ) rethrows -> R {
        defer { withExtendedLifetime(storage) {} }
        return try body(UnsafeMutableBufferPointer(start: pointer, count: count))
    }

    /// The memory of a tensor, taken from the pool and given back to it.
    private final class Storage {
        let base: FloatPointer
        private let bytes: Int

        init(count: Int) {
            (base, bytes) = TensorMemory.shared.take(bytes: max(1, count) * MemoryLayout<Float>.stride)
        }

        deinit { TensorMemory.shared.give(base, bytes: bytes) }
    }
}
