import Compute
import Datasets
import Foundation
import HyperNetworks
import NeuralNetwork
import TestSupport
import Testing

@testable import CharacterExperiments
@testable import ExperimentKit

@Suite(.serialized) struct TrainingTests {
    @Test func oneBatchIsLearnedByHeart() throws {
        // One sequence an epoch: 4 streams of 10 characters, again and again, without dropout.
        let run = try TestRun(overrides: [
            "model.keepInput=1", "model.keepOutput=1", "model.keepRecurrent=1", "model.keepHyperRecurrent=1",
            "model.units=32", "training.steps=150", "evaluation.validateAt=150", "training.sequenceLength=400",
        ])
        let training = try run.finished()
        let losses = try StepLog.read(training.folder.appendingPathComponent("steps.jsonl")).compactMap(\.lossNats)
        #expect(try #require(losses.first) > 2.5)
        #expect(try #require(losses.last) < 0.1)
    }

    /// Deviations that change nothing but where a model starts.
    @Test(arguments: [
        ("scalingInitialValues=distinct", "layer0.W_hz"), ("inputInitialValues=uniform-unit-scaling", "layer0.W_x"),
    ])
    func initialValuesAreThoseOfTheConfiguration(deviation: String, changed: String) throws {
        func values(_ overrides: [String]) throws -> [String: [Float]] {
            let work = try TestRun(overrides: overrides).work()
            return Dictionary(uniqueKeysWithValues: work.parameters.map { ($0.name, $0.variable.value.floats) })
        }
        let paper = try values([]), other = try values(["deviations.\(deviation)"])
        #expect(Set(paper.keys) == Set(other.keys) && paper[changed] != other[changed])
        // The paper's: 0.1 / N_z everywhere.
        #expect(try #require(paper["layer0.W_hz"]).allSatisfy { $0 == 0.05 })
    }

    @Test func theSameSeedGivesTheSameRunBitByBit() throws {
        let run = try TestRun()
        let runs = try ["a", "b"].map { try run.finished(out: $0) }
        #expect(try run.lastingState(of: runs[0].folder) == run.lastingState(of: runs[1].folder))
        #expect(runs[0].record.test?.lossNats == runs[1].record.test?.lossNats)
    }

    /// Stops at an ordinary step, at a checkpointed one, at one with a validation, at the end of an epoch (33), at the
    /// last.
    @Test(arguments: [1, 13, 16, 20, 33, 39, 40])
    func aStoppedAndResumedRunIsTheUnbrokenRunBitByBit(step: Int) throws {
        try TestRun().expectSameEnd(resumedAt: step)
    }

    /// Reading a split can take hours.
    @Test func aStopWhileTheTestSplitIsReadKeepsTheValidationThatWasReadBefore() throws {
        /// Counts readings of validation, and asks for a stop at one of them.
        final class Readings: ProgressReporter {
            private(set) var count = 0
            let last: Int
            let interruption = Interruption()

            init(stopAt last: Int) { self.last = last }

            func report(_ event: ProgressEvent) {
                guard case .evaluated("validation", _, _, _) = event else { return }
                count += 1
                if count == last { interruption.request(signal: 15) }
            }
        }
        let run = try TestRun(), unbroken = try run.finished(out: "unbroken")
        // Five times during training, and once as one sequence.
        let first = Readings(stopAt: 6)
        let broken = try run.begin(out: "broken", progress: first, interruption: first.interruption)
        #expect(try broken.run() == .interrupted(signal: 15))
        let validation = try #require(broken.record.validation)
        #expect(broken.record.test == nil && broken.record.status == .interrupted)
        let second = Readings(stopAt: .max), resumed = try run.resume(broken.folder, progress: second)
        #expect(try resumed.run() == .finished)
        #expect(second.count == 0 && resumed.record.validation == validation)
        #expect(resumed.record.test?.lossNats == unbroken.record.test?.lossNats)
    }

    /// The hours of a run are those of all its sittings.
    @Test func secondsGoOnWithAResumedRun() throws {
        let run = try TestRun(), first = try run.stopped(at: 39), before = first.record.training
        let second = try run.resume(first.folder)
        #expect(try second.run() == .finished)
        // One step is left, which takes less than 39.
        let seconds = try StepLog.read(first.folder.appendingPathComponent("steps.jsonl")).map(\.seconds)
        #expect(zip(seconds, seconds.dropFirst()).allSatisfy { $0 <= $1 }, "\(seconds)")
        #expect(second.record.training.wallSeconds > before.wallSeconds)
        #expect(second.record.training.trainingSeconds > before.trainingSeconds)
    }

    /// Runs of several seeds would otherwise differ in less than they say.
    @Test func theSeedOfARunDrawsItsInitialValuesAndItsDropout() throws {
        let run = try TestRun(overrides: ["training.steps=1"])
        func work(_ seed: UInt64) throws -> CharacterExperiment {
            try CharacterExperiment(
                configuration: try run.configuration, data: run.data, seed: seed, shard: .whole,
                progress: SilentProgress(), interruption: Interruption())
        }
        let three = try work(3), four = try work(4)
        #expect(three.parameters.map(\.variable.value.floats) != four.parameters.map(\.variable.value.floats))
        #expect(three.position.dropout.seed == 3 && four.position.dropout.seed == 4)
        // A run of seed 3 hands it on.
        let log = try StepLog.read(try run.finished().folder.appendingPathComponent("steps.jsonl"))
        #expect(log.first?.lossNats == Double(three.nextLoss().loss.value.floats[0]))
    }

    @Test func everyStepHasTheRateOfItsOwnNumber() throws {
        let run = try TestRun(overrides: [
            "training.steps=10",
            "training.learningRate={peak: 0.01, final: 0, warmUpSteps: 4, holdUntilStep: 6, totalSteps: 10}",
        ])
        let log = try StepLog.read(try run.finished().folder.appendingPathComponent("steps.jsonl"))
        let expected = [0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01, 0.0075, 0.005, 0.0025, 0]
        expectClose(log.compactMap(\.rate), expected, relative: 1e-12, absolute: 1e-17, what: "rates")
    }

    @Test func aRunGoesThroughEpochsWithZeroStateAtTheStartOfEach() throws {
        let run = try TestRun(), training = try run.finished()
        let latest = try #require(try CheckpointStore(runFolder: training.folder).latest)
        let state = try latest.state(CheckpointState<CharacterExperiment.Position>.self)
        // 1,300 characters: L = 324, 33 sequences an epoch, so 40 steps end at the 8th sequence of the second.
        #expect(state.position.epoch == 1 && state.position.sequence == 7)
        #expect(try latest.tensors(CheckpointFile.carried).map(\.name).contains("layer0.hyper.c"))
    }

    /// At a rate that moves no weight and without dropout, from the same state the same losses come.
    @Test func anEpochBeginsFromTheZeroStateLikeTheOneBefore() throws {
        let run = try TestRun(overrides: [
            "model.keepInput=1", "model.keepOutput=1", "model.keepRecurrent=1", "model.keepHyperRecurrent=1",
            "training.learningRate=1.0e-12",
        ])
        let training = try run.finished()
        let losses = try StepLog.read(training.folder.appendingPathComponent("steps.jsonl")).compactMap(\.lossNats)
        try #require(losses.count == 40)
        for (again, first) in zip(losses[33...], losses) { #expect(abs(again - first) < 1e-6) }
    }

    @Test func carriedStateMakesADifferenceAndItsSwitchTurnsItOff() throws {
        let losses = try [[], ["training.carryState=false"]].map { overrides in
            let run = try TestRun(overrides: overrides), training = try run.finished()
            return try StepLog.read(training.folder.appendingPathComponent("steps.jsonl")).compactMap(\.lossNats)
        }
        #expect(losses[0][0] == losses[1][0])
        #expect(losses[0][1] != losses[1][1])
    }

    @Test func validationChoosesTheCheckpointThatIsReported() throws {
        // A rate that ruins the model after its best step.
        let run = try TestRun(overrides: [
            "training.learningRate=[{untilStep: 24, rate: 0.01}, {untilStep: 40, rate: 10}]",
            "evaluation.validationStreams=1",
        ])
        let training = try run.finished()
        #expect(training.record.training.selectedStep == 24)
        #expect(training.record.training.stepsDone == 40)
        let selected = try #require(training.record.training.selectionValidation)
        #expect(training.record.validation?.lossNats == selected.lossNats)
        let store = try CheckpointStore(runFolder: training.folder)
        #expect(store.best?.url.lastPathComponent == "step-0000024")
        #expect(store.latest?.url.lastPathComponent == "step-0000040")
        // And is what the folder of the run stands for where it is sampled, baked or read again.
        #expect(try Checkpoint(at: training.folder).url.lastPathComponent == "step-0000024")
    }

    /// Worse from step 16 on, with two validations of patience.
    private static let impatient = [
        "training.learningRate=[{untilStep: 16, rate: 0.01}, {untilStep: 40, rate: 10}]", "training.patience=2",
    ]

    @Test func patienceStopsTheRunEarly() throws {
        let run = try TestRun(overrides: Self.impatient), training = try run.finished()
        #expect(training.record.training.stoppedEarly)
        #expect(training.record.training.stepsDone == 32 && training.record.training.selectedStep == 16)
    }

    @Test func patienceGoesOnWithAResumedRun() throws {
        let record = try TestRun(overrides: Self.impatient).expectSameEnd(resumedAt: 27)
        #expect(record.training.stoppedEarly && record.training.stepsDone == 32)
    }

    @Test func aRunThatDidAllItsStepsDidNotStopEarly() throws {
        let run = try TestRun(overrides: Self.impatient + ["training.steps=32"]), training = try run.finished()
        #expect(!training.record.training.stoppedEarly && training.record.training.stepsDone == 32)
    }

    @Test func everyStepDrawsItsOwnDropoutMasks() throws {
        let task = try TestRun().work()
        let before = task.position.dropout
        _ = task.nextLoss()
        #expect(task.position.dropout != before)
    }

    /// On the way the beginning of the split as many streams; at the end all of it as `reportedStreams`.
    @Test func validationsOnTheWayReadAsTheirOwnKeysSay() throws {
        let run = try TestRun(overrides: ["evaluation.validationCharacters=100"]), task = try run.work()
        let read = try task.validate(), beginning = Array(run.data.validation.prefix(100))
        #expect(read.streams == 2 && read.predictions == 98)
        let expected = try CharacterEvaluator(
            sequenceLength: 10, interruption: Interruption(), progress: SilentProgress()
        ).evaluate(task.model, symbols: beginning, streams: 2, name: "validation")
        #expect(read.lossNats == expected.lossNats)
        // Which another split would not give.
        #expect(run.data.test.prefix(100) != beginning[...] && run.data.train.prefix(100) != beginning[...])
    }

    @Test func aSecondRunInTheSameFolderIsRefused() throws {
        let run = try TestRun(overrides: ["training.steps=2"]), first = try run.finished()
        #expect(throws: RecordError.runExists(path: first.folder.path, step: 2, experiment: "char-hyperlstm")) {
            try run.begin()
        }
    }

    @Test func resumingWithOtherDataIsRefused() throws {
        let run = try TestRun()
        let folder = try run.begin().folder
        let other = try TestRun()
        try other.folder.write(TestRun.text(characters: 1400), to: "data/sample/sample.train.txt")
        let corpus = try CharacterCorpus.open(.sample, dataFolder: other.dataFolder)
        #expect(throws: CheckpointError.self) {
            try CharacterRun(
                resuming: folder, data: corpus, progress: SilentProgress(), interruption: Interruption())
        }
    }

    @Test func theSameDataInAnotherPackingAreTheSameData() throws {
        let run = try TestRun(), training = try run.stopped(at: 9), packed = try TemporaryFolder()
        for name in ["train", "valid", "test"] {
            let text = try Data(contentsOf: run.folder.url.appendingPathComponent("data/sample/sample.\(name).txt"))
            let file = try packed.write("", to: "sample/sample.\(name).txt.gz")
            try Data(gzipCompressed([UInt8](text), level: 1)).write(to: file)
        }
        let corpus = try CharacterCorpus.open(.sample, dataFolder: .init(path: packed.url.path, origin: .option))
        #expect(corpus.source.files.map(\.sha256) != run.data.source.files.map(\.sha256))
        let resumed = try CharacterRun(
            resuming: training.folder, data: corpus, progress: SilentProgress(), interruption: Interruption())
        #expect(try resumed.run() == .finished)
        let sittings = try #require(resumed.record.sittings)
        #expect(sittings.map(\.fromStep) == [0, 9] && sittings.allSatisfy { $0.threads >= 1 && $0.processes == 1 })
        #expect(sittings[0].code.commit == "test" && sittings[0].programSHA256 == sittings[1].programSHA256)
    }

    @Test func theRecordStatesWhatWasRunAndOnWhat() throws {
        let run = try TestRun(overrides: ["training.steps=10", "training.seeds=[3]"])
        let training = try run.finished()
        let record = try RunRecord(contentsOf: training.folder.appendingPathComponent("record.json"))
        #expect(record == training.record)
        #expect(record.status == .finished && record.seed == 3)
        #expect(record.differences == [.init(key: "training.steps", base: "40", value: "10")])
        #expect(record.data.files.count == 3 && !record.data.official && record.data.entropyRate == nil)
        #expect(record.environments.count == 1 && record.environments[0].threads >= 1)
        #expect(record.test?.streams == 1 && record.test?.predictions == 149)
        let json = try String(contentsOf: training.folder.appendingPathComponent("record.json"), encoding: .utf8)
        #expect(json.contains("\"bits\"") && json.contains("\"lossNats\""))
    }
}

/// One parameter, and losses as scripted.
private final class ScriptedTask: TrainingTask {
    let variable = Variable(Tensor([1], shape: [1]), requiresGradient: true)
    private let losses: [Float]
    private(set) var position = 0
    let parameters: [NamedParameter]
    let unitsPerStep = 1
    let carriedTensors: [(name: String, tensor: Tensor)] = []
    private let penalty: Double
    private var validationLosses: [Double]
    private let figures: [String: Double]?

    /// - Parameters:
    ///   - losses: The loss of each step, as a multiple of the parameter.
    ///   - penalty: The L2 penalty's coefficient.
    ///   - validationLosses: One after the other; the last of them again and again.
    init(
        losses: [Float], penalty: Double = 0, validationLosses: [Double] = [1], figures: [String: Double]? = nil
    ) {
        self.losses = losses
        self.penalty = penalty
        self.validationLosses = validationLosses
        self.figures = figures
        parameters = [NamedParameter("x", variable)]
    }

    let buffer = Tensor([0], shape: [1])
    var buffers: [(name: String, tensor: Tensor)] { [("running", buffer)] }
    var onLoss: (Int) -> Void = { _ in }

    func nextLoss() -> BatchLoss {
        position += 1
        onLoss(position)
        // The gradient is as finite as the loss.
        let loss = sum(affine(variable, scale: losses[position - 1]))
        return BatchLoss(
            loss: loss, objective: penalty == 0 ? nil : loss + l2Penalty([variable], coefficient: penalty))
    }

    func validate() -> SplitEvaluation {
        let loss = validationLosses.count > 1 ? validationLosses.removeFirst() : validationLosses[0]
        return SplitEvaluation(lossNats: loss, predictions: 1, streams: 1, seconds: 0, figures: figures)
    }
    func restore(position: Int, carried: [NamedTensor]) { self.position = position }
}

@Suite struct TrainingLoopTests {
    private static func settings(
        clipNorm: Double? = nil, validateEvery interval: Int = 10, patience: Int? = nil
    ) -> TrainingLoopSettings {
        TrainingLoopSettings(
            steps: 10, learningRate: .piecewiseConstant([.init(untilStep: 10, rate: 0.1)]), clipNorm: clipNorm,
            validate: .every(interval), patience: patience, logEvery: 1, checkpointEvery: 2)
    }

    private func loop(
        _ task: ScriptedTask, in folder: URL, _ settings: TrainingLoopSettings = settings(), optimizer: Adam? = nil
    ) throws -> TrainingLoop<ScriptedTask> {
        TrainingLoop(
            updates: try TrainingStep(
                tasks: [task], optimizer: optimizer ?? Adam(parameters: task.parameters), settings: settings),
            checkpoints: try CheckpointStore(runFolder: folder),
            stepLog: StepLog(url: folder.appendingPathComponent("steps.jsonl")), progress: SilentProgress(),
            interruption: Interruption(), configurationYAML: "steps: 10\n", modelMetadata: [:],
            metric: .bits(per: "character", shortUnit: "bpc"), onMilestone: { _ in })
    }

    @Test func patienceCountsValidationsInARow() throws {
        let folder = try TemporaryFolder()
        let task = ScriptedTask(losses: [Float](repeating: 1, count: 10), validationLosses: [5, 6, 4, 6, 3, 6, 6])
        let loop = try loop(task, in: folder.url, Self.settings(validateEvery: 1, patience: 2))
        _ = try loop.run()
        // The two in a row are those of steps 6 and 7.
        #expect(task.position == 7)
    }

    @Test func theGradientIsClippedToItsNorm() throws {
        func weight(_ clipNorm: Double?) throws -> Float {
            let task = ScriptedTask(losses: [10])
            let sgd = NesterovSGD(parameters: task.parameters, momentum: 0)
            let step = try TrainingStep(tasks: [task], optimizer: sgd, settings: Self.settings(clipNorm: clipNorm))
            _ = try step.take(1)
            return task.variable.value.floats[0]
        }
        // A rate of 0.1 and a gradient of 10.
        #expect(try weight(nil) == 0)
        #expect(try abs(weight(1) - 0.9) < 1e-6)
    }

    @Test(arguments: [1, 2])
    func whatMovesTheWeightsIsTheLossWithItsPenalty(shards: Int) throws {
        let tasks = (0..<shards).map { _ in ScriptedTask(losses: [10], penalty: 2) }
        let sgd = NesterovSGD(parameters: tasks[0].parameters, momentum: 0)
        let result = try TrainingStep(tasks: tasks, optimizer: sgd, settings: Self.settings()).take(1)
        // At x = 1 the loss is 10 x and the penalty ½ · 2 x²; the rate is 0.1.
        #expect(result.lossNats == 10 && result.objective == 11 && result.gradientNorm == 12)
        #expect(abs(tasks[0].variable.value.floats[0] + 0.2) < 1e-6)
    }

    @Test(arguments: [Float.nan, Float.infinity])
    func aLossThatIsNotFiniteStopsTheRunAndKeepsTheLastGoodCheckpoint(bad: Float) throws {
        let folder = try TemporaryFolder()
        let task = ScriptedTask(losses: [1, 1, 1, 1, bad, 1, 1, 1, 1, 1])
        do {
            _ = try loop(task, in: folder.url).run()
            Issue.record("the run went on")
        } catch TrainingError.notFiniteAgain(let what, let step, let checkpoint, let wayBack) {
            // The weights of step 4 gave it, and they are the checkpoint's.
            #expect(what == "loss" && step == 5 && wayBack == nil)
            #expect(checkpoint.hasSuffix("step-0000004"))
        }
        let kept = try #require(try CheckpointStore(runFolder: folder.url).latest).tensors(CheckpointFile.model)
        #expect(kept[0].values == task.variable.value.floats && kept[0].values[0].isFinite)
    }

    @Test func theWayBackFromACheckpointThatIsNotFiniteLeadsToTheBest() throws {
        let folder = try TemporaryFolder()
        let task = ScriptedTask(losses: [1, 1, 1, 1, .nan, 1, 1, 1, 1, 1], validationLosses: [1, 2])
        let index = #"{"latest": "step-0000002", "best": "step-0000002"}"#, settings = Self.settings(validateEvery: 2)
        do {
            _ = try loop(task, in: folder.url, settings).run()
            Issue.record("the run went on")
        } catch TrainingError.notFiniteAgain(_, _, _, let wayBack) {
            #expect(wayBack?.contains(index) == true, "\(wayBack ?? "")")
        }
        try folder.write(index, to: "checkpoints/index.json")
        let next = try loop(task, in: folder.url, settings)
        try next.restore()
        #expect(next.state.step == 2)
    }

    @Test func aValidationThatIsNotFiniteStopsTheRunAndIsNotLogged() throws {
        let folder = try TemporaryFolder()
        let task = ScriptedTask(losses: [Float](repeating: 1, count: 10), validationLosses: [.nan])
        #expect(
            throws: TrainingError.notFinite(
                what: "validation loss", step: 10, lastCheckpoint: folder.path("checkpoints/step-0000008"))
        ) { try loop(task, in: folder.url).run() }
        #expect(try StepLog.read(folder.url.appendingPathComponent("steps.jsonl")).allSatisfy { $0.validation == nil })
    }

    @Test func aFigureOfAValidationThatIsNotFiniteIsNamed() throws {
        let folder = try TemporaryFolder()
        let task = ScriptedTask(
            losses: [Float](repeating: 1, count: 10), figures: ["accuracy": 1, "perplexity": .infinity])
        #expect(
            throws: TrainingError.notFinite(
                what: "validation figure 'perplexity'", step: 10,
                lastCheckpoint: folder.path("checkpoints/step-0000008"))
        ) { try loop(task, in: folder.url).run() }
    }

    /// In a checkpoint from before there were checksums nothing else tells the damage, and a sum with the number may
    /// overflow steps later.
    @Test(arguments: [
        ("\"evaluationsSinceBest\" : 0", "training.evaluationsSinceBest"),
        ("\"optimizerStepCount\" : 10", "optimizerStepCount"), ("\"position\" : 10", "position"),
        ("\"step\" : 10,\n    \"trainingSeconds\"", "training.step"),
    ])
    func aNumberOfTheStateThatNoRunCanHaveWrittenIsNamed(good: String, key: String) throws {
        let folder = try TemporaryFolder()
        _ = try loop(ScriptedTask(losses: [Float](repeating: 1, count: 10)), in: folder.url).run()
        let latest = try #require(try CheckpointStore(runFolder: folder.url).latest)
        let state = latest.url.appendingPathComponent(CheckpointFile.state)
        let text = try String(contentsOf: state, encoding: .utf8)
            .replacingOccurrences(of: "\"checksums\"", with: "\"_\"")
        try #require(text.contains(good), "\(text)")
        try FileManager.default.removeItem(at: latest.url.appendingPathComponent(CheckpointFile.sums))
        for bad in [Int.max, -1] {
            let damaged = text.replacingOccurrences(of: good, with: good.replacing(/[0-9]+/, with: "\(bad)"))
            try Data(damaged.utf8).write(to: state)
            let error = #expect(throws: RecordError.self) {
                try loop(ScriptedTask(losses: [1]), in: folder.url).restore()
            }
            let message = try #require(error).description
            #expect(message.contains(state.path) && message.contains("'\(key)'") && message.contains("\(bad)"))
        }
    }

    /// The running statistics of batch normalization can be infinite while every loss is finite.
    @Test func aNumberOfTheModelThatIsNotFiniteIsNamedAndTheCheckpointBeforeItStays() throws {
        let folder = try TemporaryFolder()
        let task = ScriptedTask(losses: [Float](repeating: 1, count: 10))
        task.onLoss = { step in if step == 3 { task.buffer.copy(from: [.infinity]) } }
        #expect(
            throws: TrainingError.notFinite(
                what: "tensor 'running'", step: 4, lastCheckpoint: folder.path("checkpoints/step-0000002"))
        ) { try loop(task, in: folder.url).run() }
    }

    /// An infinite moment of the square leaves its parameter where it is from then on, and nothing else tells.
    @Test func aMomentThatIsNotFiniteIsNamedAndTheCheckpointBeforeItStays() throws {
        let folder = try TemporaryFolder(), task = ScriptedTask(losses: [Float](repeating: 1, count: 10))
        let adam = Adam(parameters: task.parameters)
        let square = try #require(adam.state.first { $0.name == "x.v" }).tensor
        task.onLoss = { step in if step == 3 { square.copy(from: [.infinity]) } }
        #expect(
            throws: TrainingError.notFinite(
                what: "tensor 'x.v'", step: 4, lastCheckpoint: folder.path("checkpoints/step-0000002"))
        ) { try loop(task, in: folder.url, optimizer: adam).run() }
    }

    @Test func aGradientThatIsNotFiniteStopsTheRunBeforeTheUpdate() throws {
        let folder = try TemporaryFolder()
        // The loss is 1e30, its gradient too, and the square of that is not a float.
        let task = ScriptedTask(losses: [1, 1e30, 1, 1, 1, 1, 1, 1, 1, 1])
        #expect(throws: TrainingError.self) { try loop(task, in: folder.url).run() }
        #expect(task.variable.value.floats[0].isFinite)
    }
}
