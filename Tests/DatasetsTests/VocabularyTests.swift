import Datasets
import Foundation
import Testing

@Suite struct VocabularyTests {
    let vocabulary = Vocabulary(of: Array("the cat\n".utf8))

    @Test func vocabulary_isTheOccurringBytesInAscendingOrder() {
        #expect(vocabulary.bytes == Array("\n aceht".utf8))
        #expect(vocabulary.count == 7)
        #expect(vocabulary.symbol(of: UInt8(ascii: "\n")) == 0)
        #expect(vocabulary.symbol(of: UInt8(ascii: "t")) == 6)
        #expect(vocabulary.symbol(of: UInt8(ascii: "b")) == nil)
    }

    @Test func vocabulary_ofAllBytesEncodesEachAsItself() throws {
        let all = (0...255).map { UInt8($0) }
        let vocabulary = Vocabulary(of: all.reversed())
        #expect(vocabulary.count == 256)
        #expect(try vocabulary.encode(all, place: "all") == all)
    }

    @Test func decode_undoesEncode() throws {
        let text = Array("a hat\nat the tea\n".utf8)
        let symbols = try vocabulary.encode(text, place: "text")
        #expect(symbols.allSatisfy { $0 < 7 })
        #expect(vocabulary.decode(symbols) == text)
        #expect(vocabulary.text(symbols) == "a hat\nat the tea\n")
    }

    @Test func encode_ofASliceCountsPositionsFromTheSlicesStart() throws {
        let text = Array("the cat sat".utf8)
        #expect(try vocabulary.encode(text[4..<7], place: "slice") == vocabulary.encode(prompt: "cat"))
        let error = try datasetError { try vocabulary.encode(text[4...], place: "the test split of x") }
        #expect(
            error
                == .unknownSymbol(
                    symbol: "\"s\"", position: 4, place: "the test split of x", vocabulary: "\"\\n aceht\""))
    }

    @Test(arguments: [
        (UInt8(0x00), "\"\\x00\""), (0x09, "\"\\t\""), (0x0d, "\"\\r\""), (0x1b, "\"\\x1b\""), (0x5c, "\"\\\\\""),
        (0xe9, "\"\\xe9\""), (0x7f, "\"\\x7f\""),
    ])
    func encode_namesAnUnprintableSymbolEscaped(byte: UInt8, name: String) throws {
        guard
            case .unknownSymbol(name, 1, _, _) = try datasetError({ try vocabulary.encode([0x61, byte], place: "x") })
        else {
            Issue.record("not .unknownSymbol \(name)")
            return
        }
    }

    @Test func encodePrompt_namesTheWholeCharacterAndItsPosition() throws {
        let error = try datasetError { try vocabulary.encode(prompt: "a café") }
        #expect(
            error
                == .unknownSymbol(symbol: "\"f\"", position: 4, place: "the prompt", vocabulary: vocabulary.description)
        )
        let accented = try datasetError { try vocabulary.encode(prompt: "thé") }
        #expect(
            accented
                == .unknownSymbol(
                    symbol: "\"é\" (\\xc3\\xa9)", position: 2, place: "the prompt", vocabulary: vocabulary.description))
        #expect(
            "\(accented)" == "the prompt: position 2: \"é\" (\\xc3\\xa9) does not occur in the training split; "
                + "its symbols are \"\\n aceht\"")
    }

    @Test func encodePrompt_givesOneSymbolAByte() throws {
        let bytes = Vocabulary(of: Array("é".utf8))
        #expect(try bytes.encode(prompt: "éé") == [1, 0, 1, 0])
        #expect(try bytes.encode(prompt: "") == [])
    }
}
