import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct ZipReaderTests {
    let folder: TemporaryFolder
    let limit = 1 << 22

    init() throws { folder = try TemporaryFolder() }

    private func error(of file: [UInt8], name: String = "text.zip") throws -> DatasetError {
        let path = try folder.write(file, to: name).path
        return try datasetError { try readZip(path: path, maximumBytes: limit) }
    }

    @Test(arguments: [UInt16(0), 8], [0, 1, 5000, 1_300_000])
    func zip_storedAndDeflatedContentIsReadUnchanged(method: UInt16, count: Int) throws {
        var archive = ZipFile(noise(count))
        archive.method = method
        let path = try folder.write(archive.bytes, to: "text.zip").path
        #expect(try readZip(path: path, maximumBytes: limit) == archive.content)
        let reader = try ZipReader(path: path, maximumBytes: limit)
        #expect(reader.entryName == "text")
        #expect(reader.uncompressedBytes == count)
    }

    @Test func zip_commentAfterTheDirectoryIsAllowed() throws {
        var archive = ZipFile(textLike(100))
        archive.comment = Array("a comment".utf8)
        let path = try folder.write(archive.bytes, to: "text.zip").path
        #expect(try readZip(path: path, maximumBytes: limit) == archive.content)
    }

    @Test(arguments: [UInt16(0), 8])
    func zip_extraFieldsAndSizesAfterTheDataAreAllowed(method: UInt16) throws {
        var archive = ZipFile(textLike(3000))
        archive.method = method
        archive.extra = [0x55, 0x54, 5, 0, 3, 1, 2, 3, 4]
        archive.hasDescriptor = true
        let path = try folder.write(archive.bytes, to: "text.zip").path
        #expect(try readZip(path: path, maximumBytes: limit) == archive.content)
    }

    @Test func zip_missingAndEmptyFilesAreRejected() throws {
        let path = folder.path("absent.zip")
        #expect(
            try datasetError { try readZip(path: path, maximumBytes: limit) }
                == .unreadable(path: path, reason: "No such file or directory"))
        #expect(try error(of: []) == .empty(path: folder.path("text.zip")))
    }

    @Test func zip_otherFormatIsRejectedByItsName() throws {
        #expect(
            try error(of: gzipCompressed(textLike(100)))
                == .otherFormat(path: folder.path("text.zip"), found: "a gzip file"))
    }

    @Test func zip_unknownBytesAreRejectedWithTheFirstOfThem() throws {
        #expect(
            try error(of: textLike(100))
                == .wrongFormat(
                    path: folder.path("text.zip"), offset: 0, expected: "the zip magic number 50 4b 03 04",
                    found: textLike(100).prefix(4).map { String(format: "%02x", $0) }.joined(separator: " ")))
    }

    @Test(arguments: [0, 2, 3])
    func zip_otherNumberOfEntriesIsRejected(entries: UInt16) throws {
        var archive = ZipFile(textLike(100))
        archive.entries = entries
        #expect(
            try error(of: archive.bytes)
                == .entryCount(path: folder.path("text.zip"), expected: 1, found: Int(entries)))
    }

    @Test func zip_truncatedArchiveIsRejectedWithItsPath() throws {
        let whole = ZipFile(textLike(1000)).bytes
        let path = folder.path("text.zip")
        for length in stride(from: 4, to: whole.count, by: 11) {
            guard case .truncated(path, _, _) = try error(of: Array(whole[..<length])) else {
                Issue.record("cut at \(length) of \(whole.count)")
                continue
            }
        }
    }

    @Test func zip_missingMiddleIsRejected() throws {
        var file = ZipFile(textLike(1000)).bytes
        file.removeSubrange(100..<110)
        guard
            case .lengthMismatch(_, "offset of the end of the zip directory", let expected, let found) =
                try error(of: file)
        else {
            Issue.record("not .lengthMismatch")
            return
        }
        #expect(expected - found == 10)
    }

    @Test(arguments: [UInt16(1), 0x40, 0x2000])
    func zip_encryptedEntryIsRejectedWithItsName(flag: UInt16) throws {
        var archive = ZipFile(textLike(100))
        archive.flags = flag
        #expect(try error(of: archive.bytes) == .encrypted(path: folder.path("text.zip"), entry: "text"))
    }

    @Test func zip_otherMethodIsUnsupported() throws {
        var archive = ZipFile(textLike(100))
        archive.method = 12  // bzip2
        #expect(
            try error(of: archive.bytes)
                == .unsupported(path: folder.path("text.zip"), feature: "zip compression method 12"))
    }

    @Test func zip_zip64IsUnsupported() throws {
        var archive = ZipFile(textLike(100))
        archive.statedBytes = 0xffff_ffff
        #expect(try error(of: archive.bytes) == .unsupported(path: folder.path("text.zip"), feature: "zip64"))
    }

    @Test(arguments: [UInt16(0), 8])
    func zip_wrongChecksumIsRejectedWithBothValues(method: UInt16) throws {
        var archive = ZipFile(Array("123456789".utf8))
        archive.method = method
        archive.crc = 1
        guard case .checksumMismatch(_, _, "CRC-32", "0x00000001", "0xcbf43926") = try error(of: archive.bytes) else {
            Issue.record("not .checksumMismatch")
            return
        }
    }

    @Test(arguments: [UInt32(999), 1001])
    func zip_statedLengthMustBeTheContents(stated: UInt32) throws {
        var archive = ZipFile(textLike(1000))
        archive.statedBytes = stated
        guard case .lengthMismatch(_, _, Int(stated), 1000) = try error(of: archive.bytes) else {
            Issue.record("not .lengthMismatch")
            return
        }
    }

    @Test func zip_bombWithAFalseLengthStopsAfterOneBuffer() throws {
        var archive = ZipFile([UInt8](repeating: 0, count: 20_000_000))
        archive.statedBytes = 1000
        let path = try folder.write(archive.bytes, to: "bomb.zip").path
        let reader = try ZipReader(path: path, maximumBytes: 1000)
        _ = try datasetError { while try reader.nextChunk(chunkBytes: 4096) != nil {} }
        #expect(reader.byteCount <= 8192)
    }

    @Test func zip_boundItselfIsAllowedAndOneByteMoreIsNot() throws {
        let path = try folder.write(ZipFile(textLike(1000)).bytes, to: "text.zip").path
        #expect(try readZip(path: path, maximumBytes: 1000).count == 1000)
        #expect(
            try datasetError { try readZip(path: path, maximumBytes: 999) } == .tooLarge(path: path, maximumBytes: 999))
    }

    @Test func zip_trailingBytesAreRejected() throws {
        let file = ZipFile(textLike(100)).bytes
        #expect(
            try error(of: file + [1, 2, 3])
                == .trailingBytes(path: folder.path("text.zip"), offset: file.count, count: 3))
    }

    @Test func zip_damageAnywhereIsRejectedOrHarmless() throws {
        let content = textLike(600)
        let whole = ZipFile(content).bytes
        for index in whole.indices {
            var damaged = whole
            damaged[index] ^= 0x21
            let path = try folder.write(damaged, to: "damaged.zip").path
            // Times, versions and attributes carry no content; nothing else may change it unnoticed.
            do {
                #expect(try readZip(path: path, maximumBytes: limit) == content, "byte \(index)")
            } catch is DatasetError {
            }
        }
    }
}
