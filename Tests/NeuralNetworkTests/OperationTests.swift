import NeuralNetwork
import TestSupport
import Testing

/// Value and gradients of every operation against PyTorch in double precision, and the rest in closed form.
///
/// Tolerances count roundings (see `OperationCase.check`): inputs are normal numbers, so a term is rarely beyond 4, a
/// product of two beyond 16; a gradient sums one such term for each output that it reaches.
@Suite struct OperationTests {
    /// A sum of nothing is 0.
    @Test func aProductOverAnExtentOfZeroIsZeros() {
        for rows in [1, 5] {
            let a = Variable(Tensor(zeros: [rows, 0])), b = Variable(Tensor(zeros: [0, 3]))
            let bT = Variable(Tensor(zeros: [3, 0]))
            for product in [matmul(a, b), matmul(a, bT, transposed: true)] {
                #expect(product.shape == [rows, 3] && product.value.floats.allSatisfy { $0 == 0 })
            }
        }
    }

    @Test(arguments: [("matmul", 9.0), ("matmul_tails", 33.0)])
    func matrixProductsWithEveryTransposition(name: String, longest: Double) throws {
        let test = try OperationCase(name)
        // Sums of `longest` products, for two outputs.
        try test.check(roundings: 2 * longest, magnitude: 16) {
            let (a, b) = (try test["in.a"], try test["in.b"])
            let (aT, bT) = (try test["in.aTransposed"], try test["in.bTransposed"])
            return [
                "ab": matmul(a, b), "abT": matmul(a, bT, transposed: true), "aTb": matmul(transpose(aT), b),
                "aTbT": matmul(transpose(aT), bT, transposed: true),
            ]
        }
    }

    @Test(arguments: [("linear", 9.0), ("linear_sequence", 19.0)])
    func linearLayersOverAnyLeadingAxes(name: String, longest: Double) throws {
        let test = try OperationCase(name), layer = Linear(W: try test["param.W"], b: try test["param.b"])
        #expect(layer.parameterCount == layer.W.value.count + layer.b.value.count)
        try test.check(roundings: longest, magnitude: 16) { ["y": layer(try test["in.x"])] }
    }

    @Test func activations() throws {
        // A few ulps of numbers up to 1, times cotangents up to 4; exp(5) = 148 in its own fixture.
        for (name, function, magnitude) in [
            ("sigmoid", sigmoid, 4.0), ("tanh", tanh, 4), ("relu", relu, 4), ("exp", exp, 4 * 1500),
        ] as [(String, (Variable) -> Variable, Double)] {
            let test = try OperationCase(name)
            try test.check(roundings: 8, magnitude: magnitude) { ["y": function(try test["in.x"])] }
        }
    }

    @Test func elementByElement() throws {
        let test = try OperationCase("elementwise")
        // x is in six outputs, v in three times five rows.
        try test.check(roundings: 15, magnitude: 16) {
            let (x, y, v) = (try test["in.x"], try test["in.y"], try test["in.v"])
            return [
                "add": x + y, "subtract": x - y, "multiply": x * y, "addRow": addRow(x, v),
                "subtractRow": addRow(x, affine(v, scale: -1)), "multiplyRow": scaleColumns(x, by: v),
            ]
        }
        let sequence = try OperationCase("elementwise_sequence")
        try sequence.check(roundings: 30, magnitude: 16) {
            let (x, v) = (try sequence["in.x"], try sequence["in.v"])
            let outputs = ["addRow": addRow(x, v), "multiplyRow": scaleColumns(x, by: v)]
            #expect(outputs.values.allSatisfy { $0.shape == x.shape })
            return outputs
        }
    }

    @Test func reductions() throws {
        let test = try OperationCase("reduction")
        try test.check(roundings: 37, magnitude: 16) {
            let x = try test["in.x"], (R, C) = (5, 37)
            let row = Variable(Tensor(repeating: 1, shape: [1, R])),
                column = Variable(Tensor(repeating: 1, shape: [C, 1]))
            let rows = matmul(row, x), columns = matmul(x, column)
            let fresh = (matmul(row, x), matmul(x, column))
            return [
                "sum": sum(x), "mean": mean(x), "sumOfRows": rows, "sumOfColumns": columns,
                "meanOfRows": affine(fresh.0, scale: 1 / Float(R)),
                "meanOfColumns": affine(fresh.1, scale: 1 / Float(C)),
            ]
        }
    }

    @Test(arguments: ["layerNorm", "layerNorm_gates", "layerNorm_gates_h33"])
    func layerNormalizationOfRowsAndOfGates(name: String) throws {
        let test = try OperationCase(name)
        let groups = try test.fixture.meta("groups", as: Int.self),
            epsilon = try test.fixture.meta("epsilon", as: Float.self)
        // Statistics are sums in double precision: five roundings each way, and five rows in γ and β.
        try test.check(roundings: 15, magnitude: 16) {
            [
                "y": layerNorm(
                    try test["in.x"], gamma: try test["param.gamma"], beta: try test["param.beta"], groups: groups,
                    epsilon: epsilon)
            ]
        }
    }

    /// Logits up to 100: their differences are rounded at that size.
    @Test(arguments: [("crossEntropy", 4.0), ("crossEntropy_large", 128.0)])
    func crossEntropyInNats(name: String, magnitude: Double) throws {
        let test = try OperationCase(name), targets = try test.fixture.ints("in.targets").map { Int32($0) }
        try test.check(roundings: 4, magnitude: magnitude) { ["loss": crossEntropy(try test["in.logits"], targets)] }

        let logits = try test["in.logits"], expected = logits.gradient!.floats.map { Double($0) / 2 }
        logits.clearGradient()
        affine(crossEntropy(logits, targets), scale: -3).backward()
        // The factor and the product, of gradients below 1.
        expectClose(
            logits.gradient!.floats, expected.map { -3 * $0 }, relative: 0x1p-22, absolute: 0x1p-24, what: "scaled loss"
        )

        let before = logits.value.floats, single = crossEntropies(logits.value, targets)
        #expect(logits.value.floats == before, "the logits are only read")
        let mean = single.reduce(0) { $0 + Double($1) } / Double(single.count)
        expectClose(
            [mean], try test.fixture.doubles("out.loss"), relative: 0, absolute: 4 * magnitude * 0x1p-24, what: "rows")
        let silent = withoutGradient { crossEntropy(logits, targets) }
        #expect(!silent.requiresGradient)
        expectClose(
            silent.value.floats, try test.fixture.doubles("out.loss"), shape: [], relative: 0,
            absolute: 4 * magnitude * 0x1p-24, what: "without gradient")
    }

    @Test func crossEntropiesRefuseATargetThatIsNoClass() async {
        await #expect(processExitsWith: .failure) { _ = crossEntropies(Tensor(zeros: [2, 3]), [0, 3]) }
        await #expect(processExitsWith: .failure) { _ = crossEntropies(Tensor(zeros: [2, 3]), [-1, 0]) }
    }

    @Test func gatheredRowsOfAnEmbedding() throws {
        let test = try OperationCase("embedding"), symbols = try test.fixture.ints("in.symbols").map { Int32($0) }
        // Up to 15 symbols may name one row.
        try test.check(roundings: 15, magnitude: 4) { ["y": gatherRows(try test["param.table"], symbols)] }
    }

    @Test func concatenations() throws {
        let test = try OperationCase("concat")
        try test.check(roundings: 2, magnitude: 4) {
            let (a, b, c) = (try test["in.a"], try test["in.b"], try test["in.c"])
            return ["columns": concatenateColumns([a, b]), "rows": concatenateRows([a, c])]
        }
    }

    @Test func slicesOfRowsAndColumns() throws {
        let test = try OperationCase("slice")
        try test.check(roundings: 3, magnitude: 4) {
            let x = try test["in.x"]
            return [
                "columns": columns(x, 3..<8), "rows": rows(x, 1..<4), "block": columns(rows(x, 1..<4), 3..<8),
            ]
        }
    }

    // What has no fixture, on whole numbers: exact.

    @Test func affineScalesAndShifts() {
        let x = Variable(Tensor([1, -2, 3], shape: [3]), requiresGradient: true), y = affine(x, scale: -3, offset: 5)
        #expect(y.value.floats == [2, 11, -4])
        y.backward(seed: Tensor([1, 10, 100], shape: [3]))
        #expect(x.gradient?.floats == [-3, -30, -300])
    }

    @Test func scaleRowsMultipliesEachRowByItsNumber() {
        let x = Variable(Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3]), requiresGradient: true)
        for shape in [[2], [2, 1]] {
            x.clearGradient()
            let column = Variable(Tensor([10, -1], shape: shape), requiresGradient: true)
            for uses in [Float(1), 2] {
                let y = scaleRows(x, by: column)
                #expect(y.shape == [2, 3] && y.value.floats == [10, 20, 30, -4, -5, -6])
                y.backward(seed: Tensor([1, 0, 2, 0, 3, 0], shape: [2, 3]))
                #expect(x.gradient?.floats == [10, 0, 20, 0, -3, 0].map { uses * $0 })
                #expect(column.gradient?.floats == [7, 15].map { uses * $0 } && column.gradient?.shape == shape)
            }
        }
    }

    @Test func scaledGatherIsTheProductWithAScaledOneHotMatrix() {
        let table = Variable(Tensor([1, 2, 3, 4, 5, 6], shape: [3, 2]), requiresGradient: true)
        let y = gatherRows(table, [2, 0, 2, 1], scale: [1, 2, -1, 0])
        #expect(y.shape == [4, 2] && y.value.floats == [5, 6, 2, 4, -5, -6, 0, 0])
        y.backward(seed: Tensor([1, 1, 10, 20, 100, 200, 7, 7], shape: [4, 2]))
        #expect(table.gradient?.floats == [20, 40, 0, 0, -99, -199])
    }

    @Test func reshapeKeepsElementsAndGivesTheGradientTheOldShape() {
        let x = Variable(Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3]), requiresGradient: true), y = reshape(x, [3, 1, 2])
        #expect(y.shape == [3, 1, 2] && y.value.floats == x.value.floats)
        y.backward(seed: Tensor([1, 2, 3, 4, 5, 6], shape: [3, 1, 2]))
        #expect(x.gradient?.shape == [2, 3] && x.gradient?.floats == [1, 2, 3, 4, 5, 6])
    }

    @Test func rowsOfMoreThanTwoAxesKeepTheOthers() {
        let x = Variable(Tensor((0..<12).map(Float.init), shape: [3, 2, 2]), requiresGradient: true), y = rows(x, 1..<2)
        #expect(y.shape == [1, 2, 2] && y.value.floats == [4, 5, 6, 7])
        y.backward(seed: Tensor(repeating: 1, shape: [1, 2, 2]))
        #expect(x.gradient?.floats == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0])
    }

    @Test func sharedRowsAreTheRowsWithoutACopy() {
        let x = Variable(Tensor((0..<12).map(Float.init), shape: [4, 3]), requiresGradient: true)
        let copy = rows(x, 1..<3), view = rows(x, 1..<3, shared: true)
        #expect(view.value.floats == copy.value.floats && view.shape == [2, 3])
        #expect(view.value.pointer == x.value.pointer + 3 && copy.value.pointer != view.value.pointer)
        sum(rows(view, 1..<2, shared: true) * rows(view, 0..<1)).backward()
        #expect(x.gradient?.floats == [0, 0, 0, 6, 7, 8, 3, 4, 5, 0, 0, 0])
    }
}
