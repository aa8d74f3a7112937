import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct TarReaderTests {
    let folder: TemporaryFolder
    let limit = 1 << 22

    init() throws { folder = try TemporaryFolder() }

    /// A file as a test expects it.
    private struct File: Equatable {
        let name: String
        let content: [UInt8]
    }

    /// Every file of an archive with its content.
    private func files(of archive: [UInt8]) throws -> [File] {
        let path = try folder.write(gzipCompressed(archive), to: "archive.tar.gz").path
        let reader = try TarReader(path: path, maximumBytes: limit)
        var files: [File] = []
        while let entry = try reader.nextEntry() {
            guard entry.isFile else { continue }
            files.append(File(name: entry.name, content: try content(of: entry, reader)))
        }
        #expect(reader.contentOffset == archive.count, "read to the end, where gzip's checksum is")
        #expect(try reader.nextEntry() == nil)
        return files
    }

    private func content(of entry: TarReader.Entry, _ reader: TarReader) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: entry.byteCount + 1) { buffer, count in
            count = try reader.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    private func error(of archive: [UInt8]) throws -> DatasetError { try datasetError { try files(of: archive) } }

    private func padded(_ content: [UInt8]) -> [UInt8] {
        content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    /// A header whose fields were changed, with the checksum that belongs to them.
    private func header(
        _ name: String = "file", byteCount: Int = 0, type: Character = "0", change: (inout [UInt8]) -> Void
    ) -> [UInt8] {
        var header = tarHeader(name: name, byteCount: byteCount, type: type)
        change(&header)
        header.replaceSubrange(148..<156, with: Array("        ".utf8))
        let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
        header.replaceSubrange(
            148..<156, with: Array((String(repeating: "0", count: 6 - sum.count) + sum + "\0 ").utf8))
        return header
    }

    private let end = [UInt8](repeating: 0, count: 1024)

    @Test(arguments: [0, 1, 511, 512, 513, 100_000])
    func tar_filesAreReadUnchangedInOrder(count: Int) throws {
        let contents = [noise(count), textLike(700), noise(count, seed: 2)]
        let archive = tarArchive([("a", contents[0]), ("folder/b", contents[1]), ("c", contents[2])])
        #expect(archive.count % 512 == 0)
        #expect(
            try files(of: archive) == [
                File(name: "a", content: contents[0]), File(name: "folder/b", content: contents[1]),
                File(name: "c", content: contents[2]),
            ])
    }

    @Test func tar_contentThatIsNotReadIsSkipped() throws {
        let path = try folder.write(
            gzipCompressed(tarArchive([("a", noise(600_000)), ("b", noise(1000)), ("c", textLike(5))])), to: "a.tar.gz"
        ).path
        let reader = try TarReader(path: path, maximumBytes: limit)
        #expect(try reader.nextEntry()?.contentOffset == 512)
        let second = try #require(try reader.nextEntry())
        #expect(second.name == "b")
        #expect(second.isFile)
        #expect(second.byteCount == 1000)
        #expect(second.contentOffset == 601_088)  // a header, 600,000 bytes in whole blocks, a header
        var half = [UInt8](repeating: 0, count: 500)
        #expect(try half.withUnsafeMutableBytes { try reader.read(into: $0) } == 500)
        #expect(half == Array(noise(1000)[..<500]))
        let third = try #require(try reader.nextEntry())
        #expect(try content(of: third, reader) == textLike(5))
        #expect(try reader.nextEntry() == nil)
    }

    @Test func tar_systemsOwnProgramIsUnderstoodInAllItsFormats() throws {
        let name = String(repeating: "a-long-folder/", count: 9) + String(repeating: "n", count: 120)
        var understood = 0
        for format in ["v7", "ustar", "gnu", "posix"] {
            try folder.write("short \(format)", to: "in/b")
            let isLongPossible = format == "gnu" || format == "posix"
            if isLongPossible { try folder.write("long", to: "in/\(name)") }
            let packed = try execute([
                "tar", "--format=\(format)", "-C", folder.path("in"), "-czf", folder.path("x.tar.gz"), ".",
            ])
            guard packed.status == 0 else { continue }  // another tar than GNU's
            let reader = try TarReader(path: folder.path("x.tar.gz"), maximumBytes: limit)
            var found: [String: [UInt8]] = [:]
            var folders = 0
            while let entry = try reader.nextEntry() {
                if entry.isFile { found[entry.name] = try content(of: entry, reader) }
                if !entry.isFile { folders += 1 }
            }
            #expect(found["./b"] == Array("short \(format)".utf8), "\(format)")
            #expect(found["./\(name)"] == (isLongPossible ? Array("long".utf8) : nil), "\(format)")
            #expect(folders == (isLongPossible ? 10 : 1), "\(format)")
            try FileManager.default.removeItem(atPath: folder.path("in"))
            understood += 1
        }
        #expect(understood > 0)
    }

    @Test func tar_ustarPrefixComesBeforeTheName() throws {
        let entry = header("name", byteCount: 3) { $0.replaceSubrange(345..<351, with: Array("prefix".utf8)) }
        #expect(try files(of: entry + padded([1, 2, 3]) + end) == [File(name: "prefix/name", content: [1, 2, 3])])
    }

    @Test func tar_gnuLongNameReplacesTheHeadersName() throws {
        let name = String(repeating: "long/", count: 60) + "name"
        let long = tarHeader(name: "././@LongLink", byteCount: name.utf8.count + 1, type: "L")
        let archive = long + padded(Array(name.utf8) + [0]) + tarArchive([("short", [7]), ("other", [8])])
        #expect(try files(of: archive) == [File(name: name, content: [7]), File(name: "other", content: [8])])
    }

    @Test func tar_paxRecordsReplaceNameAndSize() throws {
        let records = Array("26 mtime=1700000000.12345\n16 path=a/ñame\n10 size=2\n".utf8)
        let pax = tarHeader(name: "pax", byteCount: records.count, type: "x") + padded(records)
        let comment = Array("13 comment=x\n".utf8)
        let global = tarHeader(name: "global", byteCount: comment.count, type: "g") + padded(comment)
        let archive = global + pax + tarHeader(name: "short", byteCount: 0) + padded([4, 5]) + tarArchive([("b", [6])])
        #expect(try files(of: archive) == [File(name: "a/ñame", content: [4, 5]), File(name: "b", content: [6])])
    }

    @Test(arguments: ["path=x\n", "99 path=x\n", "0 path=x\n", "9 path=x", "8 pathx\n", "-9 path=x\n"])
    func tar_malformedPaxRecordIsRejectedWithItsOffset(records: String) throws {
        let archive =
            tarHeader(name: "pax", byteCount: records.utf8.count, type: "x") + padded(Array(records.utf8))
            + tarArchive([("b", [6])])
        guard case .malformedContent(_, 512, "a pax record \"length key=value\\n\"", _) = try error(of: archive) else {
            Issue.record("\(try error(of: archive))")
            return
        }
    }

    @Test func tar_sizeInBase256IsRead() throws {
        let entry = header { $0.replaceSubrange(124..<136, with: [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1]) }
        let content = noise(513)
        #expect(try files(of: entry + padded(content) + end) == [File(name: "file", content: content)])
    }

    @Test func tar_foldersAndLinksHaveNoContent() throws {
        var archive = tarHeader(name: "folder/", byteCount: 0, type: "5")
        archive += tarHeader(name: "old-folder/", byteCount: 0, type: "0")
        archive += tarHeader(name: "hard-link", byteCount: 1000, type: "1")  // the size is its target's
        archive += tarHeader(name: "link", byteCount: 0, type: "2")
        archive += tarArchive([("file", [9])])
        let path = try folder.write(gzipCompressed(archive), to: "links.tar.gz").path
        let reader = try TarReader(path: path, maximumBytes: limit)
        var areFiles: [Bool] = []
        while let entry = try reader.nextEntry() { areFiles.append(entry.isFile) }
        #expect(areFiles == [false, false, false, false, true])
    }

    @Test(arguments: ["S", "M", "D", "V", "Z"])
    func tar_otherTypesAreUnsupported(type: Character) throws {
        let archive = tarHeader(name: "x", byteCount: 0, type: type) + end
        #expect(
            try error(of: archive)
                == .unsupported(path: folder.path("archive.tar.gz"), feature: "tar entries of type '\(type)'"))
    }

    @Test func tar_everyChangedByteOfAHeaderIsNoticed() throws {
        let whole = tarArchive([("a", textLike(600)), ("b", textLike(10))])
        let second = 512 + 1024
        for index in second..<(second + 512) where index != second + 155 {  // after the end of the stored sum
            var damaged = whole
            damaged[index] ^= 0x08
            // Digits may become none; whatever is left, the sum is another.
            switch try error(of: damaged) {
            case .malformedContent(folder.path("archive.tar.gz"), let offset, _, _):
                #expect((second..<(second + 512)).contains(offset), "byte \(index)")
            case let other: Issue.record("byte \(index): \(other)")
            }
        }
    }

    @Test func tar_wrongChecksumIsRejectedWithBothValues() throws {
        var archive = tarArchive([("a", [])])
        let sum = archive[..<148].reduce(0) { $0 + Int($1) } + archive[156..<512].reduce(0) { $0 + Int($1) } + 8 * 32
        archive[0] = UInt8(ascii: "c")
        #expect(
            try error(of: archive)
                == .malformedContent(
                    path: folder.path("archive.tar.gz"), contentOffset: 0,
                    expected: "a tar header with the checksum \(sum) that it states", found: "\(sum + 2)"))
    }

    @Test func tar_checksumOfSignedBytesIsAccepted() throws {
        var entry = tarHeader(name: "caf\u{e9}", byteCount: 0)  // two bytes above 127
        entry.replaceSubrange(148..<156, with: Array("        ".utf8))
        let sum = String(entry.reduce(0) { $0 + Int(Int8(bitPattern: $1)) }, radix: 8)
        entry.replaceSubrange(148..<156, with: Array((String(repeating: "0", count: 6 - sum.count) + sum + "\0 ").utf8))
        #expect(try files(of: entry + end) == [File(name: "caf\u{e9}", content: [])])
    }

    @Test func tar_sizeThatIsNoNumberIsRejectedWithItsPlace() throws {
        let entry = header { $0.replaceSubrange(124..<136, with: Array("0000000009 \0".utf8)) }
        #expect(
            try error(of: entry + end)
                == .malformedContent(
                    path: folder.path("archive.tar.gz"), contentOffset: 124, expected: "the size of an archived file",
                    found: "\"0000000009 \\x00\""))
        let negative = header { $0.replaceSubrange(124..<136, with: [UInt8](repeating: 0xff, count: 12)) }
        guard case .malformedContent(_, 124, _, _) = try error(of: negative + end) else {
            Issue.record("a size below 0 was read")
            return
        }
    }

    /// gzip is whole, so only the tar's own structure can tell.
    @Test func tar_shortenedArchiveIsRejectedWithTheOffset() throws {
        let whole = tarArchive([("a", textLike(600)), ("b", textLike(10))])
        for length in [1, 511, 512, 700, 1111, 1112, 1535, 1536, 1537, 2047, 2048, 2060] {
            guard
                case .truncatedContent(folder.path("archive.tar.gz"), length, _) = try error(
                    of: Array(whole[..<length]))
            else {
                Issue.record("cut at \(length) of \(whole.count)")
                continue
            }
        }
    }

    @Test func tar_damagedCompressionIsGzipsError() throws {
        let file = gzipCompressed(tarArchive([("a", noise(10_000))]))
        let path = try folder.write(Array(file[..<5000]), to: "cut.tar.gz").path
        let reader = try TarReader(path: path, maximumBytes: limit)
        let first = try datasetError { while try reader.nextEntry() != nil {} }
        guard case .truncated(path, 5000, _) = first else {
            Issue.record("\(first)")
            return
        }
        #expect(try datasetError { try reader.nextEntry() } == first)
    }

    @Test func tar_anythingButZerosAfterTheEndIsRejected() throws {
        let archive = tarArchive([("a", [])])
        #expect(try files(of: archive + [UInt8](repeating: 0, count: 9000)).count == 1)  // tar fills up to 10,240 bytes
        #expect(
            try error(of: archive + [0, 0, 3])
                == .malformedContent(
                    path: folder.path("archive.tar.gz"), contentOffset: archive.count + 2,
                    expected: "zeros after the end of the tar archive", found: "03"))
    }

    @Test func tar_hugeStatedNameIsRejectedBeforeItIsRead() throws {
        let archive = tarHeader(name: "x", byteCount: 1 << 30, type: "L") + end
        guard case .malformedContent(_, 124, _, "one of 1073741824") = try error(of: archive) else {
            Issue.record("not .malformedContent")
            return
        }
    }
}
