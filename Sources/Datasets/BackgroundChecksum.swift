import Foundation

/// A SHA-256 computed on another thread while this one reads on.
final class BackgroundDigest: @unchecked Sendable {
    // Touched on the queue alone.
    private var digest = SHA256Digest()
    private let queue = DispatchQueue(label: "digest", qos: .userInitiated)

    func update(_ bytes: [UInt8]) { queue.async { bytes.withUnsafeBytes { self.digest.update($0) } } }
    func finalized() -> String { queue.sync { digest.finalized() } }
}

/// The SHA-256 of a file, computed on another thread while this one does something else.
final class BackgroundChecksum: @unchecked Sendable {
    private let finished = DispatchGroup()
    // Written before the group is left and read after it was waited for, hence never at once.
    private var result: Result<String, any Error>?

    init(ofFile path: String) {
        finished.enter()
        DispatchQueue.global(qos: .userInitiated).async {
            self.result = Result { try Checksum.sha256(ofFile: path) }
            self.finished.leave()
        }
    }

    func wait() throws -> String {
        finished.wait()
        return try result!.get()
    }
}
