import COpenBLAS
import Foundation

/// A BLAS, loaded with the kernels that fit this CPU, and split over our own thread pool: OpenBLAS, Accelerate, the
/// library that `HYPERNETWORKS_BLAS` names, or plain loops where there is none.
///
/// OpenBLAS runs single-threaded: its own threads would spin beside the pool's. A product is cut into one block of
/// columns (or rows) a thread instead.
package struct Blas: Sendable {
    /// The library, such as "OpenBLAS 0.3.21".
    package let library: String
    /// The way in which the kernels were chosen, for people.
    package let choice: String
    /// "none" where they have no name.
    package let coreName: String
    package let version: String
    package let warnings: [String]
    /// Why the library that was asked for is not the one in use; nil where it is.
    package let error: ComputeError?
    let functions: openblas_functions

    package static let shared = Blas()

    /// Names the library to load, or `none` for plain loops.
    private static let libraryVariable = "HYPERNETWORKS_BLAS"

    /// Decides on `OPENBLAS_CORETYPE`, then loads.
    private init() {
        let variable = "OPENBLAS_CORETYPE", threadsVariable = "OPENBLAS_NUM_THREADS"
        // The library reads both while it is loaded. What is put into them here does not stay: programs that this one
        // starts would take it for the user's choice.
        let former = [variable, threadsVariable].map { ($0, ProcessInfo.processInfo.environment[$0]) }
        defer {
            for (name, value) in former {
                if let value { setenv(name, value, 1) } else { unsetenv(name) }
            }
        }
        let preferred = openblas_preferred_core().map { String(cString: $0) }
        var warnings: [String] = []
        func setting(_ name: String) -> String? {
            ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
        }
        var wanted = setting(variable)
        var choice = "\(variable) set by the user"
        if let name = wanted, openblas_core_runs(name) == 0 {
            warnings.append(
                "\(variable)=\(name): this CPU cannot run these kernels; using \(preferred ?? "the library's choice")")
            wanted = nil
        }
        if wanted == nil {
            wanted = preferred
            choice = preferred == nil ? "chosen by the library" : "chosen from the CPU's features"
            if let preferred { setenv(variable, preferred, 1) } else { unsetenv(variable) }
        }
        // Threads of its own would only be started and never used.
        setenv(threadsVariable, "1", 1)

        let named = setting(Self.libraryVariable), wantsNone = named == "none"
        let storage = UnsafeMutablePointer<openblas_functions>.allocate(capacity: 1)
        defer { storage.deallocate() }
        let message = wantsNone ? nil : openblas_load(named, storage).map { String(cString: $0) }
        let isPlain = wantsNone || message != nil
        if isPlain {
            openblas_plain(storage)
            if let message {
                let source = named.map { "\(Self.libraryVariable)=\($0): " } ?? ""
                warnings.append("\(source)\(message); matrix products run in plain loops, many times slower")
            }
        }
        functions = storage.pointee
        error = named.flatMap { name in message.map { .blas("\(Self.libraryVariable)=\(name): \($0)") } }
        functions.set_num_threads?(1)
        coreName = functions.corename.map { String(cString: $0()) } ?? "none"
        if functions.corename != nil, let wanted, coreName.lowercased() != wanted.lowercased() {
            warnings.append(
                "OpenBLAS has no \(wanted) kernels and took \(coreName): matrix products may run at a fraction of "
                    + "this CPU's speed")
        }
        let words = functions.config.map { String(cString: $0()).split(separator: " ") } ?? []
        version = words.count > 1 ? String(words[1]) : "of unknown version"
        if functions.config != nil {
            library = "OpenBLAS \(version)"
            self.choice = choice
        } else if isPlain {
            library = "plain loops"
            self.choice = wantsNone ? "\(Self.libraryVariable)=none" : "no library found"
        } else {
            library = named ?? "Accelerate"
            self.choice = "chosen by the library"
        }
        self.warnings = warnings
    }

    /// C = op(A) op(B) + beta C; op(A) is [m, k], op(B) [k, n], C [m, n]; row-major, `ld…` in elements.
    package static func gemm(
        transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int, a: UnsafePointer<Float>, lda: Int,
        b: UnsafePointer<Float>, ldb: Int, beta: Float, c: FloatPointer, ldc: Int
    ) {
        guard m > 0, n > 0 else { return }
        let functions = shared.functions
        let ta = Int32(transposeA ? openblas_trans : openblas_no_trans)
        let tb = Int32(transposeB ? openblas_trans : openblas_no_trans)
        func block(rows: Range<Int>, columns: Range<Int>) {
            functions.sgemm(
                Int32(openblas_row_major), ta, tb, Int32(rows.count), Int32(columns.count), Int32(k), 1,
                a + rows.lowerBound * (transposeA ? 1 : lda), Int32(max(1, lda)),
                b + columns.lowerBound * (transposeB ? ldb : 1), Int32(max(1, ldb)), beta,
                c + rows.lowerBound * ldc + columns.lowerBound, Int32(ldc))
        }
        let operands = m * k + k * n + (beta == 0 ? 1 : 2) * m * n
        Profile.measure("matrix product [\(m), \(k)] · [\(k), \(n)], BLAS", flops: 2 * m * n * k, floats: operands) {
            if m == 1 && !transposeA {
                row(n: n, k: k, x: a, b: b, ldb: ldb, transposeB: transposeB, beta: beta, y: c)
            } else if m * n * k < 1 << 20 {
                // Under a million multiplications a second thread costs more than it brings.
                block(rows: 0..<m, columns: 0..<n)
            } else if n >= m {
                Parallel.chunks(of: n, grain: 16) { columns, _ in block(rows: 0..<m, columns: columns) }
            } else {
                Parallel.chunks(of: m, grain: 16) { rows, _ in block(rows: rows, columns: 0..<n) }
            }
        }
    }

    /// The product of one row, y = x op(B) + beta y: `sgemm` would first copy all of B into an order of its own.
    private static func row(
        n: Int, k: Int, x: UnsafePointer<Float>, b: UnsafePointer<Float>, ldb: Int, transposeB: Bool, beta: Float,
        y: FloatPointer
    ) {
        func block(_ columns: Range<Int>) {
            gemv(
                transpose: !transposeB, m: transposeB ? columns.count : k, n: transposeB ? k : columns.count,
                alpha: 1, a: b + columns.lowerBound * (transposeB ? ldb : 1), lda: ldb, x: x, beta: beta,
                y: y + columns.lowerBound)
        }
        // Bound by reading B: under a quarter of a megabyte a second thread costs more than it brings.
        if n * k < 1 << 16 { block(0..<n) } else { Parallel.chunks(of: n, grain: 16) { range, _ in block(range) } }
    }

    /// y = alpha op(A) x + beta y, A [m, n], on the calling thread.
    package static func gemv(
        transpose: Bool, m: Int, n: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int, x: UnsafePointer<Float>,
        beta: Float, y: FloatPointer
    ) {
        // Some libraries compute 0 · y, which is NaN where y holds NaN.
        if beta == 0 { y.update(repeating: 0, count: transpose ? n : m) }
        let t = Int32(transpose ? openblas_trans : openblas_no_trans)
        shared.functions.sgemv(
            Int32(openblas_row_major), t, Int32(m), Int32(n), alpha, a, Int32(max(1, lda)), x, 1, beta == 0 ? 1 : beta,
            y, 1)
    }
}
