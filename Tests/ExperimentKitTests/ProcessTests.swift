import Foundation
import TestSupport
import Testing

@testable import Processes

@Suite struct ProcessTests {
    @Test(arguments: [
        (["OMPI_COMM_WORLD_SIZE": "4"], 4), (["PMI_SIZE": "2"], 2),
        (["SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "3"], 8),
        // A job's own script, one process, and no variables at all.
        (["SLURM_STEP_NUM_TASKS": "8"], nil), (["SLURM_NTASKS": "8", "SLURM_PROCID": "0"], nil),
        (["OMPI_COMM_WORLD_SIZE": "1", "PMI_SIZE": "4"], nil), ([:], nil),
    ])
    func processesStartedTogetherAreCountedByWhatStartedThem(environment: [String: String], count: Int?) {
        #expect(MPIProcesses.processesStarted(environment) == count)
    }

    @Test func aProcessAloneOrToldSoDoesWithoutMPI() throws {
        for environment in [[:], ["OMPI_COMM_WORLD_SIZE": "4", MPIProcesses.libraryVariable: "none"]] {
            #expect(try MPIProcesses.started(environment: environment, onFailure: { _ in }) == nil)
        }
    }

    @Test func aLibraryThatIsNotThereIsNamed() {
        let environment = ["PMI_SIZE": "2", MPIProcesses.libraryVariable: "/none/libmpi.so"]
        do {
            _ = try MPIProcesses.started(environment: environment, onFailure: { _ in })
            Issue.record("it was loaded")
        } catch {
            #expect("\(error)".contains("/none/libmpi.so") && "\(error)".contains("2 processes"))
        }
    }

    /// In a process of its own: LD_LIBRARY_PATH counts at the start of a program.
    @Test func whyALibraryThatIsThereCannotBeLoadedIsSaid() throws {
        let folder = try TemporaryFolder()
        for name in ["libmpi.so.40", "libmpi.so.12", "libmpi.so", "libmpich.so.12"] {
            try folder.write("no library", to: name)
        }
        let outcome = try BuiltProgram(name: "char-hyperlstm").run(
            ["train", "sample-lstm", "--out", folder.path("runs")],
            before: "unset \(MPIProcesses.libraryVariable); export OMPI_COMM_WORLD_SIZE=2"
                + " LD_LIBRARY_PATH='\(folder.path)':\"$LD_LIBRARY_PATH\";")
        let reason = "MPI cannot be loaded: \(folder.path("libmpi.so.40")): "
        #expect(outcome.status == 1 && outcome.errors.contains(reason), "\(outcome.errors)")
    }

    @Test func aCountOfOtherProcessesNamesTheWaysOn() {
        let message = ProcessError.otherCount(started: 2, found: 1).description
        for words in ["one of 2 processes", "MPI finds 1", "HYPERNETWORKS_MPI=libmpi.so.40", "HYPERNETWORKS_MPI=none"] {
            #expect(message.contains(words), "\(message)")
        }
    }

    @Test(arguments: ["soon", "0", "-1", "inf"], [MPIProcesses.limitVariable, MPIProcesses.pauseLimitVariable])
    func aTimeLimitIsANumberAboveZero(text: String, variable: String) {
        #expect(throws: ProcessError.badSetting(name: variable, found: text)) {
            try MPIProcesses.started(environment: ["PMI_SIZE": "2", variable: text], onFailure: { _ in })
        }
    }

    @Test func aCallThatTakesTooLongNamesTheLimitThatItExceeded() {
        let limit = ProcessError.TimeLimit(seconds: 14_400, variable: MPIProcesses.pauseLimitVariable)
        let error = ProcessError.call(name: "broadcasting", rank: 1, host: "node", exceeded: limit)
        for words in ["process 1 on node", "14400 s", "HYPERNETWORKS_MPI_IDLE_SECONDS", "`resume`"] {
            #expect(error.description.contains(words), "\(error)")
        }
    }

    @Test func aProcessAloneHearsItself() {
        let alone = OneProcess()
        #expect(alone.allGather([1, 2] as [Double]) == [[1, 2]])
        #expect(alone.allGather([7] as [UInt8]) == [[7]] && alone.allGather([] as [UInt8]) == [[]])
        #expect(alone.broadcast([1, 2, 3]) == [1, 2, 3])
    }
}
