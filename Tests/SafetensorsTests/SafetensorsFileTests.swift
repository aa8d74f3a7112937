import Foundation
import TestSupport
import Testing

import Safetensors

/// Bytes of a file: its length field, its header as given, its data.
private func file(header: String, data: [UInt8] = []) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8) + data
}

private func error(header: String, data: [UInt8] = []) -> SafetensorsError? {
    error(bytes: file(header: header, data: data))
}

private func error(bytes: [UInt8]) -> SafetensorsError? {
    do {
        _ = try SafetensorsFile(bytes: bytes, path: "p")
        return nil
    } catch {
        return error
    }
}

private let example = SafetensorsFile(
    metadata: ["zebra": "first", "aardvark": "second\n\u{1}\"ĥ\" \\ 🦓"],
    entries: [
        .init(name: "bytes", shape: [3], values: .uint8([0, 127, 255])),
        .init(name: "W", shape: [2, 3], values: .float32([0.5, -1.25, 3, 0x1p-149, .infinity, -0.0])),
        .init(name: "scalar", shape: [], values: .float64([.pi])),
        .init(name: "symbols", shape: [2, 1], values: .int64([.min, .max])),
        .init(name: "empty", shape: [0, 3], values: .float32([])),
        .init(name: "naïve \"name\"", shape: [1], values: .float64([-1e300])),
    ])

struct SafetensorsFileTests {
    @Test func aFileReadBackHoldsTheSameInTheSameOrder() throws {
        let read = try SafetensorsFile(bytes: example.encoded(), path: "p")
        #expect(read == example)
        #expect(read.entries.map(\.name) == ["bytes", "W", "scalar", "symbols", "empty", "naïve \"name\""])
        #expect(read.metadata.items.map(\.key) == ["zebra", "aardvark"])
    }

    @Test func everyBitOfAFloatSurvives() throws {
        let patterns: [UInt32] = [0x7FC0_0001, 0xFFC0_0000, 0x7F80_0000, 0x8000_0000, 0x0000_0001, 0x3F80_0001]
        var file = SafetensorsFile()
        file.append("x", shape: [6], .float32(patterns.map(Float.init(bitPattern:))))
        let read = try SafetensorsFile(bytes: file.encoded(), path: "p").floats("x")
        #expect(read.map(\.bitPattern) == patterns)
    }

    @Test func theEmptyFileReadsBack() throws {
        let read = try SafetensorsFile(bytes: SafetensorsFile().encoded(), path: "p")
        #expect(read.entries.isEmpty && read.metadata.items.isEmpty)
    }

    @Test func theHeaderIsFilledToEightBytesAndEachEntryIsAligned() throws {
        for length in 1...9 {
            var file = SafetensorsFile()
            file.append("b", shape: [length], .uint8(Array(repeating: 7, count: length)))
            file.append(String(repeating: "x", count: length), shape: [1], .float32([1]))
            file.append("d", shape: [1], .float64([2]))
            let bytes = file.encoded()
            let headerLength = Int(bytes[0]) + Int(bytes[1]) << 8
            #expect(headerLength % 8 == 0)
            let header = try SafetensorsHeader(text: Array(bytes[8..<(8 + headerLength)]), path: "p")
            for (stated, entry) in zip(header.entries, file.entries) {
                #expect(stated.begin % entry.dtype.byteCount == 0, "\(stated.name)")
            }
        }
    }

    @Test func aFileWrittenToDiskReadsBackAndRemembersItsPath() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/x.safetensors"
            try example.write(to: path)
            let read = try SafetensorsFile(path: path)
            #expect(read == example)
            #expect(read.path == path)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(example.encoded()))
        }
    }

    @Test func anEntryIsFoundByNameShapeAndType() throws {
        let found = ["bytes", "W", "scalar", "symbols", "empty", "naïve \"name\""]
        #expect(try example.floats("W", shape: [2, 3]).count == 6)
        #expect(try example.bytes("bytes") == [0, 127, 255])
        #expect(try example.integers("symbols") == [.min, .max])
        #expect(try example.doubles("scalar", shape: []) == [.pi])
        #expect(throws: SafetensorsError.missingName(path: "contents in memory", expected: "V", found: found)) {
            try example.floats("V")
        }
        #expect(
            throws: SafetensorsError.wrongShape(
                path: "contents in memory", name: "W", expected: [3, 2], found: [2, 3])
        ) {
            try example.floats("W", shape: [3, 2])
        }
        #expect(
            throws: SafetensorsError.wrongDType(
                path: "contents in memory", name: "W", expected: .float64, found: .float32)
        ) {
            try example.doubles("W")
        }
    }

    @Test func metadataKeepsItsOrderWhenATextChangesOrGoes() {
        var metadata: SafetensorsFile.Metadata = ["a": "1", "b": "2", "c": "3"]
        metadata["b"] = "4"
        metadata["d"] = "5"
        metadata["a"] = nil
        #expect(metadata.items.map { $0.key + $0.value } == ["b4", "c3", "d5"])
        #expect(metadata["a"] == nil && metadata["c"] == "3")
    }

    @Test func aMissingFileAndAFolderAreUnreadable() throws {
        try withTemporaryFolder { folder in
            #expect(throws: SafetensorsError.unreadable(path: folder + "/no", code: ENOENT)) {
                try SafetensorsFile(path: folder + "/no")
            }
            #expect(throws: SafetensorsError.unreadable(path: folder, code: EISDIR)) {
                try SafetensorsFile(path: folder)
            }
        }
    }
}

struct DamagedSafetensorsTests {
    @Test func aFileCutAnywhereIsRefused() {
        let whole = example.encoded()
        for length in 0..<whole.count {
            #expect(error(bytes: Array(whole[..<length])) != nil, "cut to \(length) of \(whole.count) bytes")
        }
        #expect(error(bytes: whole + [0]) != nil, "one byte too many")
    }

    @Test func aCutOnDiskIsRefusedAsInMemory() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/cut.safetensors"
            let whole = example.encoded()
            for length in [0, 7, 8, 100, whole.count - 1] {
                let bytes = Array(whole[..<length])
                try writeFileAtomically(path: path, bytes: bytes)
                #expect(throws: SafetensorsError.self) { try SafetensorsFile(path: path) }
            }
        }
    }

    @Test func aTruncatedHeaderNamesTheBytesExpectedAndFound() {
        #expect(error(bytes: [1, 2, 3]) == .truncatedHeader(path: "p", expected: 8, found: 3))
        #expect(error(bytes: [16, 0, 0, 0, 0, 0, 0, 0, 0x7B]) == .truncatedHeader(path: "p", expected: 24, found: 9))
    }

    @Test func aHeaderOverTheLimitIsRefusedBeforeItIsRead() {
        let length = withUnsafeBytes(of: UInt64(100_000_001).littleEndian, Array.init)
        #expect(error(bytes: length) == .headerTooLarge(path: "p", expected: 100_000_000, found: 100_000_001))
        let largest = Array(repeating: UInt8.max, count: 8)
        #expect(error(bytes: largest) == .headerTooLarge(path: "p", expected: 100_000_000, found: .max))
    }

    @Test func aPointerOfGitLFSIsNamedAsAFileOfAnotherFormat() {
        #expect(
            error(bytes: Array("version https://git-lfs.github.com/spec/v1\n".utf8))?.description
                == "p: no safetensors file: its first 8 bytes state a header of 2336927755350992246 bytes,"
                + " expected at most 100000000 (a Git LFS pointer, or another format?)")
    }

    @Test(arguments: [
        "", "[]", "null", "{", "{\"x\"", "{\"x\":}", "{} x", "{,}", "{\"x\":1}", "{\"x\":{}}",
        #"{"x":{"dtype":"U8","shape":[1]}}"#,
        #"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0]}}"#,
        #"{"x":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}"#,
        #"{"x":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#,
        #"{"x":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}"#,
        #"{"x":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}"#,
        #"{"x":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}}"#,
        #"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}}"#,
        #"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],}}"#,
        #"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}"#,
        #"{"__metadata__":{"a":1}}"#, #"{"__metadata__":{"a":"1","a":"2"}}"#, #"{"__metadata__":{},"__metadata__":{}}"#,
        #"{"__metadata__":{"a":"\q"}}"#, #"{"__metadata__":{"a":"\u12"}}"#, #"{"__metadata__":{"a":"\ud800"}}"#,
        #"{"__metadata__":{"a":"\ud800\u0041"}}"#, #"{"__metadata__":{"a":"\udc00"}}"#,
        "{\"__metadata__\":{\"a\":\"\n\"}}",
    ])
    func aHeaderThatIsNotTheFormatsJSONIsRefused(header: String) {
        guard case .badHeader(path: "p", _, _, _) = error(header: header, data: [0]) else {
            Issue.record("\(header): \(String(describing: error(header: header, data: [0])))")
            return
        }
    }

    @Test func aHeaderThatIsNotUTF8IsRefused() {
        var bytes = file(header: #"{"__metadata__":{"a":"?"}}"#)
        bytes[bytes.firstIndex(of: UInt8(ascii: "?"))!] = 0xFF
        guard case .badHeader = error(bytes: bytes) else {
            Issue.record("\(String(describing: error(bytes: bytes)))")
            return
        }
    }

    @Test func deepNestingIsRefusedWithoutRecursion() {
        guard case .badHeader = error(header: String(repeating: "[", count: 1_000_000)) else {
            Issue.record("nesting was not refused")
            return
        }
    }

    @Test func escapesAreResolved() throws {
        let bytes = file(header: #" {"__metadata__" : {"a\/\"":"\u0125\ud83e\udd93\t\\\b\f\r\n"} }  "#)
        let metadata = try SafetensorsFile(bytes: bytes, path: "p").metadata
        #expect(metadata["a/\""] == "ĥ🦓\t\\\u{8}\u{C}\r\n")
    }

    @Test func anUnknownElementTypeIsNamed() {
        #expect(
            error(header: #"{"x":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}"#, data: [0, 0])
                == .unknownDType(
                    path: "p", name: "x", expected: ["F16", "BF16", "F32", "F64", "I64", "U8"], found: "F8_E4M3"))
    }

    @Test func numbersOfAnotherPrecisionAreConvertedAndNamed() throws {
        let file = SafetensorsFile(entries: [
            .init(name: "half", shape: [1], values: .float16([0.5])),
            .init(name: "brain", shape: [2], values: .bfloat16([0x3fc0, 0xc000])),
            .init(name: "double", shape: [1], values: .float64([0.1])),
        ])
        let read = try SafetensorsFile(bytes: file.encoded(), path: "p")
        #expect(read == file && read.convertedType == "BF16 and F16 and F64")
        #expect(
            try read.floats("half") == [0.5] && read.floats("brain") == [1.5, -2] && read.floats("double") == [0.1])
        #expect(SafetensorsFile(entries: [.init(name: "W", shape: [1], values: .float32([1]))]).convertedType == nil)
    }

    @Test(arguments: [
        (SafetensorsFile.Values.float64([1, -1e300]), -1e300),
        (SafetensorsFile.Values.float16([1, .infinity]), Double.infinity),
        (SafetensorsFile.Values.bfloat16([0x3fc0, 0xff80]), -Double.infinity),
    ])
    func aNumberThatIsNotFiniteAfterItsConversionIsNamed(values: SafetensorsFile.Values, found: Double) throws {
        let file = SafetensorsFile(entries: [.init(name: "W", shape: [2], values: values)])
        let read = try SafetensorsFile(bytes: file.encoded(), path: "p")
        let error = #expect(throws: SafetensorsError.self) { try read.floats("W") }
        #expect(error == .outOfRange(path: "p", name: "W", expected: .float32, found: found))
        #expect(error?.description == "p: W: expected finite numbers within the range of F32, found \(found)")
    }

    @Test func offsetsThatDoNotFitTheShapeAreRefused() {
        #expect(
            error(header: #"{"x":{"dtype":"F32","shape":[2,1],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0])
                == .sizeMismatch(path: "p", name: "x", expected: 8, found: 4))
    }

    @Test func aShapeWhoseSizeOverflowsIsRefused() {
        let half = Int.max / 2
        #expect(
            error(header: #"{"x":{"dtype":"U8","shape":[\#(half),5,0],"data_offsets":[0,0]}}"#) == nil,
            "a zero anywhere makes the entry empty")
        #expect(
            error(header: #"{"x":{"dtype":"U8","shape":[\#(half),5],"data_offsets":[0,1]}}"#, data: [0])
                == .sizeMismatch(path: "p", name: "x", expected: .max, found: 1))
    }

    @Test func overlappingEntriesAndGapsAreRefused() {
        func header(_ second: String) -> String {
            let start = #"{"dtype":"U8","shape":[2],"data_offsets":"#
            return #"{"x":\#(start)[0,2]},"y":\#(start)\#(second)}}"#
        }
        #expect(error(header: header("[2,4]"), data: [0, 0, 0, 0]) == nil)
        #expect(
            error(header: header("[1,3]"), data: [0, 0, 0]) == .badOffset(path: "p", name: "y", expected: 2, found: 1))
        #expect(
            error(header: header("[3,5]"), data: [0, 0, 0, 0, 0])
                == .badOffset(path: "p", name: "y", expected: 2, found: 3))
    }

    @Test func entriesThatDoNotEndWhereTheFileEndsAreRefused() {
        let header = #"{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#
        #expect(error(header: header, data: [0, 0, 0]) == .badDataSize(path: "p", expected: 4, found: 3))
        #expect(error(header: header, data: [0, 0, 0, 0, 0]) == .badDataSize(path: "p", expected: 4, found: 5))
    }

    @Test func anEnormousEntryInASmallFileIsRefusedBeforeMemoryIsTaken() {
        let size = 1 << 60
        #expect(
            error(header: #"{"x":{"dtype":"U8","shape":[\#(size)],"data_offsets":[0,\#(size)]}}"#)
                == .badDataSize(path: "p", expected: size, found: 0))
    }
}
