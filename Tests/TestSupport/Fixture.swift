import Foundation
import Safetensors

/// Inputs, parameters, outputs and gradients of one case, as PyTorch computed them in float64.
///
/// Keys: `in.*`, `param.*`, `out.*`, `cotangent.out.*` and, under `grad.` + the key of the tensor, gradients of the
/// objective (a loss, or Σ cotangent · output). The program that made the file stands beside it.
public struct Fixture: Sendable {
    /// What went wrong with a fixture that does not hold what a test asks for.
    public struct MetadataError: Error, CustomStringConvertible {
        public let description: String
    }

    /// The case's name, the file's without its ending.
    public let name: String
    /// The contents of the file.
    public let file: SafetensorsFile

    /// Reads `Fixtures/<name>.safetensors` beside the test file that calls.
    ///
    /// - Parameter testFile: the calling test file; leave it out.
    /// - Throws: `SafetensorsError`.
    public static func load(_ name: String, file testFile: String = #filePath) throws -> Fixture {
        let folder = URL(fileURLWithPath: testFile).deletingLastPathComponent().appendingPathComponent("Fixtures")
        let path = folder.appendingPathComponent("\(name).safetensors").path
        return Fixture(name: name, file: try SafetensorsFile(path: path))
    }

    /// Keys that start with `prefix`, in the order of the file.
    public func keys(_ prefix: String = "") -> [String] {
        file.entries.map(\.name).filter { $0.hasPrefix(prefix) }
    }

    /// Whether there is a tensor under `key`.
    public func has(_ key: String) -> Bool { file[key] != nil }

    /// The shape of the tensor under `key`.
    ///
    /// - Throws: `SafetensorsError.missingName`.
    public func shape(_ key: String) throws -> [Int] { try file.entry(key).shape }

    /// A float tensor as PyTorch computed it, row-major.
    ///
    /// - Throws: `SafetensorsError.missingName`, `.wrongDType`.
    public func doubles(_ key: String) throws -> [Double] { try file.doubles(key) }

    /// A float tensor rounded to single precision, row-major. Inputs and parameters are drawn such that nothing is
    /// lost.
    ///
    /// - Throws: `SafetensorsError.missingName`, `.wrongDType`.
    public func floats(_ key: String) throws -> [Float] { try file.doubles(key).map { Float($0) } }

    /// An integer tensor (symbols, targets), row-major.
    ///
    /// - Throws: `SafetensorsError.missingName`, `.wrongDType`.
    public func ints(_ key: String) throws -> [Int] { try file.integers(key).map { Int($0) } }

    /// A constant of the case, for instance `try fixture.meta("epsilon", as: Float.self)`.
    ///
    /// - Throws: `MetadataError` when there is none of that name, or its text is no `Value`.
    public func meta<Value: LosslessStringConvertible>(_ key: String, as type: Value.Type = String.self) throws -> Value
    {
        guard let text = file.metadata[key] else {
            let keys = file.metadata.items.map(\.key).joined(separator: ", ")
            throw MetadataError(description: "\(name): expected metadata \(key), found \(keys)")
        }
        guard let value = Value(text) else {
            throw MetadataError(description: "\(name): \(key): expected a \(type), found \(text)")
        }
        return value
    }
}
