/// The byte values of a corpus in ascending order, and their indices 0..<V: the symbols that a model sees.
public struct Vocabulary: Equatable, Sendable {
    /// The byte value of each symbol, ascending, [V].
    public let bytes: [UInt8]
    /// The symbol of each byte value, [256]; -1 for a byte that is not in the vocabulary.
    private let symbolOfByte: [Int16]

    /// The number of symbols V, at most 256.
    public var count: Int { bytes.count }

    /// The vocabulary of the byte values that occur in `text`.
    public init(of text: [UInt8]) { self.init(of: text[...]) }

    /// The vocabulary of the byte values that occur in `text`.
    public init(of text: ArraySlice<UInt8>) {
        var occurs = [Bool](repeating: false, count: 256)
        occurs.withUnsafeMutableBufferPointer { occurs in
            text.withUnsafeBufferPointer { text in
                for byte in text { occurs[Int(byte)] = true }
            }
        }
        bytes = (0..<256).filter { occurs[$0] }.map { UInt8($0) }
        var symbols = [Int16](repeating: -1, count: 256)
        for (symbol, byte) in bytes.enumerated() { symbols[Int(byte)] = Int16(symbol) }
        symbolOfByte = symbols
    }

    /// The symbol of a byte value, nil where the vocabulary does not have it.
    public func symbol(of byte: UInt8) -> UInt8? {
        let symbol = symbolOfByte[Int(byte)]
        return symbol < 0 ? nil : UInt8(symbol)
    }

    /// The symbols of `text`.
    ///
    /// - Parameters:
    ///   - text: Bytes, [T].
    ///   - place: What the text is, for the error: "the test split of text8".
    /// - Returns: Symbols below ``count``, [T].
    /// - Throws: `DatasetError.unknownSymbol` for the first byte that is not in the vocabulary.
    public func encode(_ text: ArraySlice<UInt8>, place: String) throws -> [UInt8] {
        // Unknown bytes are mapped to 0 and noted, so that the loop has no branch; the rare failure searches again.
        var table = [UInt8](repeating: 0, count: 256)
        var isUnknown = [UInt8](repeating: 1, count: 256)
        for (symbol, byte) in bytes.enumerated() {
            table[Int(byte)] = UInt8(symbol)
            isUnknown[Int(byte)] = 0
        }
        var foundUnknown: UInt8 = 0
        let symbols = [UInt8](unsafeUninitializedCapacity: text.count) { output, count in
            table.withUnsafeBufferPointer { table in
                isUnknown.withUnsafeBufferPointer { isUnknown in
                    text.withUnsafeBufferPointer { text in
                        for position in 0..<text.count {
                            let byte = Int(text[position])
                            output[position] = table[byte]
                            foundUnknown |= isUnknown[byte]
                        }
                    }
                }
            }
            count = text.count
        }
        if foundUnknown != 0, let index = text.firstIndex(where: { symbol(of: $0) == nil }) {
            throw DatasetError.unknownSymbol(
                symbol: quoted([text[index]]), position: index - text.startIndex, place: place,
                vocabulary: description)
        }
        return symbols
    }

    /// The symbols of `text`.
    ///
    /// - Throws: As ``encode(_:place:)-(ArraySlice<UInt8>,_)``.
    public func encode(_ text: [UInt8], place: String) throws -> [UInt8] { try encode(text[...], place: place) }

    /// The symbols of a text that a user typed, in UTF-8.
    ///
    /// - Returns: One symbol a byte.
    /// - Throws: `DatasetError.unknownSymbol`; it names the whole character, not only its first unknown byte.
    public func encode(prompt: String) throws -> [UInt8] {
        var symbols = [UInt8]()
        for character in prompt {
            let start = symbols.count  // all bytes before it are encoded
            let utf8 = Array(String(character).utf8)
            for byte in utf8 {
                guard let symbol = symbol(of: byte) else {
                    throw DatasetError.unknownSymbol(
                        symbol: quoted(utf8), position: start, place: "the prompt",
                        vocabulary: description)
                }
                symbols.append(symbol)
            }
        }
        return symbols
    }

    /// The bytes of `symbols`.
    ///
    /// - Precondition: Every symbol is below ``count``.
    public func decode(_ symbols: some Sequence<UInt8>) -> [UInt8] {
        symbols.map { symbol in
            precondition(Int(symbol) < count, "symbol \(symbol) of a vocabulary of \(count)")
            return bytes[Int(symbol)]
        }
    }

    /// The bytes of `symbols` as text; bytes that are not UTF-8 become U+FFFD.
    ///
    /// - Precondition: Every symbol is below ``count``.
    public func text(_ symbols: some Sequence<UInt8>) -> String { String(decoding: decode(symbols), as: UTF8.self) }
}

extension Vocabulary: CustomStringConvertible {
    /// The symbols, escaped, in order: `"\n !'abc"`.
    public var description: String { quoted(bytes) }
}

/// One character or a list of bytes in quotes: as text where it is printable UTF-8, escaped otherwise.
private func quoted(_ bytes: [UInt8]) -> String {
    let text = String(decoding: bytes, as: UTF8.self)
    // A typed "é" is shown as such beside its bytes: "\xc3\xa9" alone would tell a reader nothing.
    if text.count == 1, Array(text.utf8) == bytes,
        text.unicodeScalars.allSatisfy({ !$0.isASCII && $0.properties.generalCategory != .control })
    {
        return "\"\(text)\" (\(escaped(bytes)))"
    }
    return "\"\(escaped(bytes))\""
}
