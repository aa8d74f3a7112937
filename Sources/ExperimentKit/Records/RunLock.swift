import Foundation
import Safetensors

/// The right to write into a run's folder: one process's at a time, on all hosts that share the folder.
///
/// The file `lock` in the folder names its holder, who renews the file's time every `renewalSeconds`. Whether a lock that is
/// there still holds depends on who left it:
///
/// - a process of the same kernel: `flock` decides; the kernel releases it when the holder ends, however it ends;
/// - another host: for `staleSeconds` without a renewal, because not every shared file system carries `flock` between hosts;
/// - a host of the same name, from another start: for `restartSeconds`; either it is this host before its last start, or a
///   namesake, such as `localhost`, which would have renewed it by then;
/// - the same Slurm job when it ran before: no more, since Slurm begins a job again only when its processes have ended.
final class RunLock {
    static let fileName = "lock"
    static let renewalSeconds = 30
    static let restartSeconds = 3 * renewalSeconds
    static let staleSeconds = 600

    /// The process that works in a folder.
    struct Holder: Codable, Equatable {
        let host: String
        let process: Int32
        /// Tells one start of a host from the next, and containers of one host from other hosts.
        let boot: String
        /// When it began, ISO 8601.
        let since: String
        /// The Slurm job that it belongs to, and how often that has begun again; nil outside of one.
        var job: String?
        var restarts: Int?

        static var current: Holder {
            var name = [CChar](repeating: 0, count: 256)
            let isNamed = gethostname(&name, name.count - 1) == 0
            let bytes = name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
            let host = isNamed ? String(decoding: bytes, as: UTF8.self) : "an unnamed host"
            let boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? host
            let variables = ProcessInfo.processInfo.environment
            let job = variables["SLURM_JOB_ID"].map { "\(variables["SLURM_CLUSTER_NAME"] ?? "") \($0)" }
            return Holder(
                host: host, process: getpid(), boot: boot.trimmingCharacters(in: .whitespacesAndNewlines),
                since: Date().formatted(.iso8601), job: job,
                restarts: job.map { _ in variables["SLURM_RESTART_COUNT"].flatMap(Int.init) ?? 0 })
        }

        /// Whether it is the same job as another's, begun again since.
        func isRestart(of other: Holder) -> Bool {
            guard let job, let restarts, let before = other.restarts else { return false }
            return job == other.job && restarts > before
        }
    }

    private let path: String
    private let holder: Holder
    private let descriptor: Int32
    private let renewal: any DispatchSourceTimer

    /// Takes the lock.
    ///
    /// - Parameter interval: Between two renewals; tests have shorter ones.
    /// - Throws: `RecordError.busy` naming who holds it; `RecordError.unwritable`.
    init(
        folder: URL, as holder: Holder = .current,
        renewingEvery interval: DispatchTimeInterval = .seconds(RunLock.renewalSeconds)
    ) throws {
        path = folder.appendingPathComponent(Self.fileName).path
        self.holder = holder
        descriptor = try Self.take(path, as: holder)
        do {
            let bytes = try StableJSON.encodeLine(holder)
            guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, bytes, bytes.count, 0) == bytes.count else {
                throw RecordError.unwritable(path: path, reason: String(cString: strerror(errno)))
            }
        } catch {
            close(descriptor)
            throw error
        }
        renewal = DispatchSource.makeTimerSource(queue: .global(qos: .utility))
        renewal.schedule(deadline: .now(), repeating: interval)
        renewal.setEventHandler { [path, descriptor] in Self.renew(path, open: descriptor, as: holder) }
        renewal.resume()
    }

    deinit {
        renewal.cancel()
        // Removed before it is let go, so that nobody removes the next holder's.
        if isHeld { unlink(path) }
        close(descriptor)
    }

    /// Whether the file still names this holder; another host takes over from a process that was suspended too long.
    var isHeld: Bool { Self.isHeld(path, open: descriptor, by: holder) }

    /// - Throws: `RecordError.lockLost`.
    func check() throws {
        guard isHeld else { throw RecordError.lockLost(path: path) }
    }

    private static func isHeld(_ path: String, open descriptor: Int32, by holder: Holder) -> Bool {
        isFile(path, open: descriptor) && content(of: descriptor).holder == holder
    }

    /// Sets the file's time to now, if it still names the holder: whoever took it over renews it, or has ended.
    static func renew(_ path: String, open descriptor: Int32, as holder: Holder) {
        if isHeld(path, open: descriptor, by: holder) { futimens(descriptor, nil) }
    }

    /// - Returns: the descriptor of a lock file that is nobody else's.
    private static func take(_ path: String, as holder: Holder) throws -> Int32 {
        while true {
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
            guard descriptor >= 0 else {
                throw RecordError.unwritable(path: path, reason: String(cString: strerror(errno)))
            }
            let isLocked = flock(descriptor, LOCK_EX | LOCK_NB) == 0, code = errno
            let (present, renewed) = content(of: descriptor)
            if !isLocked, code == EWOULDBLOCK {
                close(descriptor)
                throw RecordError.busy(
                    path: path, host: present?.host, process: present?.process, since: present?.since)
            }
            // Whoever held it may have removed it in the meantime.
            guard isFile(path, open: descriptor) else {
                close(descriptor)
                continue
            }
            // Only another start's or another host's lock is judged by its age.
            let age = present.map { $0.boot == holder.boot ? 0 : now(beside: path) - renewed } ?? 0
            if let present, isAlive(present, age: age, isLocked: isLocked, seenBy: holder) {
                close(descriptor)
                throw RecordError.busy(path: path, host: present.host, process: present.process, since: present.since)
            }
            return descriptor
        }
    }

    /// Whether the process that a lock names may still be at work.
    ///
    /// - Parameters:
    ///   - age: seconds since the lock was renewed.
    ///   - isLocked: whether the kernel gave us the lock; then no process of this kernel has it.
    static func isAlive(_ present: Holder, age: Double, isLocked: Bool, seenBy observer: Holder) -> Bool {
        if observer.isRestart(of: present) { return false }
        if present.boot == observer.boot {
            return !isLocked && present.process != observer.process
                && (kill(present.process, 0) == 0 || errno == EPERM)
        }
        return age < Double(present.host == observer.host ? restartSeconds : staleSeconds)
    }

    /// The holder that an open lock file names, nil if it names none; and when it was renewed.
    private static func content(of descriptor: Int32) -> (holder: Holder?, renewed: Double) {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        let holder = try? StableJSON.decode(Holder.self, from: Array(bytes.prefix(max(0, count))))
        return (holder, modified(descriptor) ?? -.infinity)
    }

    /// When an open file was last written, in seconds since 1970.
    private static func modified(_ descriptor: Int32) -> Double? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        #if canImport(Darwin)
            return Double(status.st_mtimespec.tv_sec)
        #else
            return Double(status.st_mtim.tv_sec)
        #endif
    }

    /// The time by the clock that sets the times of files beside a path: that of the file server may be another than this
    /// host's.
    private static func now(beside path: String) -> Double {
        let probe = "\(path).\(getpid()).tmp"
        let descriptor = open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { return Date().timeIntervalSince1970 }
        defer { close(descriptor) }
        unlink(probe)
        // A file of a server gets its time with its content.
        let isWritten = write(descriptor, " ", 1) == 1 && fsync(descriptor) == 0
        return (isWritten ? modified(descriptor) : nil) ?? Date().timeIntervalSince1970
    }

    /// Whether the file at a path is the one that is open.
    private static func isFile(_ path: String, open descriptor: Int32) -> Bool {
        var (named, opened) = (stat(), stat())
        return stat(path, &named) == 0 && fstat(descriptor, &opened) == 0 && named.st_ino == opened.st_ino
            && named.st_dev == opened.st_dev
    }
}
