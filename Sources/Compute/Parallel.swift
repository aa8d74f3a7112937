import CKernels

/// Loops over the fixed thread pool.
package enum Parallel {
    /// Parts to split loops into, in place of one a thread; with 1 the calling thread runs all of a loop. Results
    /// depend on the number of parts alone, not on the threads that run them, so a test can vary it while others run.
    @TaskLocal package static var partsOverride: Int?

    /// Parts that a loop is split into if it is long enough.
    package static var parts: Int { partsOverride ?? ComputeEnvironment.threads }
    /// Worker numbers that a loop begun here can see: in a shard there is one worker.
    static var workers: Int { partsOverride == 1 ? 1 : ComputeEnvironment.threads }

    /// Calls `body` for every index in `0 ..< count`, each once, in any order and on any thread; returns when all ran.
    package static func loop(_ count: Int, _ body: (_ index: Int) -> Void) {
        loop(count) { index, _ in body(index) }
    }

    /// The same, telling `body` which thread runs it: `worker` < `ComputeEnvironment.threads` is one thread's at a
    /// time, so that a loop can give each its own scratch.
    package static func loop(_ count: Int, _ body: (_ index: Int, _ worker: Int) -> Void) {
        if partsOverride == 1 {
            // The threads are wanted elsewhere: for the other shards of a batch.
            for index in 0..<count { body(index, 0) }
            return
        }
        // Starts the pool before the loop: started from inside it would wait for the lock that the loop holds.
        _ = ComputeEnvironment.threads
        withoutActuallyEscaping(body) { escapable in
            var closure = escapable
            withUnsafeMutablePointer(to: &closure) { pointer in
                ck_parallel(
                    Int64(count),
                    { context, index, worker in
                        context!.assumingMemoryBound(to: ((Int, Int) -> Void).self)
                            .pointee(Int(index), Int(worker))
                    }, pointer)
            }
        }
    }

    /// Splits `0 ..< count` into at most `parts` ranges, of a multiple of `grain` elements but for the last, and
    /// calls `body(range, chunk)` for each in parallel. The split depends on the number of parts alone, so what a
    /// chunk accumulates is the same from run to run.
    package static func chunks(
        of count: Int, grain: Int = 1, _ body: (_ range: Range<Int>, _ chunk: Int) -> Void
    ) {
        let ranges = split(count, grain: grain)
        loop(ranges.count) { body(ranges[$0], $0) }
    }

    /// The ranges that `chunks` works on.
    package static func split(_ count: Int, grain: Int = 1) -> [Range<Int>] {
        let grains = (count + grain - 1) / grain
        let parts = max(1, min(parts, grains))
        return (0..<parts).map { part in
            min(count, grains * part / parts * grain)..<min(count, grains * (part + 1) / parts * grain)
        }
    }
}
