import Compute

/// Memory that a piece of work takes at the least, by what takes it: a lower bound, so that nothing is refused that
/// would run. As numbers of type Double, which no product of sizes overflows.
public struct MemoryNeed: Sendable {
    private struct Part {
        let what: String
        let keys: [String]
        let bytes: Double
    }

    private var parts: [Part] = []

    public init() {}

    /// The parameters of a run, with what training keeps of each.
    ///
    /// - Parameters:
    ///   - count: The model's.
    ///   - copies: Numbers kept for each: itself, its gradient, the optimizer's moments.
    ///   - keys: Keys of the configuration that the count follows.
    public init(parameters count: Int, copies: Int, keys: [String]) {
        add(
            "\(grouped(count)) parameters, their gradient and the optimizer's moments",
            numbers: Double(count) * Double(copies), keys: keys)
    }

    /// Adds numbers that are held at the same time as the others.
    ///
    /// - Parameters:
    ///   - what: What they are, for people.
    ///   - numbers: How many, of 4 bytes each.
    ///   - keys: Keys of the configuration that the count follows.
    public mutating func add(_ what: String, numbers: Double, keys: [String]) {
        parts.append(Part(what: what, keys: keys, bytes: numbers * Double(MemoryLayout<Float>.stride)))
    }

    public var bytes: Double { parts.reduce(0) { $0 + $1.bytes } }

    /// Compares the need with what there is.
    ///
    /// - Parameter available: Nil where the system does not tell, which refuses nothing.
    /// - Throws: `MemoryError`.
    public func require(_ available: AvailableMemory? = .current) throws {
        guard let available, bytes > available.bytes else { return }
        let largest = parts.filter { $0.bytes >= bytes / 10 }.map { part in
            "\(Self.gibibytes(part.bytes)) for \(part.what) (\(part.keys.joined(separator: ", ")))"
        }
        throw MemoryError(
            needed: Self.gibibytes(bytes), parts: largest, available: Self.gibibytes(available.bytes),
            source: available.source)
    }

    private static func gibibytes(_ bytes: Double) -> String { "\(fixed(bytes / Double(1 << 30), 2)) GiB" }
}

/// A piece of work that needs more memory than there is.
public struct MemoryError: Error, Equatable, CustomStringConvertible {
    let needed: String
    let parts: [String]
    let available: String
    let source: String

    public var description: String {
        "expected at least \(needed) of memory, found \(available) (\(source)): \(parts.joined(separator: "; "))."
            + " Set smaller values, or take a machine with more"
    }
}
