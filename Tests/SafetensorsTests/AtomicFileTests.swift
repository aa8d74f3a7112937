import Foundation
import TestSupport
import Testing

import Safetensors

private func contents(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

private func names(_ folder: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder) }

private let old: [UInt8] = Array("the old file".utf8)
private let new: [UInt8] = Array(repeating: 0xAB, count: 100_000)

struct AtomicFileTests {
    @Test func aFileIsMadeAndReplaced() throws {
        try withTemporaryFolder { folder in
            for bytes in [old, new, []] {
                try writeFileAtomically(path: folder + "/f", bytes: bytes)
                #expect(try contents(folder + "/f") == bytes)
                #expect(try names(folder) == ["f"])
            }
        }
    }

    @Test func theNewFileHasThePermissionsOfTheOldOne() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/f"
            try writeFileAtomically(path: path, bytes: old)
            for permissions in [0o600, 0o666, 0o444] as [mode_t] {
                #expect(chmod(path, permissions) == 0)
                try writeFileAtomically(path: path, bytes: new)
                var status = stat()
                stat(path, &status)
                #expect(status.st_mode & 0o777 == permissions | S_IWUSR)
            }
        }
    }

    @Test func runsOfBytesAreWrittenInOrder() throws {
        try withTemporaryFolder { folder in
            try writeFileAtomically(path: folder + "/f") { append in
                for run in [[1, 2, 3], [], [4]] as [[UInt8]] { try run.withUnsafeBytes(append) }
            }
            #expect(try contents(folder + "/f") == [1, 2, 3, 4])
        }
    }

    @Test func aRelativePathIsWrittenInTheCurrentFolder() throws {
        let name = "atomic-\(UUID().uuidString)"
        defer { unlink(name) }
        try writeFileAtomically(path: name, bytes: old)
        #expect(try contents(name) == old)
    }

    @Test func theLongestNameIsWritten() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/" + String(repeating: "n", count: 255)
            try writeFileAtomically(path: path, bytes: old)
            #expect(try contents(path) == old)
        }
    }

    @Test func aMissingFolderIsATypedError() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/no/f"
            #expect(throws: AtomicFileError(path: path, operation: .create, code: ENOENT)) {
                try writeFileAtomically(path: path, bytes: new)
            }
        }
    }

    @Test func aFolderInTheWayIsATypedErrorAndLeavesNothing() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/f"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            #expect(throws: AtomicFileError(path: path, operation: .rename, code: EISDIR)) {
                try writeFileAtomically(path: path, bytes: new)
            }
            #expect(try names(folder) == ["f"])
        }
    }

    /// As of `--output /dev/stdout` or a pipe: it would be gone.
    @Test func aPipeInTheWayIsATypedErrorAndStays() throws {
        try withTemporaryFolder { folder in
            #expect(mkfifo(folder + "/pipe", 0o600) == 0)
            try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: "pipe")
            for name in ["pipe", "link"] {
                let error = #expect(throws: AtomicFileError.self) {
                    try writeFileAtomically(path: folder + "/" + name, bytes: new)
                }
                #expect(error?.operation == .replace && error?.description.contains("expected a file") == true)
            }
            #expect(try names(folder).sorted() == ["link", "pipe"])
        }
    }

    @Test func whatTheCallerThrowsComesThroughAndLeavesTheOldFile() throws {
        struct Refusal: Error {}
        try withTemporaryFolder { folder in
            try writeFileAtomically(path: folder + "/f", bytes: old)
            #expect(throws: Refusal.self) {
                try writeFileAtomically(path: folder + "/f") { append in
                    try new.withUnsafeBytes(append)
                    throw Refusal()
                }
            }
            #expect(try contents(folder + "/f") == old)
            #expect(try names(folder) == ["f"])
        }
    }
}

/// System calls that fail, take a part, or are interrupted, at a real file system.
struct AtomicFileFailureTests {
    /// Writes over an old file with the calls given; expects the error, the old file whole and nothing else in the
    /// folder.
    private func expectFailure(
        _ operation: AtomicFileError.Operation, code: Int32, _ change: (inout AtomicFileCalls) -> Void,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try withTemporaryFolder { folder in
            let path = folder + "/f"
            try writeFileAtomically(path: path, bytes: old)
            var calls = AtomicFileCalls.system
            change(&calls)
            #expect(
                throws: AtomicFileError(path: path, operation: operation, code: code), sourceLocation: sourceLocation
            ) {
                try writeFileAtomically(path: path, calls: calls) { try new.withUnsafeBytes($0) }
            }
            #expect(try contents(path) == old, sourceLocation: sourceLocation)
            #expect(try names(folder) == ["f"], sourceLocation: sourceLocation)
        }
    }

    /// Part of the bytes go to the file, the rest to the device that is always full: the error is the system's own.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
    func aDiskThatFillsUpLeavesTheOldFileAndNoTemporaryFile() throws {
        let full = open("/dev/full", O_WRONLY)
        defer { close(full) }
        try expectFailure(.write, code: ENOSPC) { calls in
            var room = 10_000
            calls.write = { descriptor, bytes, count in
                if room == 0 { return write(full, bytes, count) }
                let part = write(descriptor, bytes, min(count, room))
                room -= part
                return part
            }
        }
    }

    @Test func bytesThatDoNotReachTheDiskLeaveTheOldFile() throws {
        try expectFailure(.synchronize, code: EIO) { calls in
            calls.synchronize = { _ in
                errno = EIO
                return -1
            }
        }
    }

    @Test func aCloseThatFailsLeavesTheOldFile() throws {
        try expectFailure(.close, code: EDQUOT) { calls in
            calls.close = { descriptor in
                close(descriptor)
                errno = EDQUOT
                return -1
            }
        }
    }

    @Test func aRenameThatFailsLeavesTheOldFile() throws {
        try expectFailure(.rename, code: EACCES) { calls in
            calls.rename = { _, _ in
                errno = EACCES
                return -1
            }
        }
    }

    @Test func partialAndInterruptedWritesAreContinued() throws {
        try withTemporaryFolder { folder in
            var calls = AtomicFileCalls.system
            var turn = 0
            calls.write = { descriptor, bytes, count in
                turn += 1
                if turn % 3 == 0 {
                    errno = EINTR
                    return -1
                }
                return write(descriptor, bytes, min(count, 999))
            }
            let counting = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
            try writeFileAtomically(path: folder + "/f", calls: calls) { try counting.withUnsafeBytes($0) }
            #expect(try contents(folder + "/f") == counting)
        }
    }

    @Test func theFileIsOnTheDiskBeforeItIsRenamedAndTheFolderAfter() throws {
        try withTemporaryFolder { folder in
            var calls = AtomicFileCalls.system
            var events: [String] = []
            let system = AtomicFileCalls.system
            calls.synchronize = { descriptor in
                var status = stat()
                fstat(descriptor, &status)
                events.append(status.st_mode & S_IFMT == S_IFDIR ? "synchronize folder" : "synchronize file")
                return system.synchronize(descriptor)
            }
            calls.rename = { from, to in
                events.append("rename")
                return system.rename(from, to)
            }
            try writeFileAtomically(path: folder + "/f", calls: calls) { try new.withUnsafeBytes($0) }
            #expect(events == ["synchronize file", "rename", "synchronize folder"])
        }
    }

    #if os(Linux)
        /// No call is replaced here: a limit of the system on the size of files stops the write in a process of its
        /// own.
        @Test func aSizeLimitOfTheSystemLeavesTheOldFileAndNoTemporaryFile() async {
            await #expect(processExitsWith: .success) {
                try withTemporaryFolder { folder in
                    let path = folder + "/f"
                    try writeFileAtomically(path: path, bytes: old)
                    signal(SIGXFSZ, SIG_IGN)
                    var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
                    #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
                    var file = SafetensorsFile()
                    file.append("x", shape: [100_000], .uint8(new))
                    #expect(throws: AtomicFileError(path: path, operation: .write, code: EFBIG)) {
                        try file.write(to: path)
                    }
                    #expect(try contents(path) == old)
                    #expect(try names(folder) == ["f"])
                }
            }
        }
    #endif
}
