import Foundation

/// A control group that this process is in: a folder of limits, in version 2 or 1 of the kernel's interface.
struct ControlGroup {
    let version: Int
    private let folder: URL

    /// The content of one of its files; nil where it has none of that name.
    func text(_ file: String) -> String? { Self.text(folder.appendingPathComponent(file)) }

    /// The process's own groups and all above them, in every hierarchy that has a controller.
    ///
    /// - Parameters:
    ///   - controller: Such as `cpu` or `memory`.
    ///   - root: Of the file system.
    static func all(of controller: String, root: URL) -> [ControlGroup] {
        let mounts = root.appendingPathComponent("sys/fs/cgroup")
        let own = text(root.appendingPathComponent("proc/self/cgroup")) ?? "0::/"
        return own.split(separator: "\n").flatMap { line -> [ControlGroup] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            // Version 2 is the hierarchy without a list of controllers.
            if fields[1].isEmpty { return upward(mounts, fields[2], version: 2) }
            let controllers = fields[1].split(separator: ",")
            guard controllers.contains(Substring(controller)) else { return [] }
            // The folder of `cpuacct,cpu` may be `cpu,cpuacct`, and there may be a link of each controller's own name.
            let orders: [[Substring]] = [controllers, controllers.reversed()]
            let names: [String] = orders.map { $0.joined(separator: ",") } + [controller]
            let mount = names.map { mounts.appendingPathComponent($0) }
                .first { FileManager.default.fileExists(atPath: $0.path) }
            return mount.map { upward($0, fields[2], version: 1) } ?? []
        }
    }

    /// A group and all above it, the top of the hierarchy first.
    private static func upward(_ mount: URL, _ path: Substring, version: Int) -> [ControlGroup] {
        let parts = path.split(separator: "/")
        return (0...parts.count).map { depth in
            let folder = parts.prefix(depth).reduce(mount) { $0.appendingPathComponent(String($1)) }
            return ControlGroup(version: version, folder: folder)
        }
    }

    private static func text(_ file: URL) -> String? {
        (try? String(contentsOf: file, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
