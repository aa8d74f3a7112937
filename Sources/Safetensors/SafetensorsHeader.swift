import Foundation

/// The header of a safetensors file: a JSON object from names to element type, shape and place of the data.
///
/// Read by hand instead of through `JSONSerialization`, which loses the order of keys, accepts a key twice, and passes
/// integers through floating point. The grammar is flat, so no input can drive the reader into deep recursion.
package struct SafetensorsHeader {
    /// One entry as the header states it; bytes are counted from the start of the data part.
    package struct Entry {
        package var name: String
        package var dtype: String
        package var shape: [Int]
        package var begin: Int
        package var end: Int
    }

    package var metadata: [SafetensorsFile.MetadataItem] = []
    package var entries: [Entry] = []

    static let metadataName = "__metadata__"

    // MARK: Reading

    /// Reads the text of a header, without the length before it.
    package init(text: [UInt8], path: String) throws(SafetensorsError) {
        var reader = HeaderReader(text: text, path: path)
        var header = SafetensorsHeader()
        try reader.object { (reader: inout HeaderReader, name: String) throws(SafetensorsError) in
            if name != Self.metadataName {
                header.entries.append(try Self.entry(name, &reader))
                return
            }
            try reader.object { (reader: inout HeaderReader, key: String) throws(SafetensorsError) in
                header.metadata.append(SafetensorsFile.MetadataItem(key: key, value: try reader.string()))
            }
        }
        try reader.end()
        self = header
    }

    private static func entry(_ name: String, _ reader: inout HeaderReader) throws(SafetensorsError) -> Entry {
        var dtype: String?
        var shape: [Int]?
        var offsets: [Int]?
        try reader.object { (reader: inout HeaderReader, key: String) throws(SafetensorsError) in
            switch key {
            case "dtype": dtype = try reader.string()
            case "shape": shape = try reader.integers()
            case "data_offsets": offsets = try reader.integers()
            default: throw reader.error(expected: "dtype, shape or data_offsets for \(name)", found: key)
            }
        }
        guard let dtype, let shape, let offsets else {
            throw reader.error(expected: "dtype, shape and data_offsets for \(name)", found: "not all of them")
        }
        guard offsets.count == 2, offsets[0] <= offsets[1] else {
            throw reader.error(expected: "a begin and an end not before it for \(name)", found: "\(offsets)")
        }
        return Entry(name: name, dtype: dtype, shape: shape, begin: offsets[0], end: offsets[1])
    }

    // MARK: Writing

    init() {}

    /// The header with its length before it, filled with blanks to a multiple of 8 bytes as the Python package does,
    /// so that the data part is aligned for every element type.
    func encoded() -> [UInt8] {
        var members: [String] = []
        if !metadata.isEmpty {
            let items = metadata.map { "\(Self.quoted($0.key)):\(Self.quoted($0.value))" }
            members.append("\(Self.quoted(Self.metadataName)):{\(items.joined(separator: ","))}")
        }
        for entry in entries {
            let shape = entry.shape.map(String.init).joined(separator: ",")
            members.append(
                "\(Self.quoted(entry.name)):{\"dtype\":\"\(entry.dtype)\",\"shape\":[\(shape)],"
                    + "\"data_offsets\":[\(entry.begin),\(entry.end)]}")
        }
        var text = Array("{\(members.joined(separator: ","))}".utf8)
        while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
        return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + text
    }

    private static func quoted(_ string: String) -> String {
        var result = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{0}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// Walks over the bytes of a header. Every function skips the blanks before what it reads.
private struct HeaderReader {
    let text: [UInt8]
    let path: String
    var position = 0

    func error(expected: String, found: String) -> SafetensorsError {
        .badHeader(path: path, offset: position, expected: expected, found: found)
    }

    /// The text at the current position, for an error message.
    private var next: String {
        position < text.count ? String(decoding: [text[position]], as: UTF8.self).debugDescription : "its end"
    }

    private mutating func skipBlanks() {
        while position < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[position]) { position += 1 }
    }

    /// Steps over `character` if it comes next.
    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func require(_ character: Unicode.Scalar) throws(SafetensorsError) {
        guard skip(character) else { throw error(expected: "\"\(character)\"", found: next) }
    }

    /// Reads an object; `member` reads the value of each key. A key that comes twice is an error, also where the two
    /// are spelled differently and equal as texts (é as one character, or as e and an accent).
    mutating func object(
        _ member: (inout HeaderReader, _ key: String) throws(SafetensorsError) -> Void
    ) throws(SafetensorsError) {
        try require("{")
        if skip("}") { return }
        var keys: Set<String> = []
        repeat {
            let key = try string()
            guard keys.insert(key).inserted else { throw error(expected: "each key once", found: "\(key) again") }
            try require(":")
            try member(&self, key)
        } while skip(",")
        try require("}")
    }

    /// Reads an array of integers, none negative.
    mutating func integers() throws(SafetensorsError) -> [Int] {
        try require("[")
        if skip("]") { return [] }
        var values: [Int] = []
        repeat { values.append(try integer()) } while skip(",")
        try require("]")
        return values
    }

    private mutating func integer() throws(SafetensorsError) -> Int {
        skipBlanks()
        let start = position
        while position < text.count, (0x30...0x39).contains(text[position]) { position += 1 }
        let digits = text[start..<position]
        guard let value = Int(String(decoding: digits, as: UTF8.self)), digits.first != 0x30 || digits.count == 1 else {
            throw error(
                expected: "an integer of 64 bits that is not negative",
                found: digits.isEmpty ? next : String(decoding: digits, as: UTF8.self))
        }
        return value
    }

    /// Reads a string and resolves its escapes.
    mutating func string() throws(SafetensorsError) -> String {
        try require("\"")
        var bytes: [UInt8] = []
        while true {
            guard position < text.count else { throw error(expected: "the end of a string", found: next) }
            let byte = text[position]
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: bytes, as: UTF8.self) else {
                    throw error(expected: "a string in UTF-8", found: String(decoding: bytes, as: UTF8.self))
                }
                position += 1
                return string
            case UInt8(ascii: "\\"):
                position += 1
                bytes += try escape().utf8
            case 0..<0x20:
                throw error(expected: "no control character in a string", found: next)
            default:
                bytes.append(byte)
                position += 1
            }
        }
    }

    /// Reads what follows a backslash.
    private mutating func escape() throws(SafetensorsError) -> String {
        let simple: [Unicode.Scalar: String] = [
            "\"": "\"", "\\": "\\", "/": "/", "b": "\u{8}", "f": "\u{C}", "n": "\n", "r": "\r", "t": "\t",
        ]
        guard position < text.count else { throw error(expected: "an escape", found: next) }
        if let character = simple[Unicode.Scalar(text[position])] {
            position += 1
            return character
        }
        var units = [try codeUnit()]
        if UTF16.isLeadSurrogate(units[0]) {
            guard position < text.count, text[position] == UInt8(ascii: "\\") else {
                throw error(expected: "the second half of a surrogate pair", found: next)
            }
            position += 1
            units.append(try codeUnit())
        }
        guard let character = String(validating: units, as: UTF16.self) else {
            let found = units.map { String($0, radix: 16) }.joined(separator: " ")
            throw error(expected: "a Unicode character", found: found)
        }
        return character
    }

    /// Reads `uXXXX`.
    private mutating func codeUnit() throws(SafetensorsError) -> UInt16 {
        guard position + 5 <= text.count, text[position] == UInt8(ascii: "u") else {
            throw error(expected: "an escape", found: next)
        }
        let digits = text[(position + 1)..<(position + 5)]
        let isHexadecimal = digits.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
        guard isHexadecimal, let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw error(expected: "four hexadecimal digits", found: String(decoding: digits, as: UTF8.self))
        }
        position += 5
        return unit
    }

    /// Checks that only white space is left.
    mutating func end() throws(SafetensorsError) {
        skipBlanks()
        guard position == text.count else { throw error(expected: "only blanks after the object", found: next) }
    }
}
