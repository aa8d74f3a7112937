import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct GzipReaderTests {
    let folder: TemporaryFolder
    let limit = 1 << 22

    init() throws { folder = try TemporaryFolder() }

    @Test func gzip_contentOfSeveralBuffersIsReadUnchanged() throws {
        let content = noise(1_300_000)  // incompressible: both sides exceed their buffers
        let path = try folder.write(gzipCompressed(content), to: "noise.gz").path
        #expect(try readGzip(path: path, maximumBytes: limit) == content)
    }

    @Test func gzip_memberOfNothingIsAnEmptyContent() throws {
        let path = try folder.write(gzipCompressed([]), to: "nothing.gz").path
        #expect(try readGzip(path: path, maximumBytes: 0) == [])
    }

    @Test(arguments: [1, 2, 3, 1000, 65_536])
    func gzip_chunksOfAnySizeJoinToTheContent(chunkBytes: Int) throws {
        let content = textLike(5000)
        let path = try folder.write(gzipCompressed(content), to: "text.gz").path
        let reader = try GzipReader(path: path, maximumBytes: limit)
        var joined = [UInt8]()
        while let chunk = try reader.nextChunk(chunkBytes: chunkBytes) {
            #expect(chunk.count == min(chunkBytes, content.count - joined.count))
            joined += chunk
        }
        #expect(joined == content)
        #expect(reader.byteCount == content.count)
        #expect(try reader.nextChunk() == nil)
    }

    @Test func gzip_severalMembersAreJoined() throws {
        let parts = [textLike(10_000, seed: 1), [], textLike(1, seed: 2), noise(300_000, seed: 3)]
        let path = try folder.write(parts.flatMap { gzipCompressed($0) }, to: "members.gz").path
        #expect(try readGzip(path: path, maximumBytes: limit) == parts.flatMap { $0 })
    }

    @Test func gzip_optionalHeaderFieldsAreSkipped() throws {
        let content = textLike(100)
        let plain = gzipCompressed(content)
        let flags: UInt8 = 0x1f  // FTEXT, FHCRC, FEXTRA, FNAME, FCOMMENT
        let header: [UInt8] = [0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3]
        let fields: [UInt8] = [3, 0, 9, 9, 9] + Array("name\0".utf8) + Array("comment\0".utf8) + [7, 7]
        let path = try folder.write(header + fields + plain[10...], to: "fields.gz").path
        #expect(try readGzip(path: path, maximumBytes: limit) == content)
        // Cut inside any of the fields, it is truncated there.
        for length in 2..<(header.count + fields.count) {
            let cut = try folder.write(Array((header + fields)[..<length]), to: "cut.gz").path
            let error = try datasetError { try readGzip(path: cut, maximumBytes: limit) }
            guard case .truncated(cut, length, _) = error else {
                Issue.record("cut at \(length): \(error)")
                continue
            }
        }
    }

    @Test func gzip_missingFileIsUnreadableWithItsPath() throws {
        let path = folder.path("absent.gz")
        let error = try datasetError { try readGzip(path: path, maximumBytes: limit) }
        #expect(error == .unreadable(path: path, reason: "No such file or directory"))
        #expect("\(error)".contains(path))
    }

    @Test func gzip_folderIsUnreadable() throws {
        let error = try datasetError { try readGzip(path: folder.path, maximumBytes: limit) }
        #expect(error == .unreadable(path: folder.path, reason: "it is a folder"))
        let pipe = folder.path("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        let other = try datasetError { try readGzip(path: pipe, maximumBytes: limit) }
        #expect(other == .unreadable(path: pipe, reason: "it is a pipe or a device, expected a file"))
    }

    @Test func gzip_emptyFileIsRejected() throws {
        let path = try folder.write([], to: "empty.gz").path
        #expect(try datasetError { try readGzip(path: path, maximumBytes: limit) } == .empty(path: path))
    }

    @Test func gzip_otherFormatIsRejectedWithItsFirstBytes() throws {
        let path = try folder.write("<html>404</html>", to: "page.gz").path
        let error = try datasetError { try readGzip(path: path, maximumBytes: limit) }
        #expect(error == .wrongFormat(path: path, offset: 0, expected: "the gzip magic number 1f 8b", found: "3c 68"))
    }

    @Test func gzip_otherCompressionMethodAndReservedFlagsAreUnsupported() throws {
        var file = gzipCompressed(textLike(100))
        file[2] = 7
        let method = try folder.write(file, to: "method.gz").path
        #expect(
            try datasetError { try readGzip(path: method, maximumBytes: limit) }
                == .unsupported(path: method, feature: "gzip compression method 7"))
        file[2] = 8
        file[3] = 0x80
        let flags = try folder.write(file, to: "flags.gz").path
        #expect(
            try datasetError { try readGzip(path: flags, maximumBytes: limit) }
                == .unsupported(path: flags, feature: "reserved gzip flags 80"))
    }

    /// At every length: in the header, the data, the trailer.
    @Test func gzip_truncatedFileIsRejectedWithItsPath() throws {
        let whole = gzipCompressed(textLike(2000))
        for length in Array(1..<40) + stride(from: 40, to: whole.count, by: 17) + [whole.count - 1] {
            let path = try folder.write(Array(whole[..<length]), to: "truncated.gz").path
            let error = try datasetError { try readGzip(path: path, maximumBytes: limit) }
            guard case .truncated(path, length, _) = error else {
                Issue.record("cut at \(length) of \(whole.count): \(error)")
                continue
            }
        }
    }

    @Test func gzip_damageInTheMiddleIsRejectedWherever() throws {
        let whole = gzipCompressed(textLike(2000))
        for index in stride(from: 10, to: whole.count - 8, by: 13) {
            var damaged = whole
            damaged[index] ^= 0x10
            let path = try folder.write(damaged, to: "damaged.gz").path
            switch try datasetError({ try readGzip(path: path, maximumBytes: limit) }) {
            // By luck of the flipped bit: codes that do not exist, an end that does not come, or another content.
            case .corrupt(path, _, _), .truncated(path, _, _), .checksumMismatch(path, _, _, _, _): break
            case let error: Issue.record("damage at \(index): \(error)")
            }
        }
    }

    @Test func gzip_impossibleBlockIsCorruptWithItsOffset() throws {
        var file = gzipCompressed(textLike(100))
        file[10] = 0x07  // the last block, of the reserved type 3
        let path = try folder.write(file, to: "block.gz").path
        guard
            case .corrupt(path, let offset, let reason) = try datasetError({
                try readGzip(path: path, maximumBytes: limit)
            })
        else {
            Issue.record("not .corrupt")
            return
        }
        #expect(offset > 10 && offset <= file.count)
        #expect(reason == "invalid block type")
    }

    @Test func gzip_wrongChecksumIsRejectedWithBothValuesAndItsOffset() throws {
        let content = Array("123456789".utf8)  // CRC-32 cbf43926, the check value of the CRC catalog
        var file = gzipCompressed(content)
        let offset = file.count - 8
        #expect(Array(file[offset..<(offset + 4)]) == [0x26, 0x39, 0xf4, 0xcb])
        file[offset] = 0x27
        let path = try folder.write(file, to: "crc.gz").path
        #expect(
            try datasetError { try readGzip(path: path, maximumBytes: limit) }
                == .checksumMismatch(
                    path: path, offset: offset, algorithm: "CRC-32", expected: "0xcbf43927", found: "0xcbf43926"))
    }

    @Test func gzip_wrongLengthIsRejectedWithBothValues() throws {
        var file = gzipCompressed(Array("123456789".utf8))
        file[file.count - 4] = 10
        let path = try folder.write(file, to: "length.gz").path
        #expect(
            try datasetError { try readGzip(path: path, maximumBytes: limit) }
                == .lengthMismatch(
                    path: path, what: "length of the content, stored at byte \(file.count - 4)", expected: 10, found: 9)
        )
    }

    @Test(arguments: [[0], [0x1f, 0x8c], [UInt8](repeating: 0, count: 512), [0x1f, 0x00, 0x00]])
    func gzip_trailingBytesAreRejectedWithOffsetAndCount(rubbish: [UInt8]) throws {
        let file = gzipCompressed(textLike(500))
        let path = try folder.write(file + rubbish, to: "trailing.gz").path
        #expect(
            try datasetError { try readGzip(path: path, maximumBytes: limit) }
                == .trailingBytes(path: path, offset: file.count, count: rubbish.count))
    }

    @Test func gzip_bombStopsAtTheBound() throws {
        let bomb = gzipCompressed([UInt8](repeating: 0, count: 20_000_000))
        #expect(bomb.count < 30_000)
        let path = try folder.write(bomb + bomb, to: "bomb.gz").path
        let reader = try GzipReader(path: path, maximumBytes: 3_000_000)
        let error = try datasetError { while try reader.nextChunk(chunkBytes: 1 << 16) != nil {} }
        #expect(error == .tooLarge(path: path, maximumBytes: 3_000_000))
        #expect(reader.byteCount <= 3_000_000 + 1 << 16)
    }

    @Test func gzip_boundItselfIsAllowedAndOneByteMoreIsNot() throws {
        let path = try folder.write(gzipCompressed(textLike(1000)), to: "bound.gz").path
        #expect(try readGzip(path: path, maximumBytes: 1000).count == 1000)
        #expect(
            try datasetError { try readGzip(path: path, maximumBytes: 999) }
                == .tooLarge(path: path, maximumBytes: 999))
    }

    @Test func gzip_errorIsThrownAgainAtEveryLaterCall() throws {
        let whole = gzipCompressed(textLike(2000))
        let path = try folder.write(Array(whole[..<(whole.count / 2)]), to: "half.gz").path
        let reader = try GzipReader(path: path, maximumBytes: limit)
        let first = try datasetError { while try reader.nextChunk() != nil {} }
        let second = try datasetError { try reader.nextChunk() }
        #expect(first == second)
    }
}
