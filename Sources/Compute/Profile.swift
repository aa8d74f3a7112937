import Foundation

/// Times of operations, with the floating-point operations and the floats that each computed and moved.
///
/// Operations report themselves through `Profile.measure`. That costs nothing worth mentioning while no profile is
/// being made, and outside the thread that makes it: the pool's threads have no task, so no profile, of their own.
package final class Profile: @unchecked Sendable {
    /// All calls of one operation.
    package struct Entry: Sendable {
        package let name: String
        package fileprivate(set) var calls = 0
        /// Without the operations inside it that report themselves.
        package fileprivate(set) var seconds = 0.0
        /// Floating-point operations, by the operation's definition.
        package fileprivate(set) var flops = 0.0
        /// Bytes of operands and results, each counted once a call.
        package fileprivate(set) var bytes = 0.0
    }

    @TaskLocal private static var current: Profile?

    private var entries: [String: Entry] = [:]
    /// Seconds that operations inside the one under way took.
    private var inner = 0.0

    private init() {}

    /// Runs `body` and returns what its operations reported, the longest first.
    package static func record(_ body: () throws -> Void) rethrows -> [Entry] {
        let profile = Profile()
        try $current.withValue(profile) { try body() }
        return profile.entries.values.sorted { ($0.seconds, $1.name) > ($1.seconds, $0.name) }
    }

    /// Runs `body`, an operation of that name.
    ///
    /// - Parameters:
    ///   - flops: Its floating-point operations.
    ///   - floats: Elements that it has to read and write.
    package static func measure<R>(
        _ name: @autoclosure () -> String, flops: @autoclosure () -> Int = 0, floats: @autoclosure () -> Int = 0,
        _ body: () throws -> R
    ) rethrows -> R {
        guard let profile = current else { return try body() }
        let outer = profile.inner
        profile.inner = 0
        let start = DispatchTime.now().uptimeNanoseconds
        defer {
            let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9, name = name()
            var entry = profile.entries[name] ?? Entry(name: name)
            entry.calls += 1
            entry.seconds += seconds - profile.inner
            entry.flops += Double(flops())
            entry.bytes += Double(floats() * MemoryLayout<Float>.stride)
            profile.entries[name] = entry
            profile.inner = outer + seconds
        }
        return try body()
    }
}
