import CKernels
import Foundation

/// The processors of this machine by the system's numbers: where a core has two hardware threads, it counts as two.
package enum Processors {
    /// Those that this process may run on (`taskset`, a batch system), or all that are online where the system does not
    /// tell.
    package static var allowed: [Int] {
        var numbers = [Int32](repeating: 0, count: 4096)
        let count = Int(ck_allowed_processors(&numbers, Int32(numbers.count)))
        return count > 0 ? numbers[..<count].map(Int.init) : online()
    }

    /// Those that are online. The system says nothing about the core of one that is not.
    ///
    /// - Parameter root: Of the file system.
    static func online(root: URL = URL(fileURLWithPath: "/")) -> [Int] {
        let file = root.appendingPathComponent("sys/devices/system/cpu/online")
        // Such as "0-3,8".
        let ranges = ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: ",")
        let numbers = ranges.flatMap { range -> [Int] in
            let ends = range.split(separator: "-").compactMap {
                Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
            }
            guard let first = ends.first, let last = ends.last, first <= last else { return [] }
            return Array(first...last)
        }
        return numbers.isEmpty ? Array(0..<ProcessInfo.processInfo.processorCount) : numbers
    }

    /// Physical cores among processors, at least 1: matrix products gain nothing from a core's second hardware thread.
    static func cores(of processors: [Int], root: URL = URL(fileURLWithPath: "/")) -> Int {
        max(1, Set(processors.map { core(of: $0, root: root) }).count)
    }

    /// The same processors, one of each physical core before the second of any.
    package static func oneOfEachCoreFirst(_ processors: [Int], root: URL = URL(fileURLWithPath: "/")) -> [Int] {
        var seen: Set<String> = []
        let first = processors.filter { seen.insert(core(of: $0, root: root)).inserted }
        return first + processors.filter { !first.contains($0) }
    }

    /// A text that the processors of one physical core share.
    private static func core(of processor: Int, root: URL) -> String {
        let siblings = "sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list"
        return (try? String(contentsOf: root.appendingPathComponent(siblings), encoding: .utf8)) ?? "\(processor)"
    }
}
