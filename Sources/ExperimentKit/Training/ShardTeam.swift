import Compute
import Foundation
import NeuralNetwork
import Processes
import Synchronization

/// The shards of a batch that this process computes, each on a thread of its own, at most as many at a time as the
/// process computes with.
///
/// A shard's loops are not divided further, so what it computes depends neither on the number of threads nor on that of
/// processes. Shards wait for each other where they exchange numbers, here and with those of the other processes.
final class ShardTeam: @unchecked Sendable {
    private let members: Int
    private let processes: any ProcessGroup
    /// Whether every member has a thread for itself. Then a waiting member stays awake for a while: others wait for it
    /// 76 times in a step of a Wide ResNet 40, and a core that sleeps takes longer to wake than most of these waits
    /// last.
    private let waitsAwake: Bool
    /// Rounds of the exchange that are done; changed with `condition` locked.
    private let round = Atomic<Int>(0)
    /// Guards everything below.
    private let condition = NSCondition()
    /// Threads that may compute and do not.
    private var idle: Int
    private var given: [[Double]]
    private var taken: [[Double]] = []
    /// Members that have given in this round of the exchange.
    private var arrived = 0
    private var running = 0
    /// What the members compute at present; nil between two calls of `run`.
    private var work: ((Int) -> [Double])?
    /// Calls of `run` so far, by which a member tells a new one from one that it has done.
    private var calls = 0
    private var hasEnded = false

    /// Starts a thread for each member but the first, which is the caller of `run`.
    ///
    /// - Parameter members: Shards of this process; every process has as many.
    /// - Throws: `ComputeError.threadsNotStarted` where the system has no thread for a member.
    init(members: Int, processes: any ProcessGroup) throws {
        self.members = members
        self.processes = processes
        idle = min(members, ComputeEnvironment.threads)
        waitsAwake = idle == members
        given = [[Double]](repeating: [], count: members)
        for member in 1..<members {
            let isStarted = ComputeEnvironment.startThread(stack: 16 << 20) { self.serve(member) }
            guard isStarted else {
                end()
                throw ComputeError.threadsNotStarted(asked: members, started: member, setting: "training.shards")
            }
        }
    }

    /// Lets the threads go, and with them the team; `run` may not be called afterwards.
    func end() {
        condition.withLock {
            hasEnded = true
            condition.broadcast()
        }
    }

    private struct Member: ShardExchange {
        let team: ShardTeam
        let index: Int

        func gather(_ numbers: [Double]) -> [[Double]] { team.gather(numbers, from: index) }
    }

    /// Calls `body` for every member; returns when all are done.
    ///
    /// - Returns: What `body` gives for each shard of the batch, those of all processes in order.
    func run(_ body: @escaping (_ member: Int) -> [Double]) -> [[Double]] {
        condition.withLock {
            work = body
            calls += 1
            running = members
            condition.broadcast()
        }
        let results = compute(body, 0)
        condition.withLock {
            while running > 0 { condition.wait() }
            work = nil
        }
        return results
    }

    /// Does a member's part of each call of `run`, until the team ends.
    private func serve(_ member: Int) {
        var done = 0
        while let body = nextWork(after: done) {
            compute(body, member)
            done += 1
        }
    }

    /// Waits for a call of `run` beyond the first `done` of them; nil once the team has ended.
    private func nextWork(after done: Int) -> ((Int) -> [Double])? {
        condition.withLock {
            while calls == done, !hasEnded { condition.wait() }
            return hasEnded ? nil : work
        }
    }

    @discardableResult
    private func compute(_ body: (Int) -> [Double], _ member: Int) -> [[Double]] {
        condition.withLock { takeThread() }
        let results = CurrentShard.$exchange.withValue(Member(team: self, index: member)) {
            Parallel.$partsOverride.withValue(1) { gather(body(member), from: member) }
        }
        condition.withLock {
            idle += 1
            running -= 1
            condition.broadcast()
        }
        return results
    }

    /// Waits until this member may compute; the condition is locked.
    private func takeThread() {
        while idle == 0 { condition.wait() }
        idle -= 1
    }

    private func gather(_ numbers: [Double], from member: Int) -> [[Double]] {
        let present = condition.withLock { give(numbers, from: member) }
        if waitsAwake { awaitRound(after: present) }
        return condition.withLock {
            if round.load(ordering: .relaxed) == present {
                idle += 1
                condition.broadcast()
                while round.load(ordering: .relaxed) == present { condition.wait() }
                takeThread()
            }
            // The next round ends when this member has given again: until then they stay.
            return taken
        }
    }

    /// Adds a member's numbers to the round, and ends it if they are the last; the condition is locked.
    ///
    /// - Returns: The rounds that were done before this one.
    private func give(_ numbers: [Double], from member: Int) -> Int {
        let present = round.load(ordering: .relaxed)
        given[member] = numbers
        arrived += 1
        if arrived == members {
            taken = processes.count == 1 ? given : exchange()
            arrived = 0
            round.store(present + 1, ordering: .releasing)
            condition.broadcast()
        }
        return present
    }

    /// Looks for about a millisecond whether the round is over, and lets others have the core between two looks.
    private func awaitRound(after present: Int) {
        var looks = 0
        while round.load(ordering: .acquiring) == present, looks < 4000 {
            sched_yield()
            looks += 1
        }
    }

    /// The numbers of all shards, in order.
    private func exchange() -> [[Double]] {
        let width = given[0].count
        return processes.allGather(given.flatMap { $0 }).flatMap { numbers in
            (0..<members).map { Array(numbers[$0 * width..<($0 + 1) * width]) }
        }
    }
}
