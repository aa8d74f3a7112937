import Datasets
import Foundation
import TestSupport
import Testing

@testable import ExperimentCommands
@testable import ExperimentKit

/// `reproduce --launcher slurm`, with scripts in the place of Slurm's commands. The real ones: `make test-slurm`.
@Suite(.serialized) struct SlurmArrayTests {
    private static let program = BuiltProgram(name: "char-hyperlstm")
    private let run: TestRun
    private var folder: URL { run.folder.url }
    private var out: URL { folder.appendingPathComponent("out") }

    init() throws {
        run = try TestRun()
        try command("sbatch", #"printf '%s\n' "$@" >"$(dirname "$0")/../submitted"; echo "77;test""#)
        try command("squeue", #"cat "$(dirname "$0")/../queue""#)
    }

    /// Puts a script in the place of one of Slurm's commands.
    private func command(_ name: String, _ script: String) throws {
        try run.folder.writeScript(script, to: "bin/\(name)")
    }

    private func reproduce(_ more: [String] = [], path: String? = nil) throws -> ProgramOutcome {
        try submit(
            ["--profile", "sample", "sample-lstm", "sample-layer-norm-hyperlstm", "--seeds", "0,1"] + more, path: path)
    }

    private func submit(
        _ rows: [String], to program: BuiltProgram = Self.program, path: String? = nil, before: String = ""
    ) throws -> ProgramOutcome {
        try program.run(
            ["reproduce"] + rows + ["--launcher", "slurm", "--out", out.path],
            before: "PATH=\(path ?? run.folder.path("bin") + ":$PATH");" + before)
    }

    /// The lines of the only list.
    private func tasks() throws -> [String] {
        let lists = try lists()
        #expect(lists.count == 1)
        let list = out.appendingPathComponent("slurm/\(try #require(lists.first))")
        return try String(contentsOf: list, encoding: .utf8).split(separator: "\n").map(String.init)
    }

    /// The arguments of the script in the place of `sbatch`; nil where it was not called.
    private func submitted() -> [String]? {
        let text = try? String(contentsOf: folder.appendingPathComponent("submitted"), encoding: .utf8)
        return text?.split(separator: "\n").map(String.init)
    }

    private func lists() throws -> [String] {
        let slurm = out.appendingPathComponent("slurm").path
        return try FileManager.default.contentsOfDirectory(atPath: slurm).filter { $0.hasSuffix(".runs") }
    }

    /// A finished run, as far as its record tells.
    private func finish(_ configuration: String, seed: Int) throws {
        let file = try ConfigurationFile(
            contentsOf: committedConfigurations.appendingPathComponent("\(configuration).yaml"))
        var record = try RunRecord.example(of: file, seed: seed, data: run.dataDescription)
        record.status = .finished
        try run.folder.write(file.root.yaml, to: "out/\(configuration)/\(seed)/config.yaml")
        try record.write(to: out.appendingPathComponent("\(configuration)/\(seed)/record.json"))
    }

    @Test func everyConfigurationAndSeedIsATaskOfOneArray() throws {
        let outcome = try reproduce([
            "--partition", "long", "--time", "12:00:00", "--cores", "8", "--jobs", "3", "--sbatch", "--qos=high",
            "--data", "data",
        ])
        #expect(outcome.status == 0 && outcome.output.isEmpty, "\(outcome.errors)")
        for words in ["submitted 4 of 4 runs as job array 77; 0 finished", "squeue --jobs=77", "compare \(out.path)"] {
            #expect(outcome.errors.contains(words), "\(outcome.errors)")
        }
        let arguments = try #require(submitted())
        for option in [
            "--parsable", "--array=0-3%3", "--partition=long", "--time=12:00:00", "--cpus-per-task=8", "--qos=high",
        ] { #expect(arguments.contains(option), "\(arguments)") }
        #expect(!arguments.contains { $0.hasPrefix("--mem") || $0.hasPrefix("--account") })
        let template = try #require(arguments.firstIndex { $0.hasSuffix("/cluster/array.slurm") })
        let list = URL(fileURLWithPath: arguments[template + 1])
        #expect(
            try String(contentsOf: list, encoding: .utf8)
                == "sample-lstm 0\nsample-lstm 1\nsample-layer-norm-hyperlstm 0\nsample-layer-norm-hyperlstm 1\n")
        #expect(arguments.contains("--job-name=\(list.deletingPathExtension().lastPathComponent)"))
        // The task runs elsewhere: every path is whole.
        #expect(arguments[template + 2] == out.path && arguments[template + 3].hasSuffix("/char-hyperlstm"))
        #expect(Array(arguments[(template + 4)...]) == ["--data", checkout.data.path])
    }

    @Test func aSecondCallSubmitsOnlyWhatIsNeitherFinishedNorQueued() throws {
        #expect(try reproduce().status == 0)
        let name = try #require(try lists().first).replacing(".runs", with: "")
        try finish("sample-lstm", seed: 1)
        try run.folder.write("\(name) 0\nsomebody-elses 2\n\(name) 3\n", to: "queue")
        let second = try reproduce()
        #expect(
            second.errors.contains("submitted 1 of 4 runs as job array 77; 1 finished, 2 queued"), "\(second.errors)")
        let arguments = try #require(submitted())
        let list = try #require(arguments.first { $0.hasSuffix(".runs") })
        #expect(arguments.contains("--array=0-0"))
        #expect(try String(contentsOfFile: list, encoding: .utf8) == "sample-layer-norm-hyperlstm 0\n")
        #expect(second.output.contains("sample-lstm"), "the table of what is there")

        let other = try #require(try lists().first { $0 != "\(name).runs" }).replacing(".runs", with: "")
        try run.folder.write("\(name) 0\n\(other) 0\n\(name) 3\n", to: "queue")
        try FileManager.default.removeItem(at: folder.appendingPathComponent("submitted"))
        let third = try reproduce()
        #expect(third.status == 0 && submitted() == nil)
        #expect(third.errors.contains("nothing to submit: of 4 runs 1 finished, 3 queued"), "\(third.errors)")
    }

    @Test func aRowOrASeedThatIsNamedTwiceIsOneRun() throws {
        let outcome = try submit(["--corpus", "sample", "sample-lstm", "sample-lstm", "--seeds", "1,1"])
        #expect(outcome.errors.contains("submitted 1 of 1 runs"), "\(outcome.errors)")
        #expect(try tasks() == ["sample-lstm 1"])
        let misspelt = try submit(["--corpus", "sample", "sample-lsmt"])
        #expect(misspelt.status == 1 && misspelt.errors.contains("no row 'sample-lsmt' with the budget 'sample'"))
    }

    /// Where there are no data: the sample that stands in is that of the rows that were named.
    @Test func withoutDataANamedRowIsReplacedByTheSampleOfItsOwnDataSet() throws {
        let outcome = try submit(
            ["table7-convnet-quick"], to: BuiltProgram(name: "static-hypernet"),
            before: "cd '\(folder.path)'; unset \(DataFolder.environmentVariable);"
                + " export \(ProjectFolder.variable)='\(checkout.url.path)';")
        #expect(outcome.output.contains("NOT MNIST numbers"), "\(outcome.errors)\(outcome.output)")
        #expect(try tasks().allSatisfy { $0.hasPrefix("sample-mnist-") })
    }

    @Test func theNameOfAJobHasNoBlanks() {
        // `squeue` prints it before the task's number.
        let name = SlurmArrays(program: "static-hypernet", out: out).newName(budget: "epochs-100 peak")
        #expect(name.hasPrefix("static-hypernet-epochs-100-peak-2") && !name.contains(" "))
    }

    @Test func aRunThatEndedUnfinishedIsSubmittedAgainWithItsLastMessage() throws {
        try run.folder.write("one\nthe disk is full\n", to: "out/sample-lstm/1.log")
        let outcome = try reproduce()
        #expect(outcome.errors.contains("sample-lstm seed 1: not finished; it said last: the disk is full"))
        #expect(outcome.errors.contains("submitted 4 of 4"))
    }

    @Test func whereSlurmIsMissingOrRefusesTheErrorSaysWhatToDo() throws {
        let missing = try reproduce(path: "/nonexistent")
        #expect(missing.status == 1 && missing.errors.contains("sbatch: not found on this machine"))
        #expect(missing.errors.contains("login node") && missing.errors.contains("--jobs N"))
        try command("sbatch", "echo 'sbatch: error: invalid partition specified: lnog' >&2; exit 1")
        let refused = try reproduce(["--partition", "lnog"])
        #expect(refused.status == 1 && refused.errors.contains("invalid partition specified: lnog"))
        // What was not submitted must not pass for queued; a call that timed out may have submitted a job, with its
        // list.
        #expect(try lists().isEmpty)
        try command("sbatch", "echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1")
        #expect(try reproduce().status == 1 && lists().count == 1)
        let local = try Self.program.run(["reproduce", "--partition", "long"])
        #expect(local.status != 0 && local.errors.contains("--partition=long is for --launcher slurm"))
    }
}

/// Whoever runs the tests may have left them blocked, and a shell cannot unblock what it inherits.
private func unblockSignals() {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGUSR1, SIGTERM] { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
}

/// `cluster/array.slurm` in a shell, with scripts in the place of the program and of Slurm's commands.
@Suite(.serialized) struct ArrayTemplateTests {
    private let folder: TemporaryFolder
    private var out: URL { folder.url.appendingPathComponent("out") }

    init() throws {
        folder = try TemporaryFolder()
        try script(
            #"""
            echo "$*" >>"$here/calls"
            checkpoints=$out/$2/$4/checkpoints
            case $2 in
            bad) exit 3 ;;
            busy) [ "$(grep -c train "$here/calls")" -gt 2 ] || exit 75 ;;
            long | stuck)
                trap 'echo term >>"$here/calls"; exit 143' TERM
                trap 'echo usr1 >>"$here/calls"
                      [ $2 = stuck ] || { mkdir -p $checkpoints; echo "\"latest\" : \"step-0000020\"" >$checkpoints/index.json; }
                      exit 138' USR1
                echo ready >>"$here/calls"
                for i in {1..3000}; do /bin/sleep 0.01; done ;;
            esac
            """#, to: "program")
        try script(#"echo "scontrol $*" >>"$here/calls""#, to: "bin/scontrol")
        try script(#"echo "sleep $*" >>"$here/calls""#, to: "bin/sleep")
        try folder.write("good 5\nbad 6\nlong 7\nstuck 8\nbusy 9\n", to: "list")
    }

    private func script(_ text: String, to name: String) throws {
        try folder.writeScript("here='\(folder.path)' out='\(out.path)'\n\(text)", to: name)
    }

    private var calls: [String] {
        let text = (try? String(contentsOf: folder.url.appendingPathComponent("calls"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    /// A task of the array 12, and its status.
    private func task(_ number: Int, signal: Int32? = nil) throws -> Int32 {
        unblockSignals()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        let path = folder.path
        process.arguments = [
            checkout.arrayTemplate.path, "\(path)/list", out.path, "\(path)/program", "--data", "d",
        ]
        process.environment = [
            "PATH": "\(path)/bin:/usr/bin:/bin", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "\(number)",
        ]
        try process.run()
        if let signal {
            while process.isRunning, !calls.contains("ready") { usleep(1000) }
            kill(process.processIdentifier, signal)
        }
        process.waitUntilExit()
        return process.terminationStatus
    }

    private func log(_ run: String) throws -> String {
        try String(contentsOf: out.appendingPathComponent("\(run).log"), encoding: .utf8)
    }

    @Test func aTaskTrainsTheRunOfItsLine() throws {
        #expect(try task(0) == 0)
        #expect(calls == ["train good --seed 5 --or-resume --out \(out.path) --data d"])
        #expect(try log("good/5").contains("job 12_0, restart 0"))
        #expect(try task(5) == 1, "no such line")
    }

    @Test func aRunWhoseTimeIsUpIsQueuedAgain() throws {
        #expect(try task(2, signal: SIGUSR1) == 0)
        #expect(calls.suffix(2) == ["usr1", "scontrol requeue 12_2"])
        #expect(try log("long/7").contains("queued again at step 20"))
    }

    @Test func aRunThatGetsNowhereWithinItsTimeIsNotQueuedForEver() throws {
        #expect(try task(3, signal: SIGUSR1) == 1)
        let log = try log("stuck/8")
        #expect(calls.last == "usr1" && log.contains("give a longer one"), "\(log)")
    }

    @Test func aRunThatFailsIsNotQueuedAgain() throws {
        #expect(try task(1) == 3)
        #expect(calls.count == 1)
    }

    /// Slurm itself queues a preempted task again; a canceled one stays canceled.
    @Test func aRunThatIsCancelledWritesItsCheckpointAndIsNotQueuedAgain() throws {
        #expect(try task(2, signal: SIGTERM) == 143)
        #expect(calls.last == "term")
    }

    @Test func aRunOfAnotherProcessIsWaitedFor() throws {
        #expect(try task(4) == 0)
        #expect(calls.filter { $0.hasPrefix("train busy") }.count == 3)
        #expect(calls.filter { $0 == "sleep 60" }.count == 2)
    }
}

/// `cluster/processes.slurm` in a shell, with scripts in the place of `srun`, of the program and of `scontrol`.
@Suite(.serialized) struct ProcessesTemplateTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        // Without its own options, `srun` is the program once.
        try script(#"while [[ $1 == --* ]]; do shift; done; exec "$@""#, to: "bin/srun")
        try script(#"echo "scontrol $*" >>"$here/calls""#, to: "bin/scontrol")
        try checkpoint(10)
    }

    private func script(_ text: String, to name: String) throws {
        try folder.writeScript("here='\(folder.path)'\n\(text)", to: name)
    }

    /// Makes the step of the latest checkpoint of the run `tiny`, seed 7.
    private func checkpoint(_ step: Int) throws {
        try folder.write("{\n  \"latest\" : \"step-00000\(step)\"\n}\n", to: "out/tiny/7/checkpoints/index.json")
    }

    /// Job 12, with a program that leaves its latest checkpoint at a step and ends with a status.
    private func submit(
        _ options: [String], step: Int = 10, status: Int32 = 0, readsValidation: Bool = false
    ) throws -> (status: Int32, output: String, calls: [String]) {
        try script(
            #"""
            echo "$*" >>"$here/calls"
            sed -i 's/step-[0-9]*/step-00000\#(step)/' "$here/out/tiny/7/checkpoints/index.json"
            ! \#(readsValidation) || echo '  "validation" : {' >"$here/out/tiny/7/record.json"
            exit \#(status)
            """#, to: "program")
        return try run(options)
    }

    /// The script, with whatever program there is.
    private func run(_ options: [String]) throws -> (status: Int32, output: String, calls: [String]) {
        unblockSignals()
        let template = checkout.url.appendingPathComponent("cluster/processes.slurm").path, path = folder.path
        let job = try execute(
            ["/bin/bash", template, "\(path)/program", "a/tiny.yaml"] + options,
            environment: ["PATH": "\(path)/bin:/usr/bin:/bin", "SLURM_JOB_ID": "12"])
        let calls = (try? String(contentsOf: folder.url.appendingPathComponent("calls"), encoding: .utf8)) ?? ""
        return (job.status, job.output + job.errors, calls.split(separator: "\n").map(String.init))
    }

    private var out: String { folder.path("out") }

    @Test func aRunWhoseTimeIsUpIsQueuedAgain() throws {
        let job = try submit(["--seed", "7", "--out", out, "--set", "training.shards=2"], step: 20, status: 138)
        #expect(job.status == 0 && job.output.contains("job 12: the time limit is near: queued again at step 20"))
        #expect(
            job.calls == [
                "train a/tiny.yaml --or-resume --seed 7 --out \(out) --set training.shards=2", "scontrol requeue 12",
            ])
    }

    @Test func aRunThatGetsNowhereWithinItsTimeIsNotQueuedForEver() throws {
        let job = try submit(["--out=\(out)", "--seed=7"], status: 138)
        #expect(job.status == 1 && job.output.contains("give a longer one") && job.calls.count == 1, "\(job.output)")
        // After the last step a split can take hours to read.
        let reading = try submit(["--out=\(out)", "--seed=7"], status: 138, readsValidation: true)
        #expect(reading.status == 0 && reading.calls.last == "scontrol requeue 12", "\(reading.output)")
    }

    /// The signal comes to the script alone, which has to hear it while the program works.
    @Test func aSignalOfSlurmIsPassedOn() throws {
        try script(
            #"""
            echo train >>"$here/calls"
            trap 'sed -i "s/step-[0-9]*/step-0000020/" "$here/out/tiny/7/checkpoints/index.json"; exit 138' USR1
            kill -USR1 $PPID
            for i in {1..600}; do sleep 0.1; done
            """#, to: "program")
        let job = try run(["--seed", "7", "--out", out])
        #expect(job.status == 0 && job.calls == ["train", "scontrol requeue 12"], "\(job.output)")
    }

    /// The run has the name that it is given.
    @Test func aNameOfItsOwnIsFollowed() throws {
        let job = try submit(["--out", out, "--seed", "7", "--name", "tiny"], step: 20, status: 138)
        #expect(job.status == 0 && job.calls.last == "scontrol requeue 12", "\(job.output)")
        let other = try submit(["--out", out, "--seed", "7", "--name", "other"], step: 30, status: 138)
        #expect(other.status == 1 && other.output.contains("nothing done"), "\(other.output)")
    }

    @Test(arguments: [0, 3] as [Int32]) func aRunThatIsFinishedOrFailsIsNotQueuedAgain(status: Int32) throws {
        let job = try submit(["--seed", "7", "--out", out], step: 20, status: status)
        #expect(job.status == status && job.calls.count == 1)
    }

    @Test(arguments: [["--seed", "7"], ["--out", "x"], []])
    func whichRunItIsHasToBeSaid(options: [String]) throws {
        let job = try submit(options)
        #expect(job.status == 1 && job.calls.isEmpty && job.output.contains("expected --seed SEED and --out OUT"))
    }
}
