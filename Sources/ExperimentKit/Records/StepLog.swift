import Foundation

/// One line of `steps.jsonl`: a training step or a validation.
public struct StepRecord: Codable, Equatable, Sendable {
    public let step: Int
    /// Seconds since the run began, over all sittings.
    public let seconds: Double
    /// Mean loss of the step's batch, nats.
    public let lossNats: Double?
    /// Learning rate of the step.
    public let rate: Double?
    /// Global norm of the gradient before clipping.
    public let gradientNorm: Double?
    /// The validation split read after the step.
    public let validation: SplitEvaluation?

    public init(
        step: Int, seconds: Double, lossNats: Double? = nil, rate: Double? = nil, gradientNorm: Double? = nil,
        validation: SplitEvaluation? = nil
    ) {
        self.step = step
        self.seconds = seconds
        self.lossNats = lossNats
        self.rate = rate
        self.gradientNorm = gradientNorm
        self.validation = validation
    }
}

/// The log of a run, one JSON object a line, written as it happens.
public final class StepLog {
    public let url: URL

    public init(url: URL) { self.url = url }

    /// Adds a line.
    ///
    /// - Throws: `RecordError.unwritable`.
    public func append(_ record: StepRecord) throws {
        do {
            if !FileManager.default.fileExists(atPath: url.path) { try Data().write(to: url) }
            let file = try FileHandle(forWritingTo: url)
            defer { try? file.close() }
            try file.seekToEnd()
            try file.write(contentsOf: Data(try StableJSON.encodeLine(record)))
        } catch {
            throw RecordError.unwritable(path: url.path, reason: "\(error)")
        }
    }

    /// The lines of a log in order; one that a killed process left unfinished at the end is passed over.
    ///
    /// - Throws: `RecordError.unreadable` for a damaged line elsewhere.
    public static func read(_ url: URL) throws -> [StepRecord] {
        guard let text = try? String(contentsOf: url, encoding: .utf8) else { return [] }
        let lines = text.split(separator: "\n")
        var records: [StepRecord] = []
        for (number, line) in lines.enumerated() {
            do {
                records.append(try StableJSON.decode(StepRecord.self, from: [UInt8](line.utf8)))
            } catch {
                guard number == lines.count - 1 else {
                    throw RecordError.unreadable(path: "\(url.path):\(number + 1)", reason: "no line of a step log")
                }
            }
        }
        return records
    }

    /// Drops what a run did after its last checkpoint; resuming does it again.
    func truncate(toStep step: Int, keepingItsValidation: Bool) throws {
        let kept = try Self.read(url).filter {
            $0.step < step || ($0.step == step && ($0.validation == nil || keepingItsValidation))
        }
        do {
            let bytes = try kept.flatMap { try StableJSON.encodeLine($0) }
            try Data(bytes).write(to: url, options: .atomic)
        } catch {
            throw RecordError.unwritable(path: url.path, reason: "\(error)")
        }
    }
}

/// What is wrong with a run folder or a file in it.
public enum RecordError: Error, Equatable, CustomStringConvertible {
    case unreadable(path: String, reason: String)
    case unwritable(path: String, reason: String)
    /// `train` into a folder that already holds a run.
    case runExists(path: String, step: Int, experiment: String)
    /// `resume` of a folder that holds none.
    case noRun(path: String)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason): return "\(path): cannot be read: \(reason)"
        case .unwritable(let path, let reason): return "\(path): cannot be written: \(reason)"
        case .runExists(let path, let step, let experiment):
            return "\(path) already holds a run, at step \(step): go on with `\(experiment) resume \(path)`,"
                + " choose another --out, or remove the folder"
        case .noRun(let path):
            return "\(path) holds no run: there is no record.json in it"
        }
    }
}
