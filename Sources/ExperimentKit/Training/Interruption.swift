import Synchronization

/// A request from outside to stop at the next safe place: what a signal sets and the training loop reads.
public final class Interruption: Sendable {
    private let requested = Atomic<Int32>(0)

    public init() {}

    /// Asks for the stop; safe to call from a signal handler. `signal` is kept for the exit status.
    public func request(signal: Int32) { requested.store(signal, ordering: .relaxed) }

    /// The signal that asked for a stop, nil while nobody has.
    public var signal: Int32? {
        let signal = requested.load(ordering: .relaxed)
        return signal == 0 ? nil : signal
    }

    /// - Throws: `Interrupted` once a stop has been asked for.
    public func check() throws {
        if let signal { throw Interrupted(signal: signal) }
    }
}

/// Thrown where a stop was asked for, between two steps or while a split is read; on resume that split is read from its
/// beginning.
public struct Interrupted: Error, Equatable {
    public let signal: Int32
}
