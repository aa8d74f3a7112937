import Foundation

/// Free blocks by size. A fresh large block costs a page fault for every 4 KiB: more than the arithmetic on it.
final class TensorMemory: @unchecked Sendable {
    static let shared = TensorMemory()

    private let lock = NSLock()
    private var free: [Int: [FloatPointer]] = [:]

    /// Sizes are rounded up by at most an eighth, so that similar tensors share blocks.
    private func rounded(_ bytes: Int) -> Int {
        let step = max(64, 1 << max(0, Int.bitWidth - bytes.leadingZeroBitCount - 4))
        return (bytes + step - 1) / step * step
    }

    func take(bytes: Int) -> (FloatPointer, Int) {
        let size = rounded(bytes)
        lock.lock()
        let reused = free[size]?.popLast()
        lock.unlock()
        if let reused { return (reused, size) }
        var raw = Self.allocate(size)
        if raw == nil {
            // Free blocks of other sizes may be what is in the way.
            releaseFree()
            raw = Self.allocate(size)
        }
        guard let raw else { Self.end(size) }
        return (raw.bindMemory(to: Float.self, capacity: size / MemoryLayout<Float>.stride), size)
    }

    private static func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        let huge = 2 << 20
        var raw: UnsafeMutableRawPointer?
        guard posix_memalign(&raw, size >= huge ? huge : 64, size) == 0 else { return nil }
        #if os(Linux)
            // Large pages save most of the page faults and address translations of a large block.
            if size >= huge { madvise(raw!, size, Int32(MADV_HUGEPAGE)) }
        #endif
        return raw
    }

    /// Gives all free blocks back to the system.
    private func releaseFree() {
        let all = lock.withLock {
            defer { free = [:] }
            return free
        }
        for block in all.values.joined() { Foundation.free(block) }
    }

    /// Bytes of all free blocks: taken from the system, and free to be taken again.
    var freeBytes: Int { lock.withLock { free.reduce(0) { $0 + $1.key * $1.value.count } } }

    /// Ends the process: nothing that computes can go on without its memory. What was written to files before stays.
    private static func end(_ size: Int) -> Never {
        let message = "Error: out of memory: no \(size >> 20) MiB for a tensor; take a smaller model or batch\n"
        _ = message.withCString { write(STDERR_FILENO, $0, strlen($0)) }
        _exit(EXIT_FAILURE)
    }

    func give(_ base: FloatPointer, bytes: Int) {
        lock.lock()
        free[bytes, default: []].append(base)
        lock.unlock()
    }
}
