import Foundation
import Safetensors
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

/// The built `char-hyperlstm`, as a user meets it.
@Suite(.serialized) struct CommandTests {
    private static let program = BuiltProgram(name: "char-hyperlstm")

    private static func start(_ arguments: [String], before: String = "") throws -> (Process, Pipe, Pipe) {
        try program.start(arguments, before: before)
    }

    private static func run(_ arguments: [String], before: String = "") throws -> ProgramOutcome {
        try program.run(arguments, before: before)
    }

    private func resume(_ folder: URL, _ run: TestRun) -> [String] {
        ["resume", folder.path, "--data", run.dataFolder.path, "--threads", "2"]
    }

    private func runFolder(_ run: TestRun) -> URL { run.folder.url.appendingPathComponent("runs/tiny/0") }

    /// A channel for messages that fails, in every way that it can; what stands before the command sets it up.
    @Test(arguments: ["2>/dev/full", "2>&-", "2> >(:)", "trap '' PIPE HUP; 2> >(:)", "1>&- 2>&-", "0<&-"])
    func messagesThatCannotBeWrittenDoNotStopTheRun(streams: String) throws {
        let run = try TestRun()
        let setup = streams.replacingOccurrences(of: "2> >(:)", with: "exec 2> >(:); wait $!;")
        let before = setup.hasSuffix(";") ? setup : "exec \(setup);"
        let outcome = try Self.run(run.trainArguments(), before: before)
        #expect(streams.contains("1>&-") ? outcome.status == 1 : outcome.status == 0, "\(outcome.errors)")
        let record = try RunRecord(contentsOf: runFolder(run).appendingPathComponent("record.json"))
        #expect(record.status == .finished)
        for case let name as String in try #require(FileManager.default.enumerator(atPath: runFolder(run).path)) {
            let bytes = (try? Data(contentsOf: runFolder(run).appendingPathComponent(name))) ?? Data()
            #expect(bytes.range(of: Data("parameters, ".utf8)) == nil, "a message was written into \(name)")
        }
    }

    @Test(arguments: [["list"], ["--help"], ["train", "--help"], ["list", "--help"]])
    func aResultThatCannotBeWrittenEndsWithAMessageAndAStatus(arguments: [String]) throws {
        for program in ["char-hyperlstm", "static-hypernet"].map(BuiltProgram.init(name:)) {
            for before in ["exec 1>/dev/full;", "exec 1>&-;", "exec 1> >(:); wait $!;"] {
                let outcome = try program.run(arguments, before: before)
                #expect(
                    outcome.status == 1 && outcome.errors.contains("standard output"), "\(before) \(outcome.errors)")
            }
        }
    }

    @Test func anArgumentThatIsNotUTF8IsRefused() throws {
        let outcome = try Self.run([], before: #"set -- train sample-lstm --out $'/tmp/\xff-runs';"#)
        #expect(outcome.status != 0 && outcome.errors.contains("not UTF-8"), "\(outcome.errors)")
    }

    @Test func signalsThatWereIgnoredAtTheStartStayIgnored() throws {
        let run = try TestRun()
        let (process, _, _) = try Self.start(
            run.trainArguments(["--set", "training.steps=200"]), before: "trap '' INT HUP;")
        let index = runFolder(run).appendingPathComponent("checkpoints/index.json")
        while process.isRunning, !FileManager.default.fileExists(atPath: index.path) { usleep(1000) }
        for signal in [SIGINT, SIGHUP] { kill(process.processIdentifier, signal) }
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    }

    @Test(arguments: [
        (SIGINT, Int32(130)), (SIGTERM, Int32(143)), (SIGHUP, Int32(129)), (SIGUSR1, Int32(138)), (SIGUSR2, Int32(140)),
    ])
    func aSignalWritesACheckpointAndTellsHowToGoOn(signal: Int32, status: Int32) throws {
        let run = try TestRun()
        let (process, _, errors) = try Self.start(run.trainArguments(["--set", "training.steps=1000000"]))
        let index = runFolder(run).appendingPathComponent("checkpoints/index.json")
        while process.isRunning, !FileManager.default.fileExists(atPath: index.path) { usleep(1000) }
        usleep(50_000)
        // A tree of processes that is told to end passes it on: only a second Ctrl-C kills.
        for _ in 0..<(signal == SIGINT ? 1 : 3) {
            kill(process.processIdentifier, signal)
            usleep(1000)
        }
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == status && process.terminationReason == .exit)
        let data = run.dataFolder.path
        #expect(text.contains("char-hyperlstm resume \(runFolder(run).path) --data \(data) --threads 2\n"), "\(text)")
        let record = try RunRecord(contentsOf: runFolder(run).appendingPathComponent("record.json"))
        #expect(record.status == .interrupted)
    }

    @Test func aSecondInterruptKills() throws {
        // Weights and moments of 50 MB, whose checkpoint is still being written when the second signal comes.
        let run = try TestRun()
        let (process, _, _) = try Self.start(
            run.trainArguments(["--set", "training.steps=1000000", "--set", "model.units=1000"]))
        let index = runFolder(run).appendingPathComponent("checkpoints/index.json")
        while process.isRunning, !FileManager.default.fileExists(atPath: index.path) { usleep(1000) }
        // Two that come while the process has no turn are one to it.
        while process.isRunning {
            kill(process.processIdentifier, SIGINT)
            usleep(20_000)
        }
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGINT)
    }

    @Test func addressesTooFewForTheThreadsAreRefused() throws {
        let run = try TestRun(), outcome = try Self.run(run.trainArguments(), before: "ulimit -v 600000;")
        #expect(
            outcome.status == 1 && outcome.errors.contains("expected room for 656 MiB of addresses"),
            "\(outcome.errors)")
    }

    @Test func aFullDiskStopsTheRunAndTheOldCheckpointSurvives() throws {
        // Files may grow to 8 blocks of 1024 bytes: enough for the configuration and the record, not for the weights.
        // The first sitting has room; the second has not.
        let run = try TestRun(), folder = try run.stopped(at: 9).folder
        let before = try run.lastingState(of: folder)[CheckpointFile.model]

        let second = try Self.run(resume(folder, run), before: "ulimit -f 8;")
        #expect(second.status != 0 && second.status < 128)
        #expect(second.errors.contains("the earlier checkpoints are untouched"), "\(second.errors)")
        #expect(try CheckpointStore(runFolder: folder).latest?.url.lastPathComponent == "step-0000009")
        #expect(try run.lastingState(of: folder)[CheckpointFile.model] == before)

        let third = try Self.run(resume(folder, run))
        #expect(third.status == 0, "\(third.errors)")
        #expect(try CheckpointStore(runFolder: folder).latest?.url.lastPathComponent == "step-0000040")
    }

    @Test func aRunCanBeEvaluatedAndSampledFromItsFolder() throws {
        let run = try TestRun()
        #expect(try Self.run(run.trainArguments()).status == 0)
        let data = run.dataFolder.path
        let record = try RunRecord(contentsOf: runFolder(run).appendingPathComponent("record.json"))
        let evaluated = try Self.run([
            "evaluate", runFolder(run).path, "--split", "test", "--data", data, "--threads", "2",
        ])
        #expect(evaluated.status == 0, "\(evaluated.errors)")
        #expect(evaluated.output.contains("test: \(fixed(try #require(record.test).bits, 4)) bits per character"))
        guard
            case .object(let document) = try Self.json([
                "evaluate", runFolder(run).path, "--split", "test", "--data", data, "--threads", "2", "--json",
            ])
        else {
            Issue.record("no object")
            return
        }
        #expect(document["value"]?.number == record.test?.bits && document["split"] == .text("test"))
        let samples = try (0..<2).map { _ in
            try Self.run(["sample", runFolder(run).path, "--prompt", "she ", "--length", "30", "--seed", "5"])
        }
        #expect(samples[0].status == 0 && samples[0].output.hasPrefix("she ") && samples[0].output.utf8.count == 35)
        #expect(samples[0].output == samples[1].output)
        let unknown = try Self.run(["sample", runFolder(run).path, "--prompt", "she Q"])
        #expect(unknown.status != 0 && unknown.errors.contains("\"Q\"") && unknown.output.isEmpty)

        // The file of weights alone, under any name. A text comes divided, so there is nothing to note.
        let weights = try run.folder.write("", to: "elsewhere/mine.safetensors")
        try Data(contentsOf: try Checkpoint(at: runFolder(run)).weightsURL).write(to: weights)
        let alone = try Self.run([
            "evaluate", weights.path, "--split", "validation", "--streams", "1", "--data", data, "--threads", "2",
        ])
        #expect(alone.status == 0 && !alone.errors.contains("note:"), "\(alone.errors)")
        #expect(
            alone.output.contains("validation: \(fixed(try #require(record.validation).bits, 4)) bits per character"))
        let sample = try Self.run(["sample", weights.path, "--prompt", "she ", "--length", "30", "--seed", "5"])
        #expect(sample.output == samples[0].output)

        // The same characters in another order.
        let train = run.folder.url.appendingPathComponent("data/sample/sample.train.txt")
        try Data(String(TestRun.text(characters: 1300).reversed()).utf8).write(to: train)
        for (split, isWarned) in [("validation", true), ("test", false)] {
            let other = try Self.run([
                "evaluate", runFolder(run).path, "--split", split, "--data", data, "--threads", "2",
            ])
            #expect(
                other.status == 0 && other.errors.contains("differ in their content") == isWarned, "\(other.errors)")
        }
    }

    @Test func weightsThatGiveNoFiniteFigureAreNamed() throws {
        let run = try TestRun(overrides: ["training.steps=2"]), training = try run.finished()
        let checkpoint = try Checkpoint(at: training.folder), weights = try checkpoint.weights()
        var damaged = SafetensorsFile(metadata: weights.metadata)
        for entry in weights.entries {
            damaged.append(
                entry.name, shape: entry.shape, .float32([Float](repeating: .nan, count: entry.values.count)))
        }
        let folder = try TemporaryFolder()
        try damaged.write(to: folder.path(CheckpointFile.model))
        try folder.write(try checkpoint.configuration().yaml, to: CheckpointFile.configuration)
        for more in [[], ["--json"]] {
            let outcome = try Self.run(["evaluate", folder.path, "--data", run.dataFolder.path] + more)
            #expect(outcome.status == 1 && outcome.output.isEmpty)
            #expect(
                outcome.errors.contains("\(folder.path): the loss of the test split is not finite"),
                "\(outcome.errors)")
        }
    }

    @Test func verifyReadsEveryOtherFigureWhereOneFileOfWeightsIsDamaged() throws {
        let run = try TestRun(overrides: ["training.steps=2"]), training = try run.finished()
        let project = try TemporaryFolder()
        try project.makeCheckout()
        let kept = try CommittedRun.keep(
            training.folder, in: ProjectFolder(url: project.url).experiment("char-hyperlstm"), half: false,
            replace: false)
        // The same run under another name, with half of its weights.
        let record = try String(contentsOf: kept.folder.appendingPathComponent("record.json"), encoding: .utf8)
        let damaged = "experiments/char-hyperlstm/runs/damaged/3"
        try project.write(
            record.replacingOccurrences(of: "\"configuration\" : \"tiny\"", with: "\"configuration\" : \"damaged\""),
            to: "\(damaged)/record.json")
        let yaml = try String(contentsOf: kept.folder.appendingPathComponent("config.yaml"), encoding: .utf8)
        try project.write(yaml, to: "\(damaged)/config.yaml")
        let weights = try Data(contentsOf: kept.folder.appendingPathComponent(CheckpointFile.model))
        let file = project.url.appendingPathComponent("\(damaged)/\(CheckpointFile.model)")
        try weights.prefix(weights.count / 2).write(to: file)
        let outcome = try Self.run([
            "verify", "--project", project.path, "--data", run.dataFolder.path, "--threads", "1",
        ])
        #expect(outcome.status == 1 && outcome.errors.contains("not readable: damaged/3"), "\(outcome.errors)")
        #expect(
            outcome.output.contains("FAILED: \(file.path)") && outcome.output.contains("the same"), "\(outcome.output)")
    }

    /// From a configuration to committed weights and their pictures, by the commands of the README.
    @Test func aBudgetIsReproducedKeptSampledAndDrawn() throws {
        let run = try TestRun(), project = try TemporaryFolder(), experiment = "experiments/char-hyperlstm"
        try project.makeCheckout()
        try project.write(TestRun.yaml, to: "\(experiment)/configs/tiny.yaml")
        // Damage to another record costs the estimates that it would give, and no more.
        let damaged = try project.write("{", to: "\(experiment)/runs/damaged/0/record.json").deletingLastPathComponent()
        let out = run.folder.url.appendingPathComponent("out"), here = ["--project", project.path]
        func records() throws -> [RunRecord] {
            try (0...1).map { try RunRecord(contentsOf: out.appendingPathComponent("tiny/\($0)/record.json")) }
        }
        let reproduce =
            [
                "reproduce", "--corpus", "sample", "--seeds", "0,1", "--jobs", "2", "--out", out.path,
                "--data", run.dataFolder.path,
            ] + here
        let first = try Self.run(reproduce)
        #expect(first.status == 0 && first.output.contains("mean ± s.d."), "\(first.errors)\(first.output)")
        let listed = try Self.run(["list"] + here)
        #expect(listed.status == 0 && listed.output.contains("\ntiny "), "\(listed.errors)")
        for errors in [first.errors, listed.errors] {
            #expect(errors.contains("left out: \(damaged.path)"), "\(errors)")
        }
        let finished = try records()
        #expect(finished.map(\.status) == [.finished, .finished])
        // Finished runs are kept as they are.
        #expect(try Self.run(reproduce).status == 0)
        #expect(try records() == finished)

        let kept = try Self.run(["keep", out.appendingPathComponent("tiny/0").path, "--half"] + here)
        #expect(kept.status == 0, "\(kept.errors)")
        let record = try Self.run(["keep", out.appendingPathComponent("tiny/1").path, "--without-weights"] + here)
        #expect(record.status == 0 && project.exists("\(experiment)/runs/tiny/1/record.json"), "\(record.errors)")
        #expect(!project.exists("\(experiment)/runs/tiny/1/\(CheckpointFile.model)"))
        let sample = try Self.run(["sample", "tiny", "--length", "20", "--gates", "--threads", "1"] + here)
        #expect(sample.status == 0 && !sample.output.isEmpty, "\(sample.errors)")
        let pictures = run.folder.path("pictures")
        let drawn = try Self.run(
            ["figures", "tiny", "--length", "100", "--output", pictures, "--threads", "1"] + here)
        #expect(drawn.status == 0, "\(drawn.errors)")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: pictures).sorted() == [
                "figure-4-gate-changes-tiny.svg", "figure-5-cell-outputs.svg", "weight-scaling-tiny.png",
                "weight-scaling-tiny.svg",
            ])
    }

    @Test func aModelWithoutACellStateSaysThatThereIsNothingToDraw() throws {
        let run = try TestRun(overrides: [
            "training.steps=2", "model.cell=rnn", "model.layerNorm=false", "model.hyperUnits=0",
            "model.embeddingSize=0", "model.keepRecurrent=1", "model.keepHyperRecurrent=1",
        ])
        let training = try run.finished()
        let options = [training.folder.path, "--length", "20", "--threads", "1"]
        let gates = try Self.run(["sample", "--gates"] + options)
        #expect(gates.status == 1 && gates.errors.contains("a model without a HyperLSTM"), "\(gates.errors)")
        let pictures = run.folder.path("pictures")
        let drawn = try Self.run(["figures", "--output", pictures] + options)
        #expect(drawn.status == 1 && drawn.errors.contains("tiny: nothing to draw"), "\(drawn.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: pictures).isEmpty)
    }

    @Test func variantsWithNamesHaveFoldersAndLinesOfTheirOwn() throws {
        let run = try TestRun()
        for (name, rate) in [("slow", "0.001"), ("fast", "0.02")] {
            let outcome = try Self.run(run.trainArguments(["--set", "training.learningRate=\(rate)", "--name", name]))
            #expect(outcome.status == 0 && outcome.output.contains("\n\(name) "), "\(outcome.errors)")
        }
        let runs = run.folder.url.appendingPathComponent("runs")
        let record = try RunRecord(contentsOf: runs.appendingPathComponent("fast/0/record.json"))
        #expect(record.configuration == "fast" && record.status == .finished)
        let compared = try Self.run(["compare", runs.path])
        #expect(compared.output.contains("\nslow ") && compared.output.contains("\nfast "), "\(compared.errors)")
        #expect(compared.output.contains("training.learningRate"))
        // Another variant of the same name is another run.
        let other = try Self.run(
            run.trainArguments(["--set", "training.batch=2", "--name", "fast", "--or-resume"]))
        #expect(other.status != 0 && other.errors.contains("another version of fast"), "\(other.errors)")
        // And a copy of a folder is a run of the seed that it was begun with.
        try FileManager.default.copyItem(
            at: runs.appendingPathComponent("fast/0"), to: runs.appendingPathComponent("fast/1"))
        let copy = try Self.run(
            run.trainArguments([
                "--set", "training.learningRate=0.02", "--name", "fast", "--seed", "1", "--or-resume",
            ]))
        #expect(copy.status != 0 && copy.errors.contains("a run of seed 0, expected seed 1"), "\(copy.errors)")
        let path = try Self.run(run.trainArguments(["--name", "../fast"]))
        #expect(path.status != 0 && path.errors.contains("--name expects"), "\(path.errors)")
    }

    /// Of several seeds none is trained for hours before the folder of another is found taken.
    @Test func theFoldersOfAllSeedsAreLookedAtFirst() throws {
        let run = try TestRun()
        try run.folder.write("{}", to: "runs/tiny/1/steps.jsonl")
        let outcome = try Self.run(run.trainArguments(["--set", "training.seeds=[0, 1]"]))
        #expect(outcome.status != 0 && outcome.errors.contains("runs/tiny/1: an incomplete run"), "\(outcome.errors)")
        #expect(!run.folder.exists("runs/tiny/0"))
    }

    @Test func aRunThatIsUnderWayIsNotToBeRemoved() throws {
        let run = try TestRun(overrides: ["training.steps=1000000"]), training = try run.begin()
        let other = try Self.run(run.trainArguments(["--seed", "3", "--set", "training.steps=1000000"]))
        #expect(other.status == 75 && other.errors.contains("process \(getpid())"), "\(other.errors)")
        withExtendedLifetime(training) {}
    }

    @Test func aPageTakesThePlaceOfAPageAlone() throws {
        let run = try TestRun()
        #expect(try Self.run(run.trainArguments(["--set", "training.steps=2"])).status == 0)
        let page = run.folder.path("page.html"), record = runFolder(run).path + "/record.json"
        let before = try Data(contentsOf: URL(fileURLWithPath: record))
        for (output, status) in [(page, Int32(0)), (page, 0), (record, 1)] {
            let outcome = try Self.run(["report", runFolder(run).path, "--output", output, "--threads", "1"])
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(
                status == 0 || outcome.errors.contains("\(record): there already, and no page"), "\(outcome.errors)")
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: record)) == before)
    }

    @Test func badArgumentsAreAnsweredInWordsAndWithAStatus() throws {
        try Self.program.expectRefusals([
            (["train", "table3-lstm", "--out", ""], ["--out expects a folder"]),
            (["show", "table7-convnet"], ["'table7-convnet' is a configuration of static-hypernet"]),
            (
                ["show", "\(committedImageConfigurations.path)/table7-convnet.yaml"],
                ["table7-convnet.yaml: a configuration of static-hypernet, expected one of char-hyperlstm"]
            ),
            (["resume", "/etc/passwd"], ["/etc/passwd holds no run: it is a file"]),
            (
                ["reproduce", "--launcher", "slurm", "--threads", "2"],
                ["with --launcher slurm give --cores"]
            ),
            (["train", "table3-lstm", "--threads", "0"], ["--threads", "from 1 to 256", "0"]),
            (["train", "table3-lsmt"], ["no configuration 'table3-lsmt'", "'table3-lstm'"]),
            (
                ["train", "sample-lstm", "--set", "training.stpes=3"],
                ["unknown key 'training.stpes'", "'training.steps'"]
            ),
            (["train", "sample-lstm", "--set", "training.steps=x"], ["training.steps", "a whole number", "'x'"]),
            (["train", "sample-lstm", "--seed", "-1"], ["--seed"]),
            (
                ["train", "sample-lstm", "--set", "training.wholly=3"],
                ["'training.wholly'", "expected one of", "training.batch"]
            ),
            (["train", "/tmp/"], ["/tmp", "a folder; expected a YAML file"]),
            (["show", "Table3"], ["'Table3'", "`list`"]),
            (
                ["train", "table3-lstm", "--data", "/nonexistent"],
                ["--data expects a folder", "/nonexistent is not there"]
            ),
            (["train", "sample-lstm", "--data", "/etc/passwd"], ["--data expects a folder", "/etc/passwd is a file"]),
            (["train", "table3-lstm", "--data", "/"], ["Penn Treebank is not in the data folder /"]),
            (["resume", "/nonexistent"], ["/nonexistent", "no run", "no such folder", "OUT/CONFIG/SEED"]),
            (["resume", "experiments"], ["no run", "no record.json"]),
            (["evaluate", "/nonexistent"], ["/nonexistent", "no checkpoint"]),
            (["evaluate", "lyer-norm-hyperlstm"], ["the nearest name is 'layer-norm-hyperlstm'"]),
            (["report", "lyer-norm-hyperlstm"], ["a row by its words"]),
            (["report", "layer-norm-hyperlstm", "--output", "/tmp"], ["--output expects a file", "/tmp"]),
            (
                ["sample", "/nonexistent", "--temperature", "-1"],
                ["--temperature expects a number of at least 0, found -1"]
            ),
            (["sample", "/nonexistent", "--length", "-5"], ["--length expects", "found -5"]),
            (["evaluate", "/nonexistent", "--streams", "-1"], ["--streams expects", "found -1"]),
            (["evaluate", "/nonexistent", "--threads", "-1"], ["--threads expects", "found -1"]),
            (
                ["sample", "/nonexistent", "--prompt", "a", "--length", "9223372036854775807"],
                ["--length", "from 0 to 10,000,000", "9223372036854775807"]
            ),
            (["sample", "/nonexistent", "--gates", "--length", "1"], ["--length", "from 2 to 10,000", "1"]),
            (["figures", "--length", "10001"], ["--length", "from 2 to 10,000", "10001"]),
            (["reproduce", "--profile", "slow"], ["quick", "steps-5000", "paper"]),
            // The name of a configuration is no name of its row.
            (
                ["reproduce", "table3-lstm-steps-5000"],
                ["no row 'table3-lstm-steps-5000' with the budget 'quick'", "--profile 'steps-5000'"]
            ),
            (["reproduce", "table3-lsmt"], ["no row 'table3-lsmt'", "table3-lstm-quick"]),
            (["reproduce", "table3-hyperlstm"], ["add --profile 'paper' or --profile 'steps-5000'"]),
            (["keep", "/nonexistent", "--half", "--without-weights"], ["give one of them"]),
            (["train", "sample-lstm", "--set", "training.seeds=[0, 0]"], ["each seed once", "[0, 0]"]),
            (
                ["train", "ptb-rnn", "--set", "deviations.forgetBias=0"],
                ["'deviations.forgetBias' expects 1 for the cell 'rnn'"]
            ),
        ])
    }

    /// Within 4 GB of addresses, whatever the machine has.
    @Test(arguments: [
        ("model.units=20000", "model.units"), ("model.layers=1000", "model.layers"),
        ("model.units=1000000000", "model.units"), ("training.sequenceLength=1000000000", "training.sequenceLength"),
        ("training.batch=400000", "training.batch"), ("training.batch=10000000", "training.batch"),
        ("training.batch=9000000000000000000", "training.batch"),
        ("evaluation.validationStreams=10000000", "evaluation.validationStreams"),
        ("evaluation.reportedStreams=10000000", "evaluation.reportedStreams"),
    ])
    func whatTheDataOrTheMemoryDoNotAllowIsRefusedByItsKeyBeforeAFolderIsMade(override: String, key: String) throws {
        let folder = try TemporaryFolder()
        let outcome = try Self.run(
            ["train", "sample-lstm", "--set", override, "--out", folder.path("runs"), "--threads", "2"],
            before: "ulimit -v 4000000;")
        #expect(outcome.status == 1 && outcome.errors.contains(key), "\(override): \(outcome.errors)")
        #expect(!folder.exists("runs"))
    }

    @Test func aProgramCopiedElsewhereFindsTheCheckoutThatItIsTold() throws {
        let folder = try TemporaryFolder(), copy = folder.path("program")
        let there = "cp \"$0\" '\(copy)'; cd /; set -- '\(copy)' \"$@\"; "
        func call(_ arguments: [String], _ variables: String = "") throws -> ProgramOutcome {
            try Self.run(arguments, before: there + "exec env -u \(ProjectFolder.variable) \(variables) \"$@\";")
        }
        let lost = try call(["show", "sample-lstm"])
        #expect(lost.status == 1 && lost.errors.contains("--project DIR"), "\(lost.errors)")
        let shown = try Self.run(["show", "sample-lstm"])
        let project = ["--project", checkout.url.path]
        #expect(try call(["show", "sample-lstm"] + project).output == shown.output)
        #expect(
            try call(["show", "sample-lstm"], "\(ProjectFolder.variable)='\(checkout.url.path)'").output == shown.output
        )
        // A file of any name needs none.
        let file = try folder.write(TestRun.yaml, to: "mine.yml").path
        let own = try call(["show", file])
        #expect(own.status == 0 && own.output.contains("# mine: "), "\(own.errors)")
        // The generated sample is the checkout's.
        let out = folder.path("runs")
        let trained = try call(
            ["train", "sample-lstm", "--set", "training.steps=1", "--name", "short", "--out", out] + project)
        #expect(trained.status == 0 && trained.output.contains("short"), "\(trained.errors)")
        let wrong = try call(["list", "--project", folder.path])
        #expect(wrong.status != 0 && wrong.errors.contains("--project expects a checkout"), "\(wrong.errors)")
        let named = try call(["list"], "\(ProjectFolder.variable)='\(folder.path)'")
        #expect(named.status == 1 && named.errors.contains(ProjectFolder.variable), "\(named.errors)")
    }

    @Test func everyCommandCanBeToldTheCheckout() throws {
        for program in ["char-hyperlstm", "static-hypernet"].map(BuiltProgram.init(name:)) {
            for command in try Self.subcommands(of: program) {
                #expect(
                    try program.run([command, "--help"]).output.contains("--project <dir>"),
                    "\(program.name) \(command)")
            }
        }
    }

    private static func subcommands(of program: BuiltProgram) throws -> [String] {
        let help = try program.run(["--help"]).output
        // "  train      What it does"; the lines between go on with a text.
        let subcommands = help.matches(of: #/\n  ([a-z-]+)  /#).map { String($0.1) }.filter { $0 != "--version" }
        #expect(subcommands.count > 12)
        return subcommands
    }

    private static func json(_ arguments: [String]) throws -> JSONValue {
        let outcome = try run(arguments)
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try StableJSON.decode(JSONValue.self, from: [UInt8](outcome.output.utf8))
    }

    @Test func theListAsJSONHasEveryConfigurationWithTheSameKeys() throws {
        guard case .array(let entries) = try Self.json(["list", "--json"]) else {
            Issue.record("no list")
            return
        }
        #expect(entries.count == (try ConfigurationFile.all(in: committedConfigurations).count))
        let keys = entries.map { entry -> Set<String> in
            guard case .object(let values) = entry else { return [] }
            return Set(values.keys)
        }
        #expect(
            Set(keys).count == 1 && keys[0].isSuperset(of: ["configuration", "paperTest", "parameters", "seconds"]))
    }

    @Test func showPrintsAConfigurationThatIsOneAndWhatDiffers() throws {
        let outcome = try Self.run(["show", "table3-lstm-quick", "--set", "training.steps=7"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("#   model.units: 1000 → 320\n"))
        let folder = try TemporaryFolder()
        let copy = try ConfigurationFile(contentsOf: try folder.write(outcome.output, to: "copy.yaml"))
        let original = try ConfigurationFile(
            contentsOf: committedConfigurations.appendingPathComponent("table3-lstm-quick.yaml"),
            overrides: ["training.steps=7"])
        #expect(copy.root == original.root)
        guard case .object(let document) = try Self.json(["show", "table3-lstm", "--json"]) else {
            Issue.record("no object")
            return
        }
        #expect(document["parameters"] == .number(4_254_050) && document["differences"] == .array([]))
        let wrong = try Self.run(["show", "table3-lstm", "--set", "units=12"])
        #expect(wrong.status != 0 && wrong.errors.contains("'model.units'") && wrong.output.isEmpty)
    }

    @Test func committedRunsAreComparedAndReportedByName() throws {
        let compared = try Self.run(["compare", "ptb-rnn", "ptb-hyper-rnn"])
        #expect(compared.status == 0 && compared.output.contains("mean ± s.d."), "\(compared.errors)")
        #expect(compared.output.contains("model.cell"))
        guard case .array(let runs) = try Self.json(["compare", "ptb-rnn/0", "--json"]) else {
            Issue.record("no list")
            return
        }
        #expect(runs.count == 1)
        let folder = try TemporaryFolder()
        let reported = try Self.run(["report", "ptb-rnn", "--output", folder.path("page.html")])
        #expect(reported.status == 0 && folder.exists("page.html"), "\(reported.errors)")
        // A row by its words; its weights need not be committed.
        let row = try Self.run(["compare", "rnn", "hyper-rnn"])
        #expect(row.status == 0 && row.output.contains("\nptb-rnn ") && row.output.contains("\nptb-hyper-rnn "))
        let missing = try Self.run(["compare", "ptb-rrn"])
        #expect(missing.status != 0 && missing.errors.contains("ptb-rrn: expected a folder of runs"))
        #expect(missing.errors.contains("such as ptb-rnn"))
        let folderOfRuns = checkout.experiment("char-hyperlstm").appendingPathComponent("runs").path
        let other = try BuiltProgram(name: "static-hypernet").run(["compare", folderOfRuns])
        #expect(other.status != 0 && other.errors.contains("expected a run of static-hypernet"), "\(other.errors)")
        let unwritable = try Self.run(["report", "ptb-rnn", "--output", "/nonexistent/page.html"])
        #expect(unwritable.status != 0 && unwritable.errors.contains("/nonexistent/page.html"))
    }

    /// Where a terminal tells no width, help is set for 80 columns: lines that are set in columns, such as examples
    /// with their meanings, stay whole there.
    @Test func examplesInHelpFitNarrowTerminals() throws {
        for program in ["char-hyperlstm", "static-hypernet"].map(BuiltProgram.init(name:)) {
            for command in [""] + (try Self.subcommands(of: program)) {
                func words(_ columns: String) throws -> [Substring] {
                    let arguments = command.isEmpty ? ["--help"] : [command, "--help"]
                    let help = try program.run(arguments, before: columns).output
                    return help.components(separatedBy: "\nUSAGE:")[0].split(separator: "\n")
                }
                let narrow = Set(try words("unset COLUMNS;"))
                let columns = try words("export COLUMNS=1000;").filter { $0.contains("  ") }
                #expect(!columns.isEmpty || !["", "train", "report", "figures"].contains(command), "\(command)")
                for line in columns { #expect(narrow.contains(line), "\(program.name) \(command): \(line)") }
            }
        }
    }

    @Test func configurationsAndRunsAreCompletedInTheShell() throws {
        for (command, name) in [
            ("train", "table3-lstm"), ("show", "table3-lstm"), ("compare", "ptb-rnn/0"), ("sample", "sample-lstm"),
            ("evaluate", "table3-lstm-quick"), ("evaluate", "layer-norm-hyperlstm"), ("figures", "sample-lstm"),
        ] { #expect(try Self.completions(of: command).contains(name), "\(command)") }
        #expect(try !Self.completions(of: "evaluate").contains("ptb-rnn"), "no weights are committed of it")
        // What is typed is gone on with: folders, and files of weights where a command takes them.
        let folder = try TemporaryFolder()
        try folder.write("", to: "tiny/0/record.json")
        try folder.write("", to: "plain.safetensors")
        let (path, weights) = (folder.path("tiny"), folder.path("plain.safetensors"))
        #expect(try Self.completions(of: "resume", after: folder.path + "/").contains(path))
        #expect(try Self.completions(of: "resume", after: path + "/").contains(path + "/0"))
        #expect(try Self.completions(of: "evaluate", after: folder.path("p")).contains(weights))
    }

    /// What the shell is told when Tab is pressed behind a command and a beginning of its first argument.
    private static func completions(of command: String, after typed: String = "") throws -> [String] {
        let outcome = try run(
            ["---completion", command, "--", "positional@0", "2", "\(typed.utf8.count)", program.name, command, typed],
            before: "export SAP_SHELL=bash SAP_SHELL_VERSION=5.2;")
        return outcome.output.split(separator: "\n").map(String.init)
    }

    @Test func commandsThatAreSuggestedWorkAsTyped() throws {
        for (called, command) in [
            (".build/release/char-hyperlstm", ".build/release/char-hyperlstm resume runs/a/0"),
            ("/opt/x/static-hypernet", "/opt/x/char-hyperlstm resume runs/a/0"),
            ("char-hyperlstm", "char-hyperlstm resume runs/a/0"),
            ("my programs/char-hyperlstm", "'my programs/char-hyperlstm' resume runs/a/0"),
        ] { #expect(shellCommand("char-hyperlstm", "resume", "runs/a/0", called: called) == command) }
        #expect(shellCommand("p", "it's", called: nil) == "p 'it'\\''s'")
        #expect(shellCommand("tail", "-f", "my runs/0.log", called: nil) == "tail -f 'my runs/0.log'")

        let run = try TestRun()
        #expect(try Self.run(run.trainArguments(["--set", "training.steps=2"])).status == 0)
        let again = try Self.run(run.trainArguments())
        let suggested = try #require(again.errors.split(separator: "`").dropFirst().first, "\(again.errors)")
        let resumed = try Self.run(
            ["-c", "\(suggested) --data '\(run.dataFolder.path)'"], before: "exec bash \"$@\";")
        #expect(resumed.status == 0 && resumed.errors.contains("finished already"), "\(resumed.errors)")
    }

    @Test func aRunOfTheOtherProgramAndARunWithoutItsSeedAreUnderstood() throws {
        let run = try TestRun()
        #expect(try Self.run(run.trainArguments(["--set", "training.steps=2"])).status == 0)
        let folder = runFolder(run)
        for (arguments, place) in [
            (["evaluate", folder.path], folder), (["bake", folder.path], folder),
            (["bake", folder.deletingLastPathComponent().path], folder),
            (["evaluate", try Checkpoint(at: folder).path], folder),
        ] {
            let outcome = try BuiltProgram(name: "static-hypernet").run(arguments)
            #expect(
                outcome.status != 0
                    && outcome.errors.contains(
                        "\(place.path): expected a run of static-hypernet, found one of char-hyperlstm"),
                "\(arguments): \(outcome.errors)")
        }
        let resumed = try Self.run(resume(folder.deletingLastPathComponent(), run))
        #expect(resumed.status == 0 && resumed.errors.contains("finished already"), "\(resumed.errors)")
    }

    @Test func theListShowsEveryConfiguration() throws {
        try CommittedConfigurations<CharacterExperiment>().expectListed()
    }
}
