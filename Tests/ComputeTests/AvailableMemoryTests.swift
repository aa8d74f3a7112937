import Foundation
import Testing

@testable import Compute

@Suite struct AvailableMemoryTests {
    /// What a system of these files leaves.
    private func least(
        _ files: [String: String], addressSpace: UInt64? = nil, free: Int = 0
    ) throws -> AvailableMemory? {
        try withRoot(of: files.map { ($0, $1) }) {
            AvailableMemory.least(root: $0, addressSpace: addressSpace, free: free)
        }
    }

    private let system = "MemTotal:  9000000 kB\nMemFree:  1000 kB\nMemAvailable:    4096 kB\nSwapFree:   1024 kB\n"

    @Test func theSystemLeavesWhatItHasWithFreeSwapSpaceAndTheProcesssOwnFreeBlocks() throws {
        #expect(try least(["proc/meminfo": system])?.bytes == Double(5 << 20))
        #expect(try least(["proc/meminfo": system], free: 77)?.bytes == Double(5 << 20) + 77)
        #expect(try least([:]) == nil)
    }

    @Test(arguments: [
        ("0::/job/step", "job/memory.max", "2097152", "memory.max"),
        ("0::/job/step", "job/step/memory.max", "2097152", "memory.max"),
        ("4:memory:/job\n0::/", "memory/job/memory.limit_in_bytes", "2097152", "memory.limit_in_bytes"),
        // The group of a container, mounted as the top.
        ("4:memory:/docker/1", "memory/memory.limit_in_bytes", "2097152", "memory.limit_in_bytes"),
    ])
    func aControlGroupAnywhereUpTheHierarchyLimitsIt(own: String, file: String, limit: String, name: String) throws {
        let found = try least(["proc/meminfo": system, "proc/self/cgroup": own, "sys/fs/cgroup/\(file)": limit])
        #expect(found == AvailableMemory(bytes: Double(3 << 20), source: "\(name) of the control group"))
    }

    @Test(arguments: ["max", "9223372036854771712"])
    func aControlGroupWithoutALimitLimitsNothing(limit: String) throws {
        let found = try least([
            "proc/meminfo": system, "proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": limit,
        ])
        #expect(found?.bytes == Double(5 << 20))
    }

    @Test func theLimitOnAddressesCountsWithoutThoseInUse() throws {
        let found = try least(
            ["proc/meminfo": system, "proc/self/status": "Name:  x\nVmSize:   1024 kB\n"], addressSpace: 3 << 20)
        #expect(found?.bytes == Double(2 << 20) && found?.source.contains("ulimit -v") == true)
        // Eight digits leave no blank behind the tab that the kernel writes.
        let large = try least(
            ["proc/meminfo": system, "proc/self/status": "VmSize:\t12599512 kB\n"], addressSpace: 12_599_513 << 10)
        #expect(large?.bytes == 1024)
    }

    @Test func aTensorThatThereIsNoMemoryForEndsTheProcessWithAMessageAndAStatus() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(EXIT_FAILURE), observing: [\.standardErrorContent]
        ) {
            _ = Tensor(uninitialized: [1 << 46])
        }
        let message = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(message.contains("out of memory: no 268435456 MiB for a tensor"), "\(message)")
    }
}
