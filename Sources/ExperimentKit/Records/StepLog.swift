import Foundation
import Safetensors

/// One line of `steps.jsonl`: a training step or a validation.
public struct StepRecord: Codable, Equatable, Sendable {
    public let step: Int
    /// Seconds since the run began, over all sittings.
    public let seconds: Double
    /// Mean −log p of the step's batch, nats. (Logs of image runs from before `objective` hold the penalty here too.)
    public let lossNats: Double?
    /// The objective that the step minimized, where a penalty is added to the loss.
    public let objective: Double?
    /// Learning rate of the step.
    public let rate: Double?
    /// Global norm of the gradient before clipping.
    public let gradientNorm: Double?
    /// The validation split read after the step.
    public let validation: SplitEvaluation?

    public init(
        step: Int, seconds: Double, lossNats: Double? = nil, objective: Double? = nil, rate: Double? = nil,
        gradientNorm: Double? = nil, validation: SplitEvaluation? = nil
    ) {
        self.step = step
        self.seconds = seconds
        self.lossNats = lossNats
        self.objective = objective
        self.rate = rate
        self.gradientNorm = gradientNorm
        self.validation = validation
    }
}

/// The log of a run, one JSON object a line, written as it happens.
public final class StepLog {
    public let url: URL
    /// Held while lines are written.
    var lock: RunLock?

    public init(url: URL) { self.url = url }

    /// Adds a line.
    ///
    /// - Throws: `RecordError.unwritable`; `.lockLost` where another process has taken the run's folder over.
    public func append(_ record: StepRecord) throws {
        try lock?.check()
        do {
            let line = try StableJSON.encodeLine(record)
            let file = open(url.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
            guard file >= 0 else { throw AtomicFileError(path: url.path, operation: .create, code: errno) }
            defer { close(file) }
            let count = write(file, line, line.count)
            guard count == line.count else {
                throw AtomicFileError(path: url.path, operation: .write, code: count < 0 ? errno : ENOSPC)
            }
        } catch let error as AtomicFileError {
            throw RecordError.unwritable(path: url.path, reason: error.reason)
        } catch {
            throw RecordError.unwritable(path: url.path, reason: "\(error)")
        }
    }

    /// Brings the lines so far to the disk.
    ///
    /// - Throws: `RecordError.unwritable`.
    func synchronize() throws {
        let file = open(url.path, O_WRONLY | O_CLOEXEC)
        // Before the first line there is no file.
        guard file >= 0 || errno != ENOENT else { return }
        defer { if file >= 0 { close(file) } }
        guard file >= 0, fsync(file) == 0 else {
            throw RecordError.unwritable(path: url.path, reason: String(cString: strerror(errno)))
        }
    }

    /// The lines of a log in order, none where there is no log; a last line without its end, which a killed process
    /// left, is passed over.
    ///
    /// - Throws: `RecordError.unreadable` for a log that is there and cannot be read, and for a damaged line or number.
    public static func read(_ url: URL) throws -> [StepRecord] {
        guard try RunFolder.exists(url) else { return [] }
        let lines = try RunFolder.bytes(of: url).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .dropLast()
        return try lines.enumerated().map { number, line in
            let record: StepRecord, place = "\(url.path):\(number + 1)"
            do {
                record = try StableJSON.decode(StepRecord.self, from: [UInt8](line))
            } catch {
                throw RecordError.unreadable(path: place, reason: "no line of a step log")
            }
            try record.checkNumbers(path: place)
            return record
        }
    }

    /// The lines of a run's log, held to being whole: each step that had to be logged once and in order, each validation
    /// behind its step.
    ///
    /// - Parameters:
    ///   - interval: steps between two lines; the first step and the last planned one have a line too.
    ///   - done: steps that the run took.
    ///   - planned: steps that it was to take.
    /// - Throws: `RecordError.unreadable` naming the first line that is not as it must be.
    public static func readWhole(_ url: URL, interval: Int, done: Int, planned: Int) throws -> [StepRecord] {
        let records = try read(url)
        func next(after step: Int) -> Int {
            let multiple = step - step % interval + interval
            return step < planned ? min(multiple, planned) : multiple
        }
        var expected = 1, lastValidation = 0
        for (number, record) in records.enumerated() {
            let place = "\(url.path):\(number + 1)"
            if record.validation == nil {
                guard record.step == expected else {
                    throw RecordError.unreadable(
                        path: place, reason: "expected step \(expected), found step \(record.step)")
                }
                expected = next(after: record.step)
            } else {
                guard record.step > lastValidation, record.step < expected else {
                    throw RecordError.unreadable(
                        path: place,
                        reason: "expected a validation after step \(lastValidation) and before step"
                            + " \(expected), found one of step \(record.step)")
                }
                lastValidation = record.step
            }
        }
        guard expected > done else {
            throw RecordError.unreadable(path: url.path, reason: "expected a line of step \(expected), found the end")
        }
        return records
    }

    /// Drops what a run did after its last checkpoint; resuming does it again.
    func truncate(toStep step: Int, keepingItsValidation: Bool) throws {
        try lock?.check()
        let kept = try Self.read(url).filter {
            $0.step < step || ($0.step == step && ($0.validation == nil || keepingItsValidation))
        }
        try RunFolder.write(to: url) { try kept.flatMap { try StableJSON.encodeLine($0) } }
    }
}

extension StepRecord {
    /// - Throws: `RecordError.unreadable` for a number that no run can have written; it names the key.
    func checkNumbers(path: String) throws(RecordError) {
        let check = NumberCheck(path: path)
        try check.count("step", step)
        try check.seconds("seconds", seconds)
        try check.figure("lossNats", lossNats)
        try check.figure("objective", objective)
        try check.figure("rate", rate)
        try check.figure("gradientNorm", gradientNorm)
        try check.split("validation", validation)
    }
}
