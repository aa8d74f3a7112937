import Compute

/// Numbers to test with: the same in every run.
struct Samples {
    private var random: RandomStream

    init(seed: UInt64) { random = RandomStream(seed: seed, stream: 0x7465_7374) }

    /// Whole numbers in −bound ... bound. Sums of products of few of them are exact in single precision, in any order.
    mutating func integers(_ count: Int, bound: Int = 4) -> [Float] {
        random.bits(count).map { Float(Int($0) % (2 * bound + 1) - bound) }
    }

    mutating func normal(_ count: Int, deviation: Float = 1) -> [Float] { random.normal(count).map { $0 * deviation } }

    /// Uniform whole numbers in `0 ..< bound`.
    mutating func indices(_ count: Int, below bound: Int) -> [Int32] {
        (0..<count).map { _ in Int32(random.integer(below: bound)) }
    }

    mutating func bits64() -> UInt64 {
        let words = random.bits(2)
        return UInt64(words[0]) << 32 | UInt64(words[1])
    }
}

/// Half a unit in the last place of 1: what one rounding changes at most, relative to its result.
let rounding = 0x1p-24

/// What kernels must not touch: a value that no computation here gives.
let untouched: Float = -12_345.678

/// The matrix `values` [rows, columns] with rows `ld` apart and `untouched` in between.
func spread(_ values: [Float], rows: Int, columns: Int, ld: Int) -> [Float] {
    var result = [Float](repeating: untouched, count: rows * ld)
    for r in 0..<rows { for c in 0..<columns { result[r * ld + c] = values[r * columns + c] } }
    return result
}

/// The operand `values` [rows, columns] of a product as it lies in memory, with `transposed` as its transpose: rows `gap`
/// further apart than they are long, and the distance between them.
func operand(
    _ values: [Float], rows: Int, columns: Int, transposed isTransposed: Bool, gap: Int
) -> (values: [Float], ld: Int) {
    let ld = (isTransposed ? rows : columns) + gap
    let lying = isTransposed ? transposed(values, rows: rows, columns: columns) : values
    return (spread(lying, rows: isTransposed ? columns : rows, columns: ld - gap, ld: ld), ld)
}

/// [rows, columns] as [columns, rows].
func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
    var result = [Float](repeating: 0, count: values.count)
    for r in 0..<rows { for c in 0..<columns { result[c * rows + r] = values[r * columns + c] } }
    return result
}

/// a [m, k] · b [k, n], in double precision, term by term.
func naiveProduct(_ a: [Float], _ b: [Float], m: Int, n: Int, k: Int) -> [Double] {
    var result = [Double](repeating: 0, count: m * n)
    result.withUnsafeMutableBufferPointer { c in
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                for row in 0..<m {
                    for i in 0..<k {
                        let x = Double(a[row * k + i])
                        for column in 0..<n { c[row * n + column] += x * Double(b[i * n + column]) }
                    }
                }
            }
        }
    }
    return result
}
