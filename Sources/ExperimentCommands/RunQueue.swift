import Compute
import ExperimentKit
import Foundation

/// A run that waits for its turn.
struct QueuedRun {
    let configuration: String
    let seed: Int
    let steps: Int
    let folder: URL
    /// Seconds from its first step to its end, by the records of like runs; nil where there are none.
    let expectedSeconds: Double?

    var label: String { "\(configuration) seed \(seed)" }

    /// The file of its messages, where several runs work at a time.
    var log: URL { folder.appendingPathExtension("log") }

    /// The last line of the log, with the log's path; nil where there is none.
    ///
    /// - Parameter start: Bytes at the log's beginning that do not count.
    func lastMessage(after start: Int = 0) -> String? {
        guard let bytes = try? Data(contentsOf: log) else { return nil }
        let text = String(decoding: bytes.dropFirst(start), as: UTF8.self)
        return text.split(separator: "\n").last.map { "\($0); the rest is in \(log.path)" }
    }

    var isFinished: Bool { (try? RunRecord(contentsOf: RunFolder(url: folder).record))?.status == .finished }

    /// Steps done, and the seconds that they took, by the run's own log.
    func progress() -> (step: Int, seconds: Double)? {
        let log = try? StepLog.read(RunFolder(url: folder).log)
        return log?.last.map { ($0.step, $0.seconds) }
    }

    /// Seconds to its end, by its own pace, else by what was measured before; nil where neither is known.
    ///
    /// - Parameter progress: What `progress()` found; nil before the first step.
    func secondsLeft(after progress: (step: Int, seconds: Double)?) -> Double? {
        // One that stopped early is finished with fewer steps than planned.
        if isFinished { return 0 }
        guard let (step, seconds) = progress, step > 0 else { return expectedSeconds }
        return seconds / Double(step) * Double(max(0, steps - step))
    }
}

/// Brings runs to their end, one at a time or several, each in a process of its own: what happens to one, a crash
/// included, does not touch the others.
///
/// Each process is the program's own `train --or-resume`. A stop is passed on to those that are running, which write
/// their checkpoints; the others are not begun.
final class RunQueue {
    private struct Running {
        let run: QueuedRun
        let process: Process
        /// Held while the run lasts; nil for a run that is not pinned.
        let claim: ProcessorClaim?
        /// Bytes of the log that earlier calls wrote.
        let earlierLog: Int
    }

    private let executable: URL
    private let jobs: Int
    /// Whether runs share the terminal with this process; several at a time write to a file each.
    private let sharesTerminal: Bool
    private let arguments: [String]
    private let interruption: Interruption
    private let claims: URL
    private var waiting: [QueuedRun]
    private var running: [Running] = []
    private var failed: [QueuedRun] = []
    /// Runs that other processes work on.
    private(set) var busy: [QueuedRun] = []
    private let total: Int
    private var lastReport = Date.distantPast

    /// - Parameters:
    ///   - executable: The program whose `train` is called.
    ///   - jobs: Runs at a time, each pinned to a processor that is free, one of a free core first; nil for one at a
    ///     time with whatever threads it takes.
    ///   - arguments: What every process is given besides its configuration and seed.
    ///   - claims: The folder in which queues at the same time agree on processors.
    init(
        executable: URL, runs: [QueuedRun], jobs: Int?, arguments: [String], interruption: Interruption,
        claims: URL = FileManager.default.temporaryDirectory
    ) {
        self.executable = executable
        self.jobs = jobs ?? 1
        sharesTerminal = jobs == nil
        self.arguments = arguments
        self.interruption = interruption
        self.claims = claims
        waiting = runs
        total = runs.count
    }

    /// - Returns: The runs that failed. One that cannot even be started is among them: those that are running go on.
    func run() -> [QueuedRun] {
        while !(waiting.isEmpty || interruption.signal != nil) || !running.isEmpty {
            while running.count < jobs, !waiting.isEmpty, interruption.signal == nil {
                let next = waiting.removeFirst()
                do {
                    running.append(try start(next))
                } catch {
                    failed.append(next)
                    note("\(next.label): failed: \(error)")
                }
            }
            if interruption.signal != nil { stopAll() }
            Thread.sleep(forTimeInterval: 0.1)
            collect()
            report()
        }
        return failed
    }

    private func start(_ run: QueuedRun) throws -> Running {
        let process = Process(), taskset = "/usr/bin/taskset"
        let own = ["train", run.configuration, "--seed", "\(run.seed)"] + arguments
        var claim: ProcessorClaim?, earlierLog = 0
        if !sharesTerminal {
            let log = try openLog(of: run)
            earlierLog = Int(try log.seekToEnd())
            process.standardError = log
            if FileManager.default.isExecutableFile(atPath: taskset) {
                claim = ProcessorClaim.first(of: Processors.oneOfEachCoreFirst(Processors.allowed), in: claims)
            }
        }
        if let claim {
            // Pinned runs do not push one another from core to core.
            process.executableURL = URL(fileURLWithPath: taskset)
            process.arguments = ["--cpu-list", "\(claim.processor)", executable.path] + own
        } else {
            process.executableURL = executable
            process.arguments = own
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw UserError(description: "\(executable.path) cannot be started: \(error)")
        }
        return Running(run: run, process: process, claim: claim, earlierLog: earlierLog)
    }

    /// The log of a run, to be added to: another call may be writing it.
    private func openLog(of run: QueuedRun) throws -> FileHandle {
        try Files.makeFolder(run.log.deletingLastPathComponent())
        let descriptor = open(run.log.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw RecordError.writeFailure(path: run.log.path, code: errno) }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Takes the runs that have ended out of those under way.
    private func collect() {
        let ended = running.filter { !$0.process.isRunning }
        running.removeAll { item in ended.contains { $0.process === item.process } }
        for (index, item) in ended.enumerated() {
            let (run, process) = (item.run, item.process)
            if process.terminationReason == .exit, process.terminationStatus == busyStatus.rawValue {
                busy.append(run)
                note("\(run.label): another process works on it; not waited for")
                continue
            }
            // A stopped run exits with 128 + signal after its checkpoint, or dies of SIGTERM before it has written
            // anything. Any other status is a failure, such as a checkpoint that could not be written.
            let isStopped =
                interruption.signal != nil
                && (process.terminationReason == .exit
                    ? process.terminationStatus > 128 : process.terminationStatus == SIGTERM)
            if process.terminationStatus != 0 || process.terminationReason != .exit, !isStopped {
                failed.append(run)
                let said = run.lastMessage(after: item.earlierLog) ?? "it left no message"
                let message = sharesTerminal ? "" : ": \(said)"
                note("\(run.label): failed (\(Self.end(of: process)))\(message)")
            }
            guard !isStopped else {
                note("\(run.label): stopped; the same line goes on with it")
                continue
            }
            let left = waiting.count + running.count + ended.count - index - 1
            let secondsLeft = running.map { $0.run.secondsLeft(after: $0.run.progress()) }
            note(
                "\(run.label): ended; \(total - left - busy.count) of \(total) runs done\(timeLeft(ofRunning: secondsLeft))"
            )
        }
    }

    /// How a process ended.
    private static func end(of process: Process) -> String {
        let number = process.terminationStatus
        guard process.terminationReason == .uncaughtSignal else { return "status \(number)" }
        return "killed by signal \(number)"
            + (number == SIGKILL ? ", as the system does where memory runs out" : "")
    }

    private var isStopping = false

    private func stopAll() {
        guard !isStopping else { return }
        isStopping = true
        for item in running where item.process.isRunning { item.process.terminate() }
    }

    /// A line for each run under way, and the time left of all.
    private func report() {
        guard !sharesTerminal, !running.isEmpty, Date().timeIntervalSince(lastReport) >= 30 else { return }
        lastReport = Date()
        let secondsLeft = running.map(\.run).map { run in
            // A log of days is long: it is read once.
            let progress = run.progress(), seconds = run.secondsLeft(after: progress)
            let left = seconds.map { "\(durationText(seconds: $0)) left" } ?? "time not known yet"
            note("\(run.label)  step \(grouped(progress?.step ?? 0))/\(grouped(run.steps))  \(left)")
            return seconds
        }
        note("\(running.count) running, \(waiting.count) waiting\(timeLeft(ofRunning: secondsLeft))")
    }

    /// The time to the end of the whole queue, at least of those of its runs that have one.
    ///
    /// - Parameter secondsLeft: Of each run under way.
    private func timeLeft(ofRunning secondsLeft: [Double?]) -> String {
        let all = secondsLeft + waiting.map { $0.secondsLeft(after: $0.progress()) }, known = all.compactMap { $0 }
        guard let longest = known.max() else { return "" }
        // No queue is shorter than its longest run.
        let seconds = max(longest, known.reduce(0, +) / Double(jobs))
        return ", \(known.count < all.count ? "more than " : "about ")\(durationText(seconds: seconds)) left of all"
    }
}
