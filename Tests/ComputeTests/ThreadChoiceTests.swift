import Foundation
import TestSupport
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
        // Of what is more than the pool can have, whoever says it, all is taken that it can have.
        #expect(try choose(["OMP_NUM_THREADS": "512"]) == (8, "physical cores"))
        #expect(try choose(["SLURM_CPUS_PER_TASK": "288"], allowed: 384, all: 384).count == ThreadChoice.most)
        #expect(try choose(allowed: 384, all: 384).count == ThreadChoice.most)
    }

    @Test func processesStartedTogetherTakeNoMoreCoresThanTheMachineHas() throws {
        let neighbors = ["OMPI_COMM_WORLD_LOCAL_SIZE": "4"]
        #expect(try choose(neighbors) == (2, "physical cores, shared by 4 processes"))
        #expect(try choose(["MPI_LOCALNRANKS": "16"]) == (1, "physical cores, shared by 16 processes"))
        // Bound, each to cores of its own.
        #expect(try choose(neighbors, allowed: 2) == (2, "physical cores of 8, by affinity"))
        #expect(try choose(neighbors, allowed: 1, all: 2) == (1, "physical cores of 2, by affinity"))
        // Bound in pairs, to one of two sockets with 16 cores each.
        #expect(try choose(neighbors, allowed: 16, all: 32) == (8, "physical cores, shared by 4 processes"))
    }

    /// (SLURM_STEP_TASKS_PER_NODE, threads of 8 cores)
    @Test(arguments: [("4", 2), ("1(x4)", 8), ("2(x3),1", 4), ("1,4(x2)", 2), ("", 8), ("x", 8)])
    func slurmSaysHowManyProcessesANodeHas(tasks: String, threads: Int) throws {
        #expect(try choose(["SLURM_STEP_TASKS_PER_NODE": tasks]).count == threads)
        // Of a job's mpirun, the step is its own helpers, one a node.
        #expect(try choose(["SLURM_STEP_TASKS_PER_NODE": tasks, "OMPI_COMM_WORLD_LOCAL_SIZE": "8"]).count == 1)
    }

    @Test func anOptionOrTheSuitesVariableIsObeyedWhateverTheLimits() throws {
        #expect(try choose(["OPENBLAS_NUM_THREADS": "5"], allowed: 2, quota: 1) == (5, "OPENBLAS_NUM_THREADS=5"))
        #expect(try choose(["OPENBLAS_NUM_THREADS": "5"], requested: 3) == (3, "--threads"))
    }

    @Test(arguments: ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"])
    func aNumberOutOfRangeIsRefusedByTheNameOfItsVariable(name: String) {
        // Above what the pool can have a limit binds nothing.
        for value in [0, -2] + (name == "OPENBLAS_NUM_THREADS" ? [257] : []) {
            #expect(throws: ComputeError.threads(found: "\(value)", source: name)) { try choose([name: "\(value)"]) }
        }
    }

    @Test func theSuitesVariableIsANumberAndBlanksAroundItDoNotCount() throws {
        #expect(try choose(["OPENBLAS_NUM_THREADS": " 5 "]).count == 5)
        for blank in ["", "  "] { #expect(try choose(["OPENBLAS_NUM_THREADS": blank]) == (8, "physical cores")) }
        let error = #expect(throws: ComputeError.self) { try choose(["OPENBLAS_NUM_THREADS": "four"]) }
        #expect(
            error?.description == "OPENBLAS_NUM_THREADS: expected a number of threads from 1 to 256, found \"four\"")
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
                    ("proc/self/cgroup", "4:cpuacct,cpu:/x\n"),
                    ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "50000\n"),
                    ("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"),
                ], 0.5
            ),
            (
                [
                    ("proc/self/cgroup", "4:cpuacct,cpu:/x\n"),
                    ("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "50000\n"),
                    ("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"),
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

/// A machine of three cores: two of them have two threads each; of the third, one is offline.
@Suite struct ProcessorTests {
    private let files = [
        ("online", "0-2,4-5\n"), ("cpu0/topology/thread_siblings_list", "0,4\n"),
        ("cpu1/topology/thread_siblings_list", "1,5\n"), ("cpu2/topology/thread_siblings_list", "2\n"),
        ("cpu4/topology/thread_siblings_list", "0,4\n"), ("cpu5/topology/thread_siblings_list", "1,5\n"),
    ]

    @Test func processorsOfOneCoreCountOnceAndOfflineOnesNotAtAll() throws {
        try withRoot(of: files.map { ("sys/devices/system/cpu/\($0.0)", $0.1) }) { root in
            let online = Processors.online(root: root)
            #expect(online == [0, 1, 2, 4, 5])
            #expect(Processors.cores(of: online, root: root) == 3)
            #expect(Processors.cores(of: [1, 5], root: root) == 1)
            #expect(Processors.oneOfEachCoreFirst([0, 4, 1, 5, 2], root: root) == [0, 1, 2, 4, 5])
        }
    }

    @Test func whereTheSystemTellsNothingEveryProcessorIsACore() throws {
        try withRoot(of: []) { root in
            let online = Processors.online(root: root)
            #expect(online == Array(0..<ProcessInfo.processInfo.processorCount))
            #expect(Processors.cores(of: online, root: root) == online.count)
            #expect(Processors.oneOfEachCoreFirst([3, 1], root: root) == [3, 1])
        }
    }
}

/// A root of a file system with some files of the kernel's, removed after `body`.
func withRoot<Result>(of files: [(path: String, text: String)], _ body: (URL) throws -> Result) throws -> Result {
    let root = try TemporaryFolder()
    for (path, text) in files { try root.write(text, to: path) }
    return try withExtendedLifetime(root) { try body(root.url) }
}
