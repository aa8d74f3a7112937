import Foundation

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
        let line = try StableJSON.encodeLine(record)
        let file = open(url.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw RecordError.writeFailure(path: url.path, code: errno) }
        let count = write(file, line, line.count), written = count == line.count ? 0 : count < 0 ? errno : ENOSPC
        // A file server may refuse the line only now.
        let closed = close(file) == 0 || errno == EINTR ? 0 : errno
        for code in [written, closed] where code != 0 { throw RecordError.writeFailure(path: url.path, code: code) }
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
            throw RecordError.writeFailure(path: url.path, code: errno)
        }
    }

    /// The lines of a log in order, none where there is no log; a last line without its end, which a killed process
    /// left, is passed over.
    ///
    /// - Throws: `RecordError.unreadable` for a log that is there and cannot be read, and for a damaged line or number.
    public static func read(_ url: URL) throws -> [StepRecord] {
        let (records, damage) = try readable(url)
        if let damage { throw damage }
        return records
    }

    /// The lines up to the first that is damaged, and what is wrong with that one.
    private static func readable(_ url: URL) throws -> (records: [StepRecord], damage: RecordError?) {
        guard try Files.exists(url) else { return ([], nil) }
        let lines = try Files.bytes(of: url).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .dropLast()
        var records: [StepRecord] = []
        for line in lines {
            let place = "\(url.path):\(records.count + 1)"
            do {
                let record = try StableJSON.decode(StepRecord.self, from: [UInt8](line))
                try record.checkNumbers(path: place)
                records.append(record)
            } catch {
                return (records, error as? RecordError ?? .unreadable(path: place, reason: "no line of a step log"))
            }
        }
        return (records, nil)
    }

    /// The lines of a run's log, checked to be whole: each step that had to be logged once and in order, each
    /// validation behind its step.
    ///
    /// - Parameters:
    ///   - interval: Steps between two lines; the first step and the last planned one have a line too.
    ///   - done: Steps that the run took.
    ///   - planned: Steps that it was to take.
    /// - Throws: `RecordError.unreadable` naming the first line that is not as it must be.
    public static func readWhole(_ url: URL, interval: Int, done: Int, planned: Int) throws -> [StepRecord] {
        let records = try read(url)
        try checkWhole(records, of: url, interval: interval, done: done, planned: planned)
        return records
    }

    private static func checkWhole(
        _ records: [StepRecord], of url: URL, interval: Int, done: Int, planned: Int
    ) throws(RecordError) {
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
    }

    /// Drops what a run did after its last checkpoint; resuming does it again, so damage there does not count.
    ///
    /// - Parameters:
    ///   - step: That of the checkpoint.
    ///   - hasValidation: Whether the checkpoint knows a validation of its step.
    ///   - interval: Steps between two lines.
    ///   - planned: Steps that the run is to take.
    /// - Throws: `RecordError.unreadable` where the lines up to the checkpoint are not whole, before anything is
    ///   written; `.unwritable`; `.lockLost`.
    func truncate(toStep step: Int, hasValidation: Bool, interval: Int, planned: Int) throws {
        try lock?.check()
        let (records, damage) = try Self.readable(url)
        let kept = records.filter {
            $0.step < step || ($0.step == step && ($0.validation == nil || hasValidation))
        }
        do {
            try Self.checkWhole(kept, of: url, interval: interval, done: step, planned: planned)
        } catch {
            throw damage ?? error
        }
        if let damage, hasValidation, kept.last?.validation == nil { throw damage }
        try Files.write(try kept.flatMap { try StableJSON.encodeLine($0) }, to: url)
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
