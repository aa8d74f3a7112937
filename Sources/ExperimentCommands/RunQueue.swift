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
    var lastMessage: String? {
        let text = try? String(contentsOf: log, encoding: .utf8)
        return text?.split(separator: "\n").last.map { "\($0); the rest is in \(log.path)" }
    }

    var isFinished: Bool { (try? RunRecord(contentsOf: RunFolder(url: folder).record))?.status == .finished }

    /// Steps done, and the seconds that they took, by the run's own log.
    func progress() -> (step: Int, seconds: Double)? {
        let log = try? StepLog.read(RunFolder(url: folder).log)
        return log?.last.map { ($0.step, $0.seconds) }
    }

    /// Seconds to its end, by its own pace, else by what was measured before; nil where neither is known.
    func secondsLeft() -> Double? {
        guard let (step, seconds) = progress(), step > 0 else { return expectedSeconds }
        return seconds / Double(step) * Double(max(0, steps - step))
    }
}

/// Brings runs to their end, one at a time or several, each in a process of its own: what happens to one, a crash
/// included, does not touch the others.
///
/// Each process is the program's own `train --or-resume`. A stop is passed on to those that are running, which write their
/// checkpoints; the others are not begun.
final class RunQueue {
    private let executable: URL
    private let jobs: Int
    /// Whether runs share the terminal with this process; several at a time write to a file each.
    private let sharesTerminal: Bool
    private let arguments: [String]
    private let interruption: Interruption
    private var waiting: [QueuedRun]
    private var running: [(run: QueuedRun, process: Process, core: Int)] = []
    private var failed: [QueuedRun] = []
    private let total: Int
    private var lastReport = Date.distantPast

    /// - Parameters:
    ///   - executable: The program whose `train` is called.
    ///   - jobs: Runs at a time, each pinned to a core; nil for one at a time with whatever threads it takes.
    ///   - arguments: What every process is given besides its configuration and seed.
    init(
        executable: URL, runs: [QueuedRun], jobs: Int?, arguments: [String], interruption: Interruption
    ) {
        self.executable = executable
        self.jobs = jobs ?? 1
        sharesTerminal = jobs == nil
        self.arguments = arguments
        self.interruption = interruption
        waiting = runs
        total = runs.count
    }

    /// - Returns: The runs that failed.
    /// - Throws: `UserError` if the program cannot start itself.
    func run() throws -> [QueuedRun] {
        while !(waiting.isEmpty || interruption.signal != nil) || !running.isEmpty {
            while running.count < jobs, !waiting.isEmpty, interruption.signal == nil {
                try start(waiting.removeFirst())
            }
            if interruption.signal != nil { stopAll() }
            Thread.sleep(forTimeInterval: 0.1)
            collect()
            report()
        }
        return failed
    }

    private func start(_ run: QueuedRun) throws {
        let process = Process()
        let own = ["train", run.configuration, "--seed", "\(run.seed)"] + arguments
        let core = (0..<jobs).first { core in !running.contains { $0.core == core } } ?? 0
        let taskset = "/usr/bin/taskset"
        if !sharesTerminal, FileManager.default.isExecutableFile(atPath: taskset) {
            // Pinned runs do not push one another from core to core.
            let cores = Self.allowedCores()
            process.executableURL = URL(fileURLWithPath: taskset)
            process.arguments = ["--cpu-list", "\(cores[core % cores.count])", executable.path] + own
        } else {
            process.executableURL = executable
            process.arguments = own
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        if !sharesTerminal { process.standardError = try log(of: run) }
        do {
            try process.run()
        } catch {
            throw UserError(description: "\(executable.path) cannot be started: \(error)")
        }
        running.append((run, process, core))
    }

    /// The cores that this process may use; the first of the machine where the system does not say.
    private static func allowedCores() -> [Int] {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
        let ranges = (line?.dropFirst("Cpus_allowed_list:".count) ?? "").split(separator: ",")
        let cores = ranges.flatMap { range -> [Int] in
            let ends = range.split(separator: "-").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
            guard let first = ends.first, let last = ends.last, first <= last else { return [] }
            return Array(first...last)
        }
        return cores.isEmpty ? Array(0..<ProcessInfo.processInfo.activeProcessorCount) : cores
    }

    private func log(of run: QueuedRun) throws -> FileHandle {
        let url = run.log
        do {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data().write(to: url)
            return try FileHandle(forWritingTo: url)
        } catch {
            throw UserError(description: "\(url.path): cannot be written: \(error)")
        }
    }

    /// Takes the runs that have ended out of those under way.
    private func collect() {
        let ended = running.filter { !$0.process.isRunning }
        running.removeAll { run in ended.contains { $0.process === run.process } }
        for (index, (run, process, _)) in ended.enumerated() {
            let isStopped = interruption.signal != nil && process.terminationReason == .exit
            if process.terminationStatus != 0 || process.terminationReason != .exit, !isStopped {
                failed.append(run)
                let message = sharesTerminal ? "" : ": \(run.lastMessage ?? "it left no message")"
                note("\(run.label): failed (status \(process.terminationStatus))\(message)")
            }
            let left = waiting.count + running.count + ended.count - index - 1
            note("\(run.label): ended; \(total - left) of \(total) runs done\(timeLeft())")
        }
    }

    private var isStopping = false

    private func stopAll() {
        guard !isStopping else { return }
        isStopping = true
        for (_, process, _) in running where process.isRunning { process.terminate() }
    }

    /// A line for each run under way, and the time left of all.
    private func report() {
        guard !sharesTerminal, !running.isEmpty, Date().timeIntervalSince(lastReport) >= 30 else { return }
        lastReport = Date()
        for (run, _, _) in running {
            let left = run.secondsLeft().map { "\(durationText(seconds: $0)) left" } ?? "time not known yet"
            note("\(run.label)  step \(grouped(run.progress()?.step ?? 0))/\(grouped(run.steps))  \(left)")
        }
        note("\(running.count) running, \(waiting.count) waiting\(timeLeft())")
    }

    /// The time to the end of the whole queue, where every run of it has one.
    private func timeLeft() -> String {
        let runs = running.map(\.run) + waiting
        let seconds = runs.compactMap { $0.secondsLeft() }
        guard !runs.isEmpty, !seconds.isEmpty else { return "" }
        // No queue is shorter than its longest run.
        let all = max(seconds.max() ?? 0, seconds.reduce(0, +) / Double(jobs))
        return ", \(seconds.count < runs.count ? "more than " : "about ")\(durationText(seconds: all)) left of all"
    }
}
