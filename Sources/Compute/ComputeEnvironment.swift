import CKernels
import COpenBLAS
import Foundation
import Synchronization

/// A reason why the compute core cannot start as asked.
public enum ComputeError: Error, CustomStringConvertible, Equatable {
    /// `found` as the message has it: a number, or text in quotes.
    case threads(found: String, source: String)
    /// The system started fewer threads than `setting` asks for, this one included.
    case threadsNotStarted(asked: Int, started: Int, setting: String)
    case addressSpace(limit: UInt64, needed: UInt64)
    case blas(String)
    case kernels(requested: String, available: [String])

    public var description: String {
        switch self {
        case .threads(let found, let source):
            "\(source): expected a number of threads from 1 to \(ThreadChoice.most), found \(found)"
        case .threadsNotStarted(let asked, let started, let setting):
            "\(setting): asked for \(asked) threads, and the system started \(started): raise its limit (`ulimit -u`,"
                + " pids.max of the control group), or ask for fewer"
        case .addressSpace(let limit, let needed):
            "expected room for \(needed >> 20) MiB of addresses, found a limit of \(limit >> 20) MiB"
                + " (`ulimit -v`): raise it, or give fewer --threads"
        case .blas(let message):
            message
        case .kernels(let requested, let available):
            "HYPERNETWORKS_SIMD: expected one of \(available.joined(separator: ", ")), found \"\(requested)\""
        }
    }
}

/// What a thread of its own runs, as an object that C code can carry to it.
private final class ThreadBody {
    let run: @Sendable () -> Void

    init(run: @escaping @Sendable () -> Void) { self.run = run }
}

/// The threads, BLAS and its kernels, vector instructions and CPU that computations run on.
public enum ComputeEnvironment {
    /// nil until it is set or first asked for.
    private static let chosen = Mutex<ThreadChoice?>(nil)
    /// The same number, for parallel loops to read at every turn; 0 until it is set.
    private static let chosenThreads = Atomic<Int>(0)

    /// Sets the number of threads and loads the libraries. Call it once, before any computation.
    ///
    /// - Parameter requested: Threads to use; nil takes what the process may use (`ThreadChoice`).
    /// - Throws: `ComputeError.threads` for no number in range, `.threadsNotStarted` where the system starts fewer,
    ///   `.addressSpace` where the limit on addresses is too low for OpenBLAS, `.blas` where the library that
    ///   `HYPERNETWORKS_BLAS` names cannot be loaded, `.kernels` where `HYPERNETWORKS_SIMD` names kernels that this CPU
    ///   does not run.
    public static func configure(threads requested: Int? = nil) throws {
        let choice = try ThreadChoice.current(requested: requested)
        if let error = Kernels.error { throw error }
        try requireAddressSpace(threads: choice.count)
        if let error = Blas.shared.error { throw error }
        let started = use(choice)
        guard started == choice.count else {
            throw ComputeError.threadsNotStarted(asked: choice.count, started: started, setting: choice.reason)
        }
    }

    /// OpenBLAS asks for buffers of 32 MiB until it gets them, without an end where a limit forbids it.
    private static func requireAddressSpace(threads: Int) throws {
        guard let limit = addressSpaceLimit else { return }
        // The program itself, a stack of 8 MiB and an arena of 64 MiB a thread, and OpenBLAS's buffers.
        let needed = UInt64(512 << 20) + UInt64(threads) * (72 << 20)
        guard limit >= needed else { throw ComputeError.addressSpace(limit: limit, needed: needed) }
    }

    /// Bytes of addresses that the process may have (`ulimit -v`); nil for no limit.
    static var addressSpaceLimit: UInt64? {
        var limit = rlimit()
        #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_AS.rawValue)
        #else
            let resource = RLIMIT_AS
        #endif
        // No limit is the largest number, of 64 bits or of 63.
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < rlim_t(Int64.max) else { return nil }
        return UInt64(limit.rlim_cur)
    }

    /// - Returns: The threads that the system started.
    @discardableResult
    private static func use(_ choice: ThreadChoice) -> Int {
        let started = Int(ck_parallel_threads(Int32(choice.count)))
        chosen.withLock { $0 = choice }
        chosenThreads.store(started, ordering: .relaxed)
        return started
    }

    /// Starts a thread beside those of the pool; it ends when `body` returns.
    ///
    /// - Parameter stack: Bytes of its stack.
    /// - Returns: Whether the system started it.
    package static func startThread(stack: Int, _ body: @escaping @Sendable () -> Void) -> Bool {
        let task = Unmanaged.passRetained(ThreadBody(run: body))
        let code = ck_start_thread(
            Int64(stack),
            { context in
                if let context { Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, task.toOpaque())
        if code != 0 { task.release() }
        return code == 0
    }

    /// Threads in use, at least 1.
    public static var threads: Int {
        if chosenThreads.load(ordering: .relaxed) == 0 { use(threadChoice) }
        return chosenThreads.load(ordering: .relaxed)
    }

    /// The number of threads with its reason. Before `configure` it is what the process may use; a variable that states
    /// no valid number is then not obeyed.
    public static var threadChoice: ThreadChoice {
        if let choice = chosen.withLock({ $0 }) { return choice }
        if let choice = try? ThreadChoice.current(requested: nil) { return choice }
        return ThreadChoice(one: "no valid number of threads is stated")
    }

    /// Such as "OpenBLAS 0.3.21, SkylakeX kernels (chosen from the CPU's features)".
    public static var blasDescription: String {
        let kernels = blasCoreName == "none" ? "" : ", \(blasCoreName) kernels"
        return "\(Blas.shared.library)\(kernels) (\(Blas.shared.choice))"
    }

    /// The kernels that OpenBLAS uses, such as "SkylakeX"; "none" where there is no OpenBLAS.
    public static var blasCoreName: String { Blas.shared.coreName }

    /// Such as "0.3.21"; "of unknown version" where the library does not say.
    public static var blasVersion: String { Blas.shared.version }

    /// The vector kernels in use: "amx", "avx512", "avx2" or "portable".
    public static var simdName: String { String(cString: Kernels.current.name) }

    /// Warnings about slow or substituted kernels; empty where all is well.
    public static var warnings: [String] {
        (Kernels.error.map { ["\($0); using \(simdName)"] } ?? []) + Blas.shared.warnings
    }

    /// The processor's name as the system gives it.
    public static let cpuName: String = {
        let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = information.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line.flatMap { $0.split(separator: ":").last }
            .map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
    }()

    /// Rate of a product of 2048³ multiply-adds on all threads, in GFLOP/s: the best of four.
    public static func measureGEMM() -> Double {
        let n = 2048
        let a = Tensor(repeating: 0.5, shape: [n, n]), b = Tensor(repeating: 0.25, shape: [n, n])
        let c = Tensor(zeros: [n, n])
        let seconds = leastSeconds(of: 4) {
            Blas.gemm(m: n, n: n, k: n, a: a.pointer, lda: n, b: b.pointer, ldb: n, beta: 0, c: c.pointer, ldc: n)
        }
        return 2 * Double(n) * Double(n) * Double(n) / seconds * 1e-9
    }

    /// Rate at which all threads together copy 256 MiB, which no cache holds, reading and writing counted, in GB/s: the
    /// best of five.
    public static func measureCopy() -> Double {
        let bytes = 256 << 20, count = bytes / MemoryLayout<Float>.stride
        let source = Tensor(zeros: [count]), target = Tensor(zeros: [count])
        let seconds = leastSeconds(of: 5) {
            Parallel.chunks(of: count) { range, _ in
                (target.pointer + range.lowerBound).update(from: source.pointer + range.lowerBound, count: range.count)
            }
        }
        return 2 * Double(bytes) / seconds * 1e-9
    }

    /// The time of the fastest of `count` runs.
    private static func leastSeconds(of count: Int, _ body: () -> Void) -> Double {
        (0..<count).reduce(Double.infinity) { least, _ in
            let start = DispatchTime.now().uptimeNanoseconds
            body()
            return min(least, Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9)
        }
    }
}
