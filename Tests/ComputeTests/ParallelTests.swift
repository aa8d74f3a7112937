import CKernels
import Compute
import Foundation
import Synchronization
import Testing

private final class Counter: Sendable {
    let value = Atomic<Int>(0)
    func add() { value.wrappingAdd(1, ordering: .relaxed) }
    var count: Int { value.load(ordering: .relaxed) }
}

/// Runs a loop and tells whether every index ran exactly once.
private func everyIndexRunsOnce(_ count: Int) -> Bool {
    let counters = (0..<count).map { _ in Counter() }
    Parallel.loop(count) { counters[$0].add() }
    return counters.allSatisfy { $0.count == 1 }
}

#if canImport(Glibc)
    /// Sets the size of the stack of threads that state none. With one that no address space has room for, no such
    /// thread starts; a limit on the number of threads would not stop root.
    private func setDefaultStack(_ bytes: Int) throws {
        typealias SetDefault = @convention(c) (UnsafePointer<pthread_attr_t>) -> Int32
        let symbol = try #require(dlsym(nil, "pthread_setattr_default_np"))
        let setDefault = unsafeBitCast(symbol, to: SetDefault.self)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, bytes)
        let code = setDefault(&attributes)
        try #require(code == 0)
    }
#endif

/// The thread pool. Each test runs in a process of its own: it sets the number of threads, and has the pool to itself.
struct ParallelTests {
    @Test(.timeLimit(.minutes(2))) func everyIndexRunsExactlyOnceWithOneToEightThreads() async {
        await #expect(processExitsWith: .success) {
            for threads in [1, 2, 3, 4, 5, 6, 7, 8, 3, 1, 8] {  // more, fewer and again more
                try ComputeEnvironment.configure(threads: threads)
                #expect(ComputeEnvironment.threads == threads)
                for count in [0, 1, 2, 3, 7, 8, 9, 100, 1000] {
                    #expect(everyIndexRunsOnce(count), "\(count) indices on \(threads) threads")
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(2))) func twoIndicesRunAtTheSameTimeOnTwoThreads() async {
        await #expect(processExitsWith: .success) {
            try ComputeEnvironment.configure(threads: 2)
            // At once, and when the worker has fallen asleep: it must be woken then.
            for pause in [UInt32(0), 200_000, 200_000] {
                usleep(pause)
                let started = Counter(), met = Counter(), deadline = Date(timeIntervalSinceNow: 30)
                Parallel.loop(2) { _ in
                    started.add()
                    while started.count < 2 && Date() < deadline { sched_yield() }
                    if started.count == 2 { met.add() }
                }
                #expect(met.count == 2, "each waited for the other to start, after \(pause) µs")
            }
        }
    }

    @Test(.timeLimit(.minutes(2))) func aWorkersNumberIsOneThreadsAtATime() async {
        await #expect(processExitsWith: .success) {
            for threads in [1, 4, 2] {
                try ComputeEnvironment.configure(threads: threads)
                let running = (0..<threads).map { _ in Counter() }, clashes = Counter()
                Parallel.loop(20_000) { _, worker in
                    if running[worker].value.exchange(1, ordering: .acquiring) != 0 { clashes.add() }
                    running[worker].value.store(0, ordering: .releasing)
                }
                #expect(clashes.count == 0, "\(threads) threads")
            }
        }
    }

    @Test(.timeLimit(.minutes(2))) func aLoopInsideALoopRunsEveryPairOnce() async {
        await #expect(processExitsWith: .success) {
            try ComputeEnvironment.configure(threads: 4)
            for _ in 0..<200 {
                let counters = (0..<7 * 5 * 3).map { _ in Counter() }
                Parallel.loop(7) { i in
                    Parallel.loop(5) { j in Parallel.loop(3) { k in counters[(i * 5 + j) * 3 + k].add() } }
                }
                #expect(counters.allSatisfy { $0.count == 1 })
            }
        }
    }

    /// The number of threads is settled before the pool is taken: settling it inside a loop would wait for that loop.
    @Test(.timeLimit(.minutes(2))) func aLoopInsideALoopIsFineAlsoBeforeAnythingWasConfigured() async {
        await #expect(processExitsWith: .success) {
            let counter = Counter()
            Parallel.loop(3) { _ in Parallel.chunks(of: 10) { range, _ in for _ in range { counter.add() } } }
            #expect(counter.count == 30)
        }
    }

    @Test(.timeLimit(.minutes(2))) func callersOnSeveralThreadsEachGetTheirIndicesOnce() async {
        await #expect(processExitsWith: .success) {
            try ComputeEnvironment.configure(threads: 3)
            let wrong = Counter(), done = Counter()
            for caller in 0..<4 {
                Thread.detachNewThread {
                    for round in 0..<1000 where !everyIndexRunsOnce(1 + (caller * 7 + round) % 20) { wrong.add() }
                    done.add()
                }
            }
            while done.count < 4 { usleep(1000) }
            #expect(wrong.count == 0)
        }
    }

    @Test(.timeLimit(.minutes(3))) func tensOfThousandsOfShortLoopsLoseNothing() async {
        await #expect(processExitsWith: .success) {
            for (threads, loops) in [(2, 20_000), (8, 2_000)] {
                try ComputeEnvironment.configure(threads: threads)
                let counter = Counter()
                var expected = 0
                for loop in 0..<loops {
                    // Some pauses, so that loops meet workers that sleep as well as ones that still spin; and other
                    // counts, so that a late worker would take an index of the loop before.
                    if loop % 500 == 499 { usleep(3000) }
                    let count = 2 + loop % 7
                    expected += count
                    Parallel.loop(count) { _ in counter.add() }
                    if counter.count != expected {
                        Issue.record("loop \(loop) on \(threads) threads: \(counter.count) of \(expected)")
                        return
                    }
                }
            }
        }
    }

    @Test func aSplitCoversTheRangeInWholeGrainsWithAtMostOneRangeAThread() async {
        await #expect(processExitsWith: .success) {
            for threads in [1, 2, 3, 8] {
                try ComputeEnvironment.configure(threads: threads)
                for count in [0, 1, 2, 5, 16, 17, 100, 1000] {
                    for grain in [1, 3, 16] {
                        let ranges = Parallel.split(count, grain: grain), note = "\(count) by \(grain) on \(threads)"
                        #expect(ranges.first?.lowerBound == 0 && ranges.last?.upperBound == count, "\(note)")
                        #expect(
                            zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound }, "\(note)")
                        #expect(ranges.dropLast().allSatisfy { $0.count % grain == 0 }, "\(note)")
                        #expect(ranges.count <= threads && (count == 0 || ranges.allSatisfy { !$0.isEmpty }), "\(note)")
                        // No thread has more than one grain more than another.
                        let grains = ranges.map { ($0.count + grain - 1) / grain }
                        #expect(grains.max()! - grains.min()! <= 1, "\(note)")
                    }
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(2))) func matrixProductsAreExactOnAnyNumberOfThreads() async {
        await #expect(processExitsWith: .success) {
            let products = BlasTests.sizes.map { ProductCase(m: $0.0, n: $0.1, k: $0.2) }
            for threads in [1, 2, 3, 8] {
                try ComputeEnvironment.configure(threads: threads)
                for product in products { BlasTests.check(product, "on \(threads) threads") }
            }
        }
    }

    #if canImport(Glibc)
        @Test(.timeLimit(.minutes(2))) func threadsThatTheSystemDoesNotStartAreAnErrorThatNamesBothNumbers() async {
            await #expect(processExitsWith: .success) {
                try setDefaultStack(1 << 50)
                let error = #expect(throws: ComputeError.self) { try ComputeEnvironment.configure(threads: 4) }
                #expect(error == ComputeError.threadsNotStarted(asked: 4, started: 1, setting: "--threads"))
                #expect(error?.description.contains("asked for 4 threads, and the system started 1") == true)
                #expect(ComputeEnvironment.threads == 1 && everyIndexRunsOnce(100))
                // And those that can be started later are used.
                try setDefaultStack(8 << 20)
                try ComputeEnvironment.configure(threads: 4)
                #expect(ComputeEnvironment.threads == 4 && everyIndexRunsOnce(100))
            }
        }
    #endif

    @Test func aThreadOfItsOwnRunsOrIsSaidNotToHaveStarted() {
        let ran = DispatchSemaphore(value: 0)
        let isStarted = ComputeEnvironment.startThread(stack: 1 << 20) { ran.signal() }
        #expect(isStarted)
        if isStarted { ran.wait() }
        // No address space has room for its stack.
        let isTooLargeStarted = ComputeEnvironment.startThread(stack: 1 << 50) {}
        #expect(!isTooLargeStarted)
    }

    @Test func aNumberOfThreadsOutOfRangeIsRefused() {
        // Refused before anything is set: the process keeps its threads.
        let threads = ComputeEnvironment.threads
        for requested in [0, -1, 257, 1_000_000_000_000] {
            #expect(throws: ComputeError.threads(found: "\(requested)", source: "--threads")) {
                try ComputeEnvironment.configure(threads: requested)
            }
        }
        #expect(ComputeEnvironment.threads == threads)
        #expect(
            ComputeError.threads(found: "0", source: "--threads").description
                == "--threads: expected a number of threads from 1 to 256, found 0")
    }
}
