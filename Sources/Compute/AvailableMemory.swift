import Foundation

/// Memory that this process may still take, by the tightest of its limits.
public struct AvailableMemory: Equatable, Sendable {
    public let bytes: Double
    /// The limit, such as "MemAvailable and SwapFree in /proc/meminfo".
    public let source: String

    public init(bytes: Double, source: String) {
        self.bytes = bytes
        self.source = source
    }

    /// The least of what the system, the control groups and the limit on addresses leave; nil where none of them tells.
    public static var current: AvailableMemory? {
        least(
            root: URL(fileURLWithPath: "/"), addressSpace: ComputeEnvironment.addressSpaceLimit,
            free: TensorMemory.shared.freeBytes)
    }

    /// The tightest limit. Its estimate is generous, so that nothing is refused that would run: free swap space counts,
    /// and so does memory that other processes of a control group hold.
    ///
    /// - Parameters:
    ///   - root: Of the file system.
    ///   - addressSpace: The limit on the process's addresses, in bytes; nil for none.
    ///   - free: Bytes that the process has and can use again.
    static func least(root: URL, addressSpace: UInt64?, free: Int) -> AvailableMemory? {
        func text(_ path: String) -> String {
            (try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)) ?? ""
        }
        /// A line `Name:  123 kB` of a file of the system, in bytes; a tab may stand for the blanks.
        func line(_ name: String, of file: String) -> Double? {
            let words = text(file).split(separator: "\n").first { $0.hasPrefix("\(name):") }?
                .split(whereSeparator: \.isWhitespace)
            return words.flatMap { $0.count > 1 ? Double($0[1]) : nil }.map { $0 * 1024 }
        }
        let swap = line("SwapFree", of: "proc/meminfo") ?? 0, free = Double(free)
        var bounds: [AvailableMemory] = []
        if let bytes = line("MemAvailable", of: "proc/meminfo") {
            bounds.append(
                AvailableMemory(bytes: bytes + swap + free, source: "MemAvailable and SwapFree in /proc/meminfo"))
        }
        for group in ControlGroup.all(of: "memory", root: root) {
            let file = group.version == 2 ? "memory.max" : "memory.limit_in_bytes"
            guard let limit = group.text(file).flatMap(Double.init) else { continue }  // "max"
            bounds.append(AvailableMemory(bytes: limit + swap, source: "\(file) of the control group"))
        }
        if let addressSpace {
            let used = line("VmSize", of: "proc/self/status") ?? 0
            bounds.append(
                AvailableMemory(
                    bytes: max(0, Double(addressSpace) - used) + free, source: "the limit on addresses, ulimit -v"))
        }
        return bounds.min { $0.bytes < $1.bytes }
    }
}
