import Foundation
import Testing

@testable import Compute

@Suite struct ThreadChoiceTests {
    private func choose(
        _ environment: [String: String] = [:], requested: Int? = nil, allowed: Int = 8, all: Int = 8,
        quota: Double? = nil
    ) throws -> (count: Int, reason: String) {
        let choice = try ThreadChoice(
            requested: requested, environment: environment, cores: (allowed, all), quota: quota)
        return (choice.count, choice.reason)
    }

    @Test func theLeastOfWhatTheProcessMayUseIsTakenAndNamed() throws {
        #expect(try choose() == (8, "physical cores"))
        #expect(try choose(allowed: 2) == (2, "physical cores of 8, by affinity"))
        #expect(try choose(quota: 3.5) == (3, "control group's quota of 3.5 processors"))
        #expect(try choose(quota: 0.25) == (1, "control group's quota of 0.25 processors"))
        #expect(try choose(quota: 100) == (8, "physical cores"))
        #expect(try choose(["SLURM_CPUS_PER_TASK": "4"]) == (4, "SLURM_CPUS_PER_TASK=4"))
        #expect(try choose(["OMP_NUM_THREADS": "3,2"]) == (3, "OMP_NUM_THREADS=3"))
        #expect(try choose(["OMP_NUM_THREADS": "3", "SLURM_CPUS_PER_TASK": "2"]) == (2, "SLURM_CPUS_PER_TASK=2"))
        #expect(try choose(["OMP_NUM_THREADS": "64"]) == (8, "physical cores"))
        #expect(try choose(["OMP_NUM_THREADS": "many"]) == (8, "physical cores"))
    }

    @Test func processesStartedTogetherShareCoresThatAreBoundToNone() throws {
        let neighbors = ["OMPI_COMM_WORLD_LOCAL_SIZE": "4"]
        #expect(try choose(neighbors) == (2, "physical cores, shared by 4 processes"))
        #expect(try choose(["MPI_LOCALNRANKS": "16"]) == (1, "physical cores, shared by 16 processes"))
        // Bound, each has its own.
        #expect(try choose(neighbors, allowed: 3) == (3, "physical cores of 8, by affinity"))
    }

    @Test func anOptionOrTheSuitesVariableIsObeyedWhateverTheLimits() throws {
        #expect(try choose(["OPENBLAS_NUM_THREADS": "5"], allowed: 2, quota: 1) == (5, "OPENBLAS_NUM_THREADS=5"))
        #expect(try choose(["OPENBLAS_NUM_THREADS": "5"], requested: 3) == (3, "--threads"))
    }

    @Test(arguments: ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"])
    func aNumberOutOfRangeIsRefusedByTheNameOfItsVariable(name: String) {
        for value in [0, -2, 257] {
            #expect(throws: ComputeError.threads(requested: value, source: name)) { try choose([name: "\(value)"]) }
        }
    }

    /// (files of a root folder, quota)
    @Test(
        arguments: [
            ([("proc/self/cgroup", "0::/user/job"), ("sys/fs/cgroup/user/job/cpu.max", "150000 100000")], 1.5),
            ([("proc/self/cgroup", "0::/user/job"), ("sys/fs/cgroup/user/cpu.max", "200000 100000")], 2),
            (
                [
                    ("proc/self/cgroup", "0::/a/b"), ("sys/fs/cgroup/a/cpu.max", "200000 100000"),
                    ("sys/fs/cgroup/a/b/cpu.max", "300000 100000"),
                ], 2
            ),
            ([("proc/self/cgroup", "0::/"), ("sys/fs/cgroup/cpu.max", "max 100000")], nil),
            (
                [
                    ("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/x\n"),
                    ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "50000\n"),
                    ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"),
                ], 0.5
            ),
            (
                [
                    ("proc/self/cgroup", "4:cpu,cpuacct:/x\n"),
                    ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n"),
                    ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"),
                ], nil
            ),
            ([], nil),
        ] as [([(String, String)], Double?)])
    func theControlGroupsQuotaIsTheLeastUpTheHierarchy(files: [(String, String)], quota: Double?) throws {
        #expect(try withRoot(of: files) { ThreadChoice.controlGroupQuota(root: $0) } == quota)
    }
}

/// A root of a file system with some files of the kernel's, removed after `body`.
func withRoot<Result>(of files: [(path: String, text: String)], _ body: (URL) throws -> Result) throws -> Result {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("root-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    for (path, text) in files {
        let file = root.appendingPathComponent(path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }
    return try body(root)
}
