import COpenBLAS
@testable import Compute
import Foundation
import TestSupport
import Testing

private func runs(_ core: String) -> Bool { openblas_core_runs(core) == 1 }

/// Kernels that this processor cannot run. Most lack FMA4, which a few AMD processors had.
private let foreignCore = ["Bulldozer", "Cooperlake", "SkylakeX", "Haswell"].first { !runs($0) }

private let preferredCore = openblas_preferred_core().map { String(cString: $0) }

extension ProgramOutcome {
    /// The line of JSON that `benchmarks` prints.
    fileprivate var record: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]) ?? [:]
    }
}

/// Which of OpenBLAS's kernels run. The library is loaded once a process, so each choice has a process of its own.
@Suite(
    .enabled(
        if: ProcessInfo.processInfo.environment["HYPERNETWORKS_BLAS"] == nil, "another library than OpenBLAS is named"))
struct OpenBLASTests {
    @Test func thePreferredKernelsRunOnThisProcessor() {
        if let preferredCore { #expect(runs(preferredCore)) }
        #expect(runs("NoSuchCore"), "a name that is not known here is left to the library")
        #if arch(x86_64)
            #expect(runs("Prescott") && runs("prescott"))
            #expect(runs("haswell") == runs("Haswell"), "names count in any case")
            // Whoever runs the wider kernels runs the narrower ones.
            #expect(!runs("SkylakeX") || runs("Haswell"))
            #expect(!runs("Haswell") || runs("Sandybridge"))
            #expect(runs("SkylakeX") == (preferredCore == "SkylakeX"))
            for name in ["Zen", "Excavator"] { #expect(runs(name) == runs("Haswell"), "\(name)") }
            for name in ["Piledriver", "Steamroller"] { #expect(runs(name) == runs("Bulldozer"), "\(name)") }
            #expect(runs("SapphireRapids") == runs("Cooperlake"))
        #endif
    }

    @Test func withoutAChoiceOfTheUsersThePreferredKernelsAreLoaded() async {
        await #expect(processExitsWith: .success) {
            unsetenv("OPENBLAS_CORETYPE")
            try ComputeEnvironment.configure(threads: 1)
            if let preferredCore {
                #expect(ComputeEnvironment.blasCoreName.lowercased() == preferredCore.lowercased())
                #expect(ComputeEnvironment.blasDescription.hasSuffix("(chosen from the CPU's features)"))
            }
            // A program that is started from here would take it for the user's.
            #expect(ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"] == nil)
            #expect(ComputeEnvironment.warnings.isEmpty)
            #expect(ComputeEnvironment.blasVersion.first?.isNumber == true)
        }
    }

    @Test(.enabled(if: runs("Haswell") && preferredCore != nil))
    func theUsersChoiceIsTaken() async {
        await #expect(processExitsWith: .success) {
            setenv("OPENBLAS_CORETYPE", "Haswell", 1)
            try ComputeEnvironment.configure(threads: 1)
            #expect(ComputeEnvironment.blasCoreName == "Haswell" && ComputeEnvironment.warnings.isEmpty)
            #expect(ComputeEnvironment.blasDescription.hasSuffix("Haswell kernels (OPENBLAS_CORETYPE set by the user)"))
        }
    }

    @Test func aLibraryThatIsNamedAndMissingIsAnError() async {
        await #expect(processExitsWith: .success) {
            setenv("HYPERNETWORKS_BLAS", "libnothing.so.7", 1)
            do {
                try ComputeEnvironment.configure(threads: 1)
                Issue.record("accepted")
            } catch {
                #expect("\(error)".hasPrefix("HYPERNETWORKS_BLAS=libnothing.so.7: cannot be loaded ("), "\(error)")
            }
            // Whoever goes on without asking is warned, and gets right products all the same.
            let warning = ComputeEnvironment.warnings.first ?? ""
            #expect(warning.hasPrefix("HYPERNETWORKS_BLAS=libnothing.so.7: cannot be loaded ("), "\(warning)")
            #expect(warning.contains("in plain loops, many times slower"), "\(warning)")
            BlasTests.check(ProductCase(m: 20, n: 30, k: 40), "")
        }
    }

    @Test func vectorKernelsThatAreNamedAndUnknownAreWarnedAbout() async {
        await #expect(processExitsWith: .success) {
            setenv("HYPERNETWORKS_SIMD", "nonsense", 1)
            let kernels = Kernels.available[0]
            #expect(ComputeEnvironment.simdName == kernels)
            #expect(
                ComputeEnvironment.warnings.first?.hasSuffix("found \"nonsense\"; using \(kernels)") == true,
                "\(ComputeEnvironment.warnings)")
        }
    }

    @Test func plainLoopsStandInForALibrary() async {
        await #expect(processExitsWith: .success) {
            setenv("HYPERNETWORKS_BLAS", "none", 1)
            try ComputeEnvironment.configure(threads: 2)
            #expect(ComputeEnvironment.blasDescription == "plain loops (HYPERNETWORKS_BLAS=none)")
            for size in [1, 2, 3, 17, 130] {
                BlasTests.check(ProductCase(m: size, n: size + 1, k: size + 2), "")
                BlasTests.check(ProductCase(m: 1, n: size, k: size + 2), "")
            }
        }
    }

    @Test func anUnknownNameIsWarnedAboutAndTheProductsAreRight() async {
        await #expect(processExitsWith: .success) {
            setenv("OPENBLAS_CORETYPE", "NoSuchCore", 1)
            try ComputeEnvironment.configure(threads: 1)
            #expect(ComputeEnvironment.warnings.count == 1)
            #expect(
                ComputeEnvironment.warnings.first?.hasPrefix("OpenBLAS has no NoSuchCore kernels and took ") == true)
            BlasTests.check(ProductCase(m: 20, n: 30, k: 40), "")
        }
    }

    @Test(.enabled(if: foreignCore != nil))
    func kernelsThatThisProcessorCannotRunAreReplacedWithAWarning() async {
        await #expect(processExitsWith: .success) {
            let foreign = try #require(foreignCore)
            setenv("OPENBLAS_CORETYPE", foreign, 1)
            try ComputeEnvironment.configure(threads: 1)
            #expect(ComputeEnvironment.blasCoreName.lowercased() != foreign.lowercased())
            #expect(
                ComputeEnvironment.warnings.first?.hasPrefix(
                    "OPENBLAS_CORETYPE=\(foreign): this CPU cannot run these kernels; using ") == true)
            #expect(ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"] == foreign)
            BlasTests.check(ProductCase(m: 20, n: 30, k: 40), "")
        }
    }
}

/// What a user meets who sets threads and kernels: a program in a process of its own.
struct ProgramStartTests {
    /// Runs two tiny steps of `benchmarks`, which the test build has put beside this bundle.
    ///
    /// - Parameter launcher: A program, with its arguments, that starts it.
    private func run(
        _ variables: [String: String], _ options: [String] = [], launcher: [String] = []
    ) throws -> ProgramOutcome {
        let command =
            try launcher + [builtProgram("benchmarks").path, "step", "lstm", "--units", "16", "--batch", "2"]
            + ["--sequence", "3", "--steps", "1"] + options
        let own = [
            "OPENBLAS_CORETYPE", "HYPERNETWORKS_BLAS", "HYPERNETWORKS_SIMD", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS",
            "SLURM_CPUS_PER_TASK",
        ]
        return try execute(
            command,
            environment: ProcessInfo.processInfo.environment.filter { !own.contains($0.key) }
                .merging(variables) { $1 })
    }

    @Test func withoutSettingsTheWidestKernelsAndAllCoresAreUsed() throws {
        // What limits this process's threads limits the program's.
        let limits = ProcessInfo.processInfo.environment.filter {
            ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"].contains($0.key)
        }
        let outcome = try run(limits)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.record["simd"] as? String == Kernels.available[0])
        #expect(outcome.record["threads"] as? Int == (try ThreadChoice.current(requested: nil).count))
        // Where another library is named, the one of the system may be missing.
        if let preferredCore, ProcessInfo.processInfo.environment["HYPERNETWORKS_BLAS"] == nil {
            #expect((outcome.record["blas"] as? String)?.lowercased() == preferredCore.lowercased())
        }
    }

    @Test(arguments: Kernels.available) func theNamedVectorKernelsAreUsed(simd: String) throws {
        let outcome = try run(["HYPERNETWORKS_SIMD": simd])
        #expect(outcome.status == 0 && outcome.record["simd"] as? String == simd, "\(outcome.errors)")
    }

    @Test func unknownVectorKernelsAreRefusedWithTheKnownOnes() throws {
        let outcome = try run(["HYPERNETWORKS_SIMD": "nonsense"])
        #expect(outcome.status != 0 && outcome.output.isEmpty)
        #expect(
            outcome.errors.contains(
                "HYPERNETWORKS_SIMD: expected one of \(Kernels.available.joined(separator: ", ")), found \"nonsense\""),
            "\(outcome.errors)")
    }

    @Test func theVariableForThreadsIsHeededAndTheOptionGoesBeforeIt() throws {
        #expect(try run(["OPENBLAS_NUM_THREADS": "1"]).record["threads"] as? Int == 1)
        #expect(try run(["OPENBLAS_NUM_THREADS": "1"], ["--threads", "3"]).record["threads"] as? Int == 3)
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/taskset"), "taskset is not installed"))
    func aProcessBoundToOneProcessorStartsOneThread() throws {
        let outcome = try run([:], launcher: ["/usr/bin/taskset", "-c", "\(Processors.allowed[0])"])
        #expect(outcome.status == 0 && outcome.record["threads"] as? Int == 1, "\(outcome.errors)")
    }

    @Test func fewerThanOneThreadIsRefusedWithTheSourceOfTheNumber() throws {
        let option = try run([:], ["--threads", "0"]), variable = try run(["OPENBLAS_NUM_THREADS": "0"])
        #expect(option.status != 0 && option.output.isEmpty)
        #expect(option.errors.contains("--threads: expected a number of threads from 1 to 256, found 0"))
        #expect(variable.status != 0 && variable.output.isEmpty)
        #expect(variable.errors.contains("OPENBLAS_NUM_THREADS: expected a number of threads from 1 to 256, found 0"))
    }

    @Test func anUnknownNameOfBlasKernelsDoesNotStopTheProgram() throws {
        let outcome = try run(["OPENBLAS_CORETYPE": "NoSuchCore"])
        #expect(outcome.status == 0 && outcome.record["blas"] is String, "\(outcome.errors)")
    }
}
