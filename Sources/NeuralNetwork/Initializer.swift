/// Initial values of parameters.
public enum Initializer {
    /// A parameter with every element equal to `value`.
    public static func constant(_ value: Float, _ shape: [Int]) -> Variable {
        Variable(Tensor(repeating: value, shape: shape), requiresGradient: true)
    }

    /// A parameter of independent elements, uniform between −√(3/rows) and √(3/rows): variance 1/rows, so that a row
    /// vector of unit variance keeps it.
    public static func uniformUnitScaling(rows: Int, columns: Int, random: inout RandomStream) -> Variable {
        let bound = (3 / Float(rows)).squareRoot()
        let values = random.uniform(rows * columns).map { (2 * $0 - 1) * bound }
        return Variable(Tensor(values, shape: [rows, columns]), requiresGradient: true)
    }

    /// A parameter of independent normal elements with mean 0.
    public static func normal(standardDeviation: Float, _ shape: [Int], random: inout RandomStream) -> Variable {
        let values = random.normal(shape.reduce(1, *)).map { $0 * standardDeviation }
        return Variable(Tensor(values, shape: shape), requiresGradient: true)
    }

    /// A parameter [rows, blocks · columns] whose blocks are (semi-)orthogonal, each by itself: the gates of a cell.
    public static func orthogonal(
        rows: Int, columns: Int, blocks: Int = 1, random: inout RandomStream
    ) -> Variable {
        let draws = (0..<blocks).map { _ in random.normal(rows * columns) }
        let whole = Tensor(uninitialized: [rows, blocks * columns])
        Parallel.loop(blocks) { block in
            let values = orthogonalMatrix(rows: rows, columns: columns, normal: draws[block])
            for r in 0..<rows {
                for c in 0..<columns {
                    whole.pointer[r * blocks * columns + block * columns + c] = values[r * columns + c]
                }
            }
        }
        return Variable(whole, requiresGradient: true)
    }

    /// A matrix with orthonormal rows, or, where it has more rows than columns, orthonormal columns; uniformly
    /// distributed among those: the orthogonal factor of a normal matrix, with a positive diagonal in the other factor
    /// (Saxe, McClelland, Ganguli 2014; Mezzadri 2007).
    ///
    /// - Parameter normal: rows · columns independent standard normal numbers.
    /// - Returns: Row-major [rows, columns].
    static func orthogonalMatrix(rows: Int, columns: Int, normal: [Float]) -> [Float] {
        let count = min(rows, columns), length = max(rows, columns)
        let basis = Tensor(normal, shape: [count, length]), products = Tensor(uninitialized: [max(count, 1)])
        for n in 0..<count {
            let vector = basis.pointer + n * length
            // Gram and Schmidt, twice: once leaves an error of the condition number times the rounding error.
            for _ in 0..<2 where n > 0 {
                Blas.gemv(
                    transpose: false, m: n, n: length, alpha: 1, a: basis.pointer, lda: length, x: vector, beta: 0,
                    y: products.pointer)
                Blas.gemv(
                    transpose: true, m: n, n: length, alpha: -1, a: basis.pointer, lda: length, x: products.pointer,
                    beta: 1, y: vector)
            }
            let norm = Kernels.current.dot(Int64(length), vector, vector).squareRoot()
            for j in 0..<length { vector[j] /= norm }
        }
        let values = basis.floats
        if rows <= columns { return values }
        return (0..<rows * columns).map { values[$0 % columns * length + $0 / columns] }
    }
}

extension RandomStream {
    /// What the initial values of a model are drawn from: a function of the seed alone.
    public static func initialValues(seed: UInt64) -> RandomStream { RandomStream(seed: seed, stream: 1) }
}
