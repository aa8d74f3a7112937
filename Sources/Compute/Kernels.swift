import CKernels
import Foundation

/// The vector kernels in use, chosen once: the widest that the CPU runs, or the ones that the environment variable
/// `HYPERNETWORKS_SIMD` names (`amx`, `avx512`, `avx2`, `portable`).
package enum Kernels {
    /// Name of the environment variable that overrides the choice.
    package static let variable = "HYPERNETWORKS_SIMD"

    nonisolated(unsafe) package static let current: ck_kernels = {
        if let name = requested, let kernels = named(name) { return kernels }
        return ck_kernels_best().pointee
    }()

    /// The name that the environment variable gives; empty is none.
    static var requested: String? {
        ProcessInfo.processInfo.environment[variable].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Why the kernels in use are not those that the environment variable names; nil where they are, or none are named.
    static var error: ComputeError? {
        guard let name = requested, named(name) == nil else { return nil }
        return .kernels(requested: name, available: available)
    }

    /// The kernels of one instruction set, or nil where this CPU lacks it.
    package static func named(_ name: String) -> ck_kernels? { ck_kernels_named(name)?.pointee }

    /// Every instruction set that this CPU runs, widest first: what tests go through.
    package static let available = ["amx", "avx512", "avx2", "portable"].filter { named($0) != nil }
}

/// The vector kernels of one instruction set.
package typealias VectorKernels = ck_kernels
/// The pointwise half of an LSTM cell, as the kernels take it.
package typealias LSTMKernel = ck_lstm
/// Rows of a matrix by index, each with a factor: a one-hot input.
package typealias RowGather = ck_rows
/// The weight scaling vectors of a HyperLSTM, as the kernels take them.
package typealias ScalingKernel = ck_scaling
/// The extents of a direct convolution, as the kernels take them.
package typealias ConvolutionExtents = ck_convolution
/// The extents of a convolution in tiles, as the kernels take them.
package typealias WinogradExtents = ck_winograd
/// Memory that the caller reads after this call: the kernel prefetches it while it computes.
package typealias UpcomingMemory = ck_memory
/// A batch normalization with known statistics, as the kernels take it.
package typealias NormKernel = ck_norm
/// Floats a row of LSTM statistics has.
package let lstmStatistics = Int(ck_lstm_stats)

package typealias FloatPointer = UnsafeMutablePointer<Float>
