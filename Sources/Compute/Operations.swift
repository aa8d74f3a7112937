// The operations that models are composed of: each with its value and, beside it, how a gradient goes back.
//
// They favor being read. Where a training step spends its time, a fused operation does the same work, and a test
// compares it with its twin composed of these.

/// The extents of `x` read as [rows, columns], columns being its last extent.
private func rowsAndColumns(_ x: Tensor) -> (rows: Int, columns: Int) { (x.matrix.rowCount, x.matrix.columnCount) }

/// y = f(x), element by element.
private func map(_ x: Tensor, _ f: (Float) -> Float) -> Tensor {
    let y = Tensor(uninitialized: x.shape), (input, output) = (x.pointer, y.pointer)
    for n in 0..<x.count { output[n] = f(input[n]) }
    return withExtendedLifetime(x) { y }
}

/// z = f(x, y), element by element.
private func map(_ x: Tensor, _ y: Tensor, _ f: (Float, Float) -> Float) -> Tensor {
    precondition(x.count == y.count, "element by element needs one shape, found \(x.shape) and \(y.shape)")
    let z = Tensor(uninitialized: x.shape), (first, second, output) = (x.pointer, y.pointer, z.pointer)
    for n in 0..<x.count { output[n] = f(first[n], second[n]) }
    return withExtendedLifetime((x, y)) { z }
}

// MARK: Element by element

/// x + y, of one shape.
public func + (x: Variable, y: Variable) -> Variable {
    Variable(map(x.value, y.value, +), operands: [x, y]) { gradient in
        x.addGradient(gradient)
        y.addGradient(gradient)
    }
}

/// x − y, of one shape.
public func - (x: Variable, y: Variable) -> Variable {
    Variable(map(x.value, y.value, -), operands: [x, y]) { gradient in
        x.addGradient(gradient)
        y.addGradient(map(gradient) { -$0 })
    }
}

/// x ⊙ y, of one shape.
public func * (x: Variable, y: Variable) -> Variable {
    Variable(map(x.value, y.value, *), operands: [x, y]) { gradient in
        if x.requiresGradient { x.addGradient(map(gradient, y.value, *)) }
        if y.requiresGradient { y.addGradient(map(gradient, x.value, *)) }
    }
}

/// a x + b for numbers a and b.
public func affine(_ x: Variable, scale: Float = 1, offset: Float = 0) -> Variable {
    Variable(map(x.value) { $0 * scale + offset }, operands: [x]) { gradient in
        x.addGradient(map(gradient) { $0 * scale })
    }
}

/// σ(x) = 1 / (1 + exp(−x)).
public func sigmoid(_ x: Variable) -> Variable {
    let y = Tensor(uninitialized: x.shape)
    Kernels.current.sigmoid(Int64(y.count), x.value.pointer, y.pointer)
    return Variable(y, operands: [x]) { gradient in x.addGradient(map(gradient, y) { $0 * $1 * (1 - $1) }) }
}

/// φ(x) = tanh(x).
public func tanh(_ x: Variable) -> Variable {
    let y = Tensor(uninitialized: x.shape)
    Kernels.current.tanh(Int64(y.count), x.value.pointer, y.pointer)
    return Variable(y, operands: [x]) { gradient in x.addGradient(map(gradient, y) { $0 * (1 - $1 * $1) }) }
}

/// exp(x).
public func exp(_ x: Variable) -> Variable {
    let y = Tensor(uninitialized: x.shape)
    Kernels.current.exp(Int64(y.count), x.value.pointer, y.pointer)
    return Variable(y, operands: [x]) { gradient in x.addGradient(map(gradient, y, *)) }
}

/// max(x, 0).
public func relu(_ x: Variable) -> Variable {
    Variable(map(x.value) { max($0, 0) }, operands: [x]) { gradient in
        x.addGradient(map(gradient, x.value) { $1 > 0 ? $0 : 0 })
    }
}

// MARK: Rows and columns

/// x[r, c] + row[c].
///
/// - Parameters:
///   - x: [.., C].
///   - row: [C].
public func addRow(_ x: Variable, _ row: Variable) -> Variable {
    let (rows, columns) = rowsAndColumns(x.value)
    precondition(row.value.count == columns, "a row to add to \(x.shape) has \(columns) elements, found \(row.shape)")
    let y = x.value.copied()
    for r in 0..<rows { Kernels.current.axpy(Int64(columns), 1, row.value.pointer, y.pointer + r * columns) }
    return Variable(y, operands: [x, row]) { gradient in
        x.addGradient(gradient)
        row.addGradient { total, accumulate in
            if !accumulate { total.fill(0) }
            Kernels.current.scatter_add_rows(
                Int64(rows), Int64(columns), gradient.pointer, Int64(columns), nil, nil, total.pointer, Int64(columns))
        }
    }
}

/// x[r, c] · column[r].
///
/// - Parameters:
///   - x: [R, C].
///   - column: [R] or [R, 1].
public func scaleRows(_ x: Variable, by column: Variable) -> Variable {
    let (rows, columns) = rowsAndColumns(x.value)
    precondition(column.value.count == rows, "a column to scale \(x.shape) has \(rows) elements, found \(column.shape)")
    func scaled(_ source: Tensor) -> Tensor {
        let y = Tensor(zeros: source.shape)
        for r in 0..<rows {
            Kernels.current.axpy(
                Int64(columns), column.value.pointer[r], source.pointer + r * columns, y.pointer + r * columns)
        }
        return y
    }
    return Variable(scaled(x.value), operands: [x, column]) { gradient in
        if x.requiresGradient { x.addGradient(scaled(gradient)) }
        column.addGradient { total, accumulate in
            for r in 0..<rows {
                let product = Kernels.current.dot(
                    Int64(columns), gradient.pointer + r * columns, x.value.pointer + r * columns)
                total.pointer[r] = accumulate ? total.pointer[r] + product : product
            }
        }
    }
}

/// y[r] = scale[r] · table[indices[r]]: the product of a one-hot input with a matrix.
///
/// - Parameters:
///   - table: [V, C].
///   - indices: R row numbers below V.
///   - scale: R factors (input dropout), or nil for 1.
/// - Returns: [R, C].
public func gatherRows(_ table: Variable, _ indices: [Int32], scale: [Float]? = nil) -> Variable {
    let (available, columns) = rowsAndColumns(table.value), rows = indices.count
    if let scale { precondition(scale.count == rows, "one factor a row: expected \(rows), found \(scale.count)") }
    precondition(
        indices.allSatisfy { $0 >= 0 && $0 < available }, "row numbers of \(table.shape) lie in 0 ..< \(available)")
    let y = Tensor(zeros: [rows, columns])
    for r in 0..<rows {
        Kernels.current.axpy(
            Int64(columns), scale?[r] ?? 1, table.value.pointer + Int(indices[r]) * columns, y.pointer + r * columns)
    }
    return Variable(y, operands: [table]) { gradient in
        table.addGradient { total, accumulate in
            if !accumulate { total.fill(0) }
            for r in 0..<rows {
                Kernels.current.axpy(
                    Int64(columns), scale?[r] ?? 1, gradient.pointer + r * columns,
                    total.pointer + Int(indices[r]) * columns)
            }
        }
    }
}

/// The same elements under another shape.
public func reshape(_ x: Variable, _ shape: [Int]) -> Variable {
    Variable(x.value.reshaped(shape), operands: [x]) { gradient in x.addGradient(gradient) }
}

/// Columns `range` of x [.., C].
///
/// - Returns: [R, range.count].
public func columns(_ x: Variable, _ range: Range<Int>) -> Variable {
    let (rows, columns) = rowsAndColumns(x.value)
    precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(x.shape)")
    let y = Tensor(uninitialized: [rows, range.count])
    for r in 0..<rows {
        (y.pointer + r * range.count).update(
            from: x.value.pointer + r * columns + range.lowerBound, count: range.count)
    }
    return Variable(y, operands: [x]) { gradient in
        x.addGradient { total, accumulate in
            if !accumulate { total.fill(0) }
            for r in 0..<rows {
                Kernels.current.axpy(
                    Int64(range.count), 1, gradient.pointer + r * range.count,
                    total.pointer + r * columns + range.lowerBound)
            }
        }
    }
}

/// Rows `range` of x [R, ..].
///
/// - Parameter shared: The result shares x's memory, all of which it keeps alive: for weights, which live long anyway.
/// - Returns: [range.count, ..].
public func rows(_ x: Variable, _ range: Range<Int>, shared: Bool = false) -> Variable {
    let total = x.shape[0], width = x.value.count / max(total, 1)
    let view = x.value.viewOfRows(range)
    return Variable(shared ? view : view.copied(), operands: [x]) { gradient in
        x.addGradient { whole, accumulate in
            if !accumulate { whole.fill(0) }
            Kernels.current.axpy(
                Int64(gradient.count), 1, gradient.pointer, whole.pointer + range.lowerBound * width)
        }
    }
}

/// (x y …): the columns of all, side by side.
///
/// - Parameter parts: Each [R, C_i].
/// - Returns: [R, Σ C_i].
public func concatenateColumns(_ parts: [Variable]) -> Variable {
    let rows = rowsAndColumns(parts[0].value).rows, widths = parts.map { rowsAndColumns($0.value).columns }
    precondition(
        parts.allSatisfy { rowsAndColumns($0.value).rows == rows },
        "side by side needs one number of rows, found \(parts.map(\.shape))")
    let total = widths.reduce(0, +), y = Tensor(uninitialized: [rows, total])
    var offset = 0
    for (part, width) in zip(parts, widths) {
        for r in 0..<rows {
            (y.pointer + r * total + offset).update(from: part.value.pointer + r * width, count: width)
        }
        offset += width
    }
    return Variable(y, operands: parts) { gradient in
        var offset = 0
        for (part, width) in zip(parts, widths) {
            let own = Tensor(uninitialized: part.shape)
            for r in 0..<rows {
                (own.pointer + r * width).update(from: gradient.pointer + r * total + offset, count: width)
            }
            part.addGradient(own)
            offset += width
        }
    }
}

/// The rows of all, one below the other.
///
/// - Parameter parts: Each [R_i, C].
/// - Returns: [Σ R_i, C].
public func concatenateRows(_ parts: [Variable]) -> Variable {
    let columns = rowsAndColumns(parts[0].value).columns
    precondition(
        parts.allSatisfy { rowsAndColumns($0.value).columns == columns },
        "one below the other needs one number of columns, found \(parts.map(\.shape))")
    let y = Tensor(uninitialized: [parts.map { rowsAndColumns($0.value).rows }.reduce(0, +), columns])
    var offset = 0
    for part in parts {
        (y.pointer + offset).update(from: part.value.pointer, count: part.value.count)
        offset += part.value.count
    }
    return Variable(y, operands: parts) { gradient in
        var offset = 0
        for part in parts {
            let own = Tensor(uninitialized: part.shape)
            own.pointer.update(from: gradient.pointer + offset, count: own.count)
            part.addGradient(own)
            offset += own.count
        }
    }
}

// MARK: Sums and products

/// The sum of all elements, a scalar.
public func sum(_ x: Variable) -> Variable {
    let total = x.value.withUnsafeBufferPointer { $0.reduce(0.0) { $0 + Double($1) } }
    return Variable(Tensor([Float(total)], shape: []), operands: [x]) { gradient in
        x.addGradient(Tensor(repeating: gradient.pointer[0], shape: x.shape))
    }
}

/// The mean of all elements, a scalar.
public func mean(_ x: Variable) -> Variable { affine(sum(x), scale: 1 / Float(x.value.count)) }

/// The matrix product x w.
///
/// - Parameters:
///   - x: [.., I], read as [R, I].
///   - w: [I, O], or [O, I] with `transposed`.
/// - Returns: [R, O].
public func matmul(_ x: Variable, _ w: Variable, transposed: Bool = false) -> Variable {
    let (rows, inner) = rowsAndColumns(x.value), (first, second) = (w.shape[0], w.shape.dropFirst().reduce(1, *))
    let (expected, outer) = transposed ? (second, first) : (first, second)
    precondition(inner == expected, "matmul: \(x.shape) and \(w.shape)\(transposed ? " transposed" : "") do not fit")
    let y = Tensor(uninitialized: [rows, outer])
    Blas.gemm(
        transposeB: transposed, m: rows, n: outer, k: inner, a: x.value.pointer, lda: inner, b: w.value.pointer,
        ldb: second, beta: 0, c: y.pointer, ldc: outer)
    return Variable(y, operands: [x, w]) { gradient in
        x.addGradient { dx, accumulate in
            Blas.gemm(
                transposeB: !transposed, m: rows, n: inner, k: outer, a: gradient.pointer, lda: outer,
                b: w.value.pointer, ldb: second, beta: accumulate ? 1 : 0, c: dx.pointer, ldc: inner)
        }
        w.addGradient { dw, accumulate in
            let (left, right) = transposed ? (gradient, x.value) : (x.value, gradient)
            let (m, n) = transposed ? (outer, inner) : (inner, outer)
            Blas.gemm(
                transposeA: true, m: m, n: n, k: rows, a: left.pointer, lda: m, b: right.pointer, ldb: n,
                beta: accumulate ? 1 : 0, c: dw.pointer, ldc: n)
        }
    }
}

// MARK: Normalization and loss

/// Layer normalization over groups of columns (Ba, Kiros, Hinton 2016):
///
///     y = γ ⊙ (x − mean) / √(variance + ε) + β          variance with divisor n
///
/// - Parameters:
///   - x: [.., groups · n]; each group of each row is normalized by itself.
///   - gamma: [groups · n].
///   - beta: [groups · n].
///   - groups: Equal groups of columns, each normalized by itself.
///   - epsilon: ε under the root.
public func layerNorm(_ x: Variable, gamma: Variable, beta: Variable, groups: Int = 1, epsilon: Float) -> Variable {
    let (rows, columns) = rowsAndColumns(x.value), n = columns / groups
    precondition(
        n * groups == columns && gamma.value.count == columns && beta.value.count == columns,
        "layerNorm of \(x.shape) in \(groups) groups: gamma \(gamma.shape), beta \(beta.shape)")
    let normalized = Tensor(uninitialized: x.shape), reciprocals = Tensor(uninitialized: [rows * groups])
    for group in 0..<rows * groups {
        let values = UnsafeBufferPointer(start: x.value.pointer + group * n, count: n)
        let average = values.reduce(0.0) { $0 + Double($1) } / Double(n)
        let variance = values.reduce(0.0) { $0 + (Double($1) - average) * (Double($1) - average) } / Double(n)
        let reciprocal = 1 / (variance + Double(epsilon)).squareRoot()
        reciprocals.pointer[group] = Float(reciprocal)
        for j in 0..<n { normalized.pointer[group * n + j] = Float((Double(values[j]) - average) * reciprocal) }
    }
    let y = Tensor(uninitialized: x.shape)
    for r in 0..<rows {
        for c in 0..<columns {
            y.pointer[r * columns + c] =
                gamma.value.pointer[c] * normalized.pointer[r * columns + c]
                + beta.value.pointer[c]
        }
    }
    return Variable(y, operands: [x, gamma, beta]) { gradient in
        let dGamma = Tensor(zeros: gamma.shape), dBeta = Tensor(zeros: beta.shape), dx = Tensor(uninitialized: x.shape)
        for r in 0..<rows {
            for c in 0..<columns {
                dGamma.pointer[c] += gradient.pointer[r * columns + c] * normalized.pointer[r * columns + c]
                dBeta.pointer[c] += gradient.pointer[r * columns + c]
            }
            for group in 0..<groups {
                let base = r * columns + group * n
                var first = 0.0, second = 0.0
                for j in 0..<n {
                    let inside = Double(gradient.pointer[base + j] * gamma.value.pointer[group * n + j])
                    first += inside
                    second += inside * Double(normalized.pointer[base + j])
                }
                for j in 0..<n {
                    let inside = Double(gradient.pointer[base + j] * gamma.value.pointer[group * n + j])
                    let centered =
                        inside - first / Double(n)
                        - Double(normalized.pointer[base + j]) * second / Double(n)
                    dx.pointer[base + j] = Float(Double(reciprocals.pointer[r * groups + group]) * centered)
                }
            }
        }
        x.addGradient(dx)
        gamma.addGradient(dGamma)
        beta.addGradient(dBeta)
    }
}

/// Mean over the rows of −ln softmax(logits)[target], in nats.
///
/// - Parameters:
///   - logits: [R, C].
///   - targets: R classes below C.
/// - Returns: A scalar.
public func crossEntropy(_ logits: Variable, _ targets: [Int32]) -> Variable {
    let (rows, classes) = rowsAndColumns(logits.value)
    precondition(targets.count == rows, "logits \(logits.shape) need \(rows) targets, found \(targets.count)")
    precondition(targets.allSatisfy { $0 >= 0 && $0 < classes }, "targets lie in 0 ..< \(classes)")
    let work = logits.value.copied(), losses = Tensor(uninitialized: [rows])
    let wantsGradient = Variable.isRecording && logits.requiresGradient
    targets.withUnsafeBufferPointer { targets in
        Parallel.chunks(of: rows) { range, _ in
            Kernels.current.cross_entropy(
                Int64(range.count), Int64(classes), work.pointer + range.lowerBound * classes,
                targets.baseAddress! + range.lowerBound, wantsGradient ? 1 : 0, 1 / Float(rows),
                losses.pointer + range.lowerBound)
        }
    }
    let total = losses.withUnsafeBufferPointer { $0.reduce(0.0) { $0 + Double($1) } }
    return Variable(Tensor([Float(total / Double(rows))], shape: []), operands: [logits]) { gradient in
        logits.addGradient(map(work) { $0 * gradient.pointer[0] })
    }
}

/// −ln softmax(logits)[target] of each row, in nats, without a gradient.
///
/// - Parameters:
///   - logits: [R, C].
///   - targets: R classes below C.
/// - Returns: R values.
public func crossEntropies(_ logits: Tensor, _ targets: [Int32]) -> [Float] {
    let (rows, classes) = rowsAndColumns(logits)
    precondition(targets.count == rows, "logits \(logits.shape) need \(rows) targets, found \(targets.count)")
    precondition(targets.allSatisfy { $0 >= 0 && $0 < classes }, "targets lie in 0 ..< \(classes)")
    let losses = Tensor(uninitialized: [rows])
    // Without a gradient to write, the logits are only read.
    Kernels.current.cross_entropy(Int64(rows), Int64(classes), logits.pointer, targets, 0, 1, losses.pointer)
    return withExtendedLifetime(logits) { losses.floats }
}
