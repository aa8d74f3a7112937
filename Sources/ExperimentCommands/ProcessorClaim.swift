import Foundation

/// The use of a processor, which no other queue on this machine has meanwhile: a lock on an empty file in a folder that
/// they share. It ends with this object, and with its process.
final class ProcessorClaim {
    let processor: Int
    private let descriptor: Int32

    private init(processor: Int, descriptor: Int32) {
        self.processor = processor
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Claims the first of the processors that nobody has claimed; nil where there is none, or no file can be made.
    static func first(of processors: [Int], in folder: URL) -> ProcessorClaim? {
        for processor in processors {
            let path = folder.appendingPathComponent("experiments-processor-\(processor)").path
            // First without O_CREAT: in a shared /tmp the system may refuse it on another user's file, which can be
            // opened and locked all the same.
            var descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            if descriptor < 0 {
                descriptor = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
                // Readable for other users whatever this one's umask.
                if descriptor >= 0 { fchmod(descriptor, 0o644) }
            }
            guard descriptor >= 0 else { continue }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
                return ProcessorClaim(processor: processor, descriptor: descriptor)
            }
            close(descriptor)
        }
        return nil
    }
}
