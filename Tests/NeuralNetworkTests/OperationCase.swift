import NeuralNetwork
import TestSupport
import Testing

/// One fixture of single operations: what PyTorch computed in double precision.
struct OperationCase {
    let fixture: Fixture
    /// Inputs and parameters by key, each of which collects a gradient.
    private let leaves: [String: Variable]

    init(_ name: String, file: String = #filePath) throws {
        let fixture = try Fixture.load(name, file: file)
        self.fixture = fixture
        leaves = try Dictionary(
            uniqueKeysWithValues: fixture.keys("grad.").map { key in
                let leaf = String(key.dropFirst("grad.".count))
                let tensor = Tensor(try fixture.floats(leaf), shape: try fixture.shape(leaf))
                return (leaf, Variable(tensor, requiresGradient: true))
            })
    }

    subscript(key: String) -> Variable {
        get throws { try #require(leaves[key], "\(fixture.name) has no leaf \(key)") }
    }

    /// Compares all outputs, and the gradients of Σ cotangent · output (or of the loss, where there are no cotangents)
    /// with respect to all leaves; then once more with twice the uses, which must give twice the gradients.
    ///
    /// - Parameters:
    ///   - roundings: How many roundings of 2^-24 a value or gradient collects at most: additions and products in a
    ///     row.
    ///   - magnitude: The largest term that is rounded.
    ///   - outputs: Computes the outputs anew, by their key without `out.`.
    func check(
        roundings: Double, magnitude: Double, sourceLocation: SourceLocation = #_sourceLocation,
        _ outputs: () throws -> [String: Variable]
    ) throws {
        let absolute = roundings * magnitude * 0x1p-24
        for uses in [1.0, 2.0] {
            let found = try outputs()
            #expect(
                Set(found.keys.map { "out.\($0)" }) == Set(fixture.keys("out.")), "\(fixture.name): every output",
                sourceLocation: sourceLocation)
            for (key, output) in found {
                expectClose(
                    output.value.floats, try fixture.doubles("out.\(key)"), relative: 0x1p-23, absolute: absolute,
                    what: "\(fixture.name): \(key)", sourceLocation: sourceLocation)
                let cotangent = "cotangent.out.\(key)"
                output.backward(
                    seed: fixture.has(cotangent) ? Tensor(try fixture.floats(cotangent), shape: output.shape) : nil)
            }
            for (key, leaf) in leaves {
                let gradient = try #require(leaf.gradient, "\(fixture.name): \(key) has no gradient")
                #expect(gradient.shape == leaf.shape, sourceLocation: sourceLocation)
                expectClose(
                    gradient.floats, try fixture.doubles("grad.\(key)").map { uses * $0 }, shape: leaf.shape,
                    relative: 0x1p-23, absolute: uses * absolute,
                    what: "\(fixture.name): \(uses == 1 ? "" : "twice ")grad.\(key)", sourceLocation: sourceLocation)
            }
        }
    }
}

/// aᵀ, to hold products with transposed factors against fixtures: an operation of these tests only.
func transpose(_ a: Variable) -> Variable {
    func swapped(_ x: Tensor) -> Tensor {
        let (rows, columns) = (x.shape[0], x.shape[1]), values = x.floats
        return Tensor(
            (0..<x.count).map { values[$0 % rows * columns + $0 / rows] }, shape: [columns, rows])
    }
    return Variable(swapped(a.value), operands: [a]) { gradient in a.addGradient(swapped(gradient)) }
}
