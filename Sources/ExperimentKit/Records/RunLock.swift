import Foundation

/// The right to write into a run's folder: one process's at a time, on all hosts that share the folder.
///
/// The file `lock` in the folder names its holder, who renews the file's time every `renewalSeconds`. Whether a lock
/// that is there still holds depends on who left it:
///
/// - a process of the same kernel: `flock` decides; the kernel releases it when the holder ends, however it ends (where
///   the file system has no `flock`: while a process of its number lives and has renewed it within `staleSeconds`);
/// - another host: for `staleSeconds` without a renewal, because not every shared file system carries `flock` between
///   hosts, and a file server that does may refuse the lock of a host that died until that host is back;
/// - a host of the same name, from another start: for `restartSeconds`; either it is this host before its last start,
///   or a namesake, such as `localhost`, which would have renewed it by then;
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
    private let holder = Holder.current
    private let descriptor: Int32
    private let renewal: any DispatchSourceTimer

    /// Takes the lock.
    ///
    /// - Parameter interval: Between two renewals; tests have shorter ones.
    /// - Throws: `RecordError.busy` naming who holds it; `.unwritable`; `.unreadable`.
    init(folder: URL, renewingEvery interval: DispatchTimeInterval = .seconds(RunLock.renewalSeconds)) throws {
        path = folder.appendingPathComponent(Self.fileName).path
        descriptor = try Self.take(path, as: holder)
        do {
            let bytes = try StableJSON.encodeLine(holder)
            guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, bytes, bytes.count, 0) == bytes.count else {
                throw RecordError.writeFailure(path: path, code: errno)
            }
        } catch {
            close(descriptor)
            throw error
        }
        renewal = DispatchSource.makeTimerSource(queue: .global(qos: .utility))
        renewal.schedule(deadline: .now(), repeating: interval)
        renewal.setEventHandler { [path, descriptor, holder] in Self.renew(path, open: descriptor, as: holder) }
        // A renewal under way still uses the file; this runs after it.
        renewal.setCancelHandler { [descriptor] in close(descriptor) }
        renewal.resume()
    }

    deinit {
        // Removed before it is let go, so that nobody removes the next holder's.
        if isHeld { unlink(path) }
        renewal.cancel()
    }

    /// Whether the file still names this holder; another host takes over from a process that was suspended too long.
    var isHeld: Bool { (try? Self.isHeld(path, open: descriptor, by: holder)) ?? false }

    /// - Throws: `RecordError.lockLost`; `.unreadable` where the system does not tell.
    func check() throws {
        guard try Self.isHeld(path, open: descriptor, by: holder) else { throw RecordError.lockLost(path: path) }
    }

    /// By a file opened anew: to that alone a file server promises what others have written.
    private static func isHeld(_ path: String, open descriptor: Int32, by holder: Holder) throws -> Bool {
        let fresh = open(path, O_RDONLY | O_CLOEXEC)
        guard fresh >= 0 else {
            if errno == ENOENT { return false }
            throw RecordError.readFailure(path: path, code: errno)
        }
        defer { close(fresh) }
        return try isFile(path, open: descriptor) && content(of: fresh, path).holder == holder
    }

    /// Sets the file's time to now, if it still names the holder: whoever took it over renews it, or has ended.
    static func renew(_ path: String, open descriptor: Int32, as holder: Holder) {
        if (try? isHeld(path, open: descriptor, by: holder)) == true { futimens(descriptor, nil) }
    }

    /// - Returns: The descriptor of a lock file that is nobody else's.
    private static func take(_ path: String, as holder: Holder) throws -> Int32 {
        while true {
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
            guard descriptor >= 0 else {
                throw RecordError.writeFailure(path: path, code: errno)
            }
            do {
                if try isFree(path, open: descriptor, for: holder) { return descriptor }
                close(descriptor)
            } catch {
                close(descriptor)
                throw error
            }
        }
    }

    /// Whether an open lock file is nobody else's; false where it is no longer the one at its path.
    ///
    /// - Throws: `RecordError.busy`; `.unreadable`; `.unwritable` where a stale one cannot be removed.
    private static func isFree(_ path: String, open descriptor: Int32, for holder: Holder) throws -> Bool {
        let isLocked = flock(descriptor, LOCK_EX | LOCK_NB) == 0, isRefused = !isLocked && errno == EWOULDBLOCK
        let (present, renewed) = try content(of: descriptor, path)
        // Whoever held it may have removed it in the meantime.
        guard isFile(path, open: descriptor) else { return false }
        let now = present == nil ? nil : now(beside: path)
        let age = (now ?? Date().timeIntervalSince1970) - renewed
        // A file server keeps the lock of a host that died until that host is back.
        if isRefused, let present, present.boot != holder.boot,
            holder.isRestart(of: present) || now != nil && age >= Double(staleSeconds)
        {
            // Whoever took it just now has not written its name yet.
            sleep(1)
            guard isFile(path, open: descriptor), try content(of: descriptor, path).holder == present else {
                return false
            }
            guard unlink(path) == 0 || errno == ENOENT else {
                throw RecordError.writeFailure(path: path, code: errno)
            }
            return false
        }
        if isRefused || present.map({ isAlive($0, age: age, isLocked: isLocked, seenBy: holder) }) == true {
            throw RecordError.busy(
                path: path, host: present?.host, process: present?.process, since: present?.since)
        }
        return true
    }

    /// Whether the process that a lock names may still be at work.
    ///
    /// - Parameters:
    ///   - age: Seconds since the lock was renewed.
    ///   - isLocked: Whether the kernel gave us the lock; then no process of this kernel has it.
    static func isAlive(_ present: Holder, age: Double, isLocked: Bool, seenBy observer: Holder) -> Bool {
        if observer.isRestart(of: present) { return false }
        if present.boot == observer.boot {
            // Where the file system has no locks, another process may have got the number of one that ended.
            return !isLocked && present.process != observer.process && age < Double(staleSeconds)
                && (kill(present.process, 0) == 0 || errno == EPERM)
        }
        return age < Double(present.host == observer.host ? restartSeconds : staleSeconds)
    }

    /// The holder that an open lock file names, nil if it names none; and when it was renewed.
    ///
    /// - Throws: `RecordError.unreadable`.
    private static func content(of descriptor: Int32, _ path: String) throws -> (holder: Holder?, renewed: Double) {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count >= 0 else {
            throw RecordError.readFailure(path: path, code: errno)
        }
        let holder = try? StableJSON.decode(Holder.self, from: Array(bytes.prefix(count)))
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

    /// The time by the clock that sets the times of files beside a path: that of the file server may be another than
    /// this host's. Nil where no file can be written.
    private static func now(beside path: String) -> Double? {
        // A name that the next sitting removes where this process is killed.
        let file = URL(fileURLWithPath: path)
        let probe = file.deletingLastPathComponent().path + "/.\(file.lastPathComponent).\(getpid()).tmp"
        let descriptor = open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        unlink(probe)
        // A file of a server gets its time with its content.
        let isWritten = write(descriptor, " ", 1) == 1 && fsync(descriptor) == 0
        return isWritten ? modified(descriptor) : nil
    }

    /// Whether the file at a path is the one that is open.
    private static func isFile(_ path: String, open descriptor: Int32) -> Bool {
        var (named, opened) = (stat(), stat())
        return stat(path, &named) == 0 && fstat(descriptor, &opened) == 0 && named.st_ino == opened.st_ino
            && named.st_dev == opened.st_dev
    }
}
