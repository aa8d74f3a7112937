import HyperNetworks
import TestSupport
import Testing

// Values and gradients are single precision against PyTorch's double. A gradient here is a sum of up to a few thousand
// products of numbers of order 1 through at most five steps: 2^-24 relative each, 2e-5 after a random walk and the
// amplification of tanh and normalization (1/√variance ≤ 30). What is near zero by cancellation has that absolute
// error.
let relativeTolerance = 2e-5
let absoluteTolerance = 2e-5

/// One fixture, as variables: inputs and parameters by key, each of which collects a gradient.
final class OracleCase {
    let fixture: Fixture
    private var variables: [String: Variable] = [:]

    init(_ name: String) throws { fixture = try Fixture.load(name) }

    /// The tensor under `key` as a variable that requires a gradient.
    func variable(_ key: String) throws -> Variable {
        if let known = variables[key] { return known }
        let new = Variable(
            Tensor(try fixture.floats(key), shape: try fixture.shape(key)), requiresGradient: true)
        variables[key] = new
        return new
    }

    func variable(ifPresent key: String) throws -> Variable? { fixture.has(key) ? try variable(key) : nil }

    func tensor(_ key: String) throws -> Tensor { Tensor(try fixture.floats(key), shape: try fixture.shape(key)) }

    /// The mask under `key`, if there is one.
    func mask(_ key: String) throws -> DropoutMask? {
        fixture.has(key) ? DropoutMask(factors: try tensor(key)) : nil
    }

    /// The input of all steps.
    func input(vocabulary: Int) throws -> CellInput {
        if fixture.has("in.symbols") {
            let symbols = try fixture.ints("in.symbols").map { Int32($0) }
            let scale = fixture.has("in.inputScale") ? try fixture.floats("in.inputScale") : nil
            return .oneHot(symbols, size: vocabulary, scale: scale)
        }
        let x = try variable("in.x"), steps = x.shape[0], batch = x.shape[1]
        let flat = reshape(x, [steps * batch, x.shape[2]])
        let scale = try variable(ifPresent: "in.inputScale").map { reshape($0, [steps * batch]) }
        return .dense(scale.map { scaleRows(flat, by: $0) } ?? flat)
    }

    func layerNorm(_ prefix: String) throws -> LSTMLayerNorm? {
        guard fixture.has("\(prefix)gamma") else { return nil }
        return LSTMLayerNorm(
            gamma: try variable("\(prefix)gamma"), beta: try variable("\(prefix)beta"),
            gamma_c: try variable("\(prefix)gamma_c"), beta_c: try variable("\(prefix)beta_c"),
            epsilon: try fixture.meta("epsilon", as: Float.self))
    }

    func update(_ prefix: String) throws -> LSTMUpdate {
        LSTMUpdate(layerNorm: try layerNorm(prefix), forgetBias: try fixture.meta("forgetBias", as: Float.self))
    }

    func lstm(_ prefix: String = "param.") throws -> LSTMCell {
        LSTMCell(
            W_x: try variable("\(prefix)W_x"), W_h: try variable("\(prefix)W_h"), b: try variable("\(prefix)b"),
            update: try update(prefix))
    }

    func hyperLSTM(_ prefix: String = "param.") throws -> HyperLSTMCell {
        HyperLSTMCell(
            W_x: try variable("\(prefix)W_x"), W_h: try variable("\(prefix)W_h"), b_0: try variable("\(prefix)b_0"),
            update: try update(prefix), hyperCell: try lstm("\(prefix)hyper."),
            W_hhat_h: try variable("\(prefix)W_hhat_h"), b_hhat_h: try variable("\(prefix)b_hhat_h"),
            W_hhat_x: try variable("\(prefix)W_hhat_x"), b_hhat_x: try variable("\(prefix)b_hhat_x"),
            W_hhat_b: try variable("\(prefix)W_hhat_b"), W_hz: try variable("\(prefix)W_hz"),
            W_xz: try variable("\(prefix)W_xz"), W_bz: try variable("\(prefix)W_bz"),
            hyperStateForEmbeddings: try fixture.meta("embeddingsFrom") == "previous" ? .previous : .current)
    }

    func state(_ prefix: String = "in.") throws -> LSTMState {
        LSTMState(h: try variable("\(prefix)h0"), c: try variable("\(prefix)c0"))
    }

    /// Checks outputs, then the gradients of Σ cotangent · output with respect to all variables used so far.
    func check(outputs: [(key: String, variable: Variable)]) throws {
        var objective: Variable?
        for (key, output) in outputs {
            expectClose(
                output.value.floats, try fixture.doubles(key), shape: try fixture.shape(key),
                relative: relativeTolerance, absolute: absoluteTolerance, what: "\(fixture.name): \(key)")
            let weights = Variable(try tensor("cotangent.\(key)").reshaped(output.shape))
            let term = sum(output * weights)
            objective = objective.map { $0 + term } ?? term
        }
        #expect(Set(fixture.keys("out.")) == Set(outputs.map(\.key)), "every output of \(fixture.name) is compared")
        objective?.backward()
        try checkGradients()
    }

    func checkGradients() throws {
        for key in fixture.keys("param.") { #expect(variables[key] != nil, "\(key) of \(fixture.name) is used") }
        for (key, variable) in variables.sorted(by: { $0.key < $1.key }) {
            let gradient = variable.gradient?.floats ?? [Float](repeating: 0, count: variable.value.count)
            let expected = try fixture.doubles("grad.\(key)")
            // Where a whole gradient is large its small elements have the rounding error of the large ones.
            let scale = max(1, expected.map(abs).max() ?? 1)
            expectClose(
                gradient, expected, shape: try fixture.shape(key), relative: relativeTolerance,
                absolute: absoluteTolerance * scale, what: "\(fixture.name): grad.\(key)")
        }
    }
}

/// The two ways through a sequence.
enum Way: String, CaseIterable, Sendable, CustomTestStringConvertible {
    /// One operation for the sequence.
    case fused
    /// `unrolled`: the readable step T times.
    case twin

    var testDescription: String { rawValue }
}
