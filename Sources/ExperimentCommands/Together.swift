import ExperimentKit
import Processes

/// Runs `lead` in the first of the processes that `mpirun` or `srun` started together, and lets the others take part in
/// its training; a process started alone leads by itself.
///
/// - Parameters:
///   - data: Where the other processes find the data of a run.
///   - lead: The command; given the processes that share its work.
/// - Throws: `ProcessError`; what the command throws.
func together<Work: Experiment>(
    on experiment: Work.Type, data: DataOptions, lead: (any ProcessGroup) throws -> Void
) throws {
    guard let processes = try MPIProcesses.started(onFailure: { note("Error: \($0)") }) else {
        return try lead(OneProcess())
    }
    defer { processes.leave() }
    guard processes.isFirst else {
        // A launcher tells all processes of a signal; the first decides when they end.
        catchSignals()
        return try TrainingRun<Work>.follow(processes) { try data.open($0, of: Work.self) }
    }
    defer { processes.dismiss() }
    note("\(processes.count) processes, \(processes.library)")
    try lead(processes)
}
