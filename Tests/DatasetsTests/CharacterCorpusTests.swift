import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct CharacterCorpusTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func writePTB(train: String, valid: String, test: String) throws {
        try folder.write(gzipCompressed(Array(train.utf8)), to: "ptb/ptb.train.txt.gz")
        try folder.write(gzipCompressed(Array(valid.utf8)), to: "ptb/ptb.valid.txt.gz")
        try folder.write(gzipCompressed(Array(test.utf8)), to: "ptb/ptb.test.txt.gz")
    }

    // MARK: Penn Treebank

    @Test(arguments: [
        (" a <unk> b \n c N \n", "a <unk> b\nc N\n"),
        ("a\n", "a\n"),
        (" \n\n  \n", "\n\n\n"),
        (" last line ", "last line"),
        ("a  b", "a  b"),
        ("", ""),
        (" ", ""),
    ])
    func pennTreebank_linesLoseTheBlankAtEitherEndAndKeepTheirLineFeed(words: String, characters: String) {
        #expect(CharacterCorpus.charactersOfWordLines(Array(words.utf8)) == Array(characters.utf8))
    }

    @Test func pennTreebank_splitsAreEncodedByTheTrainingVocabulary() throws {
        try writePTB(train: " abc \n d a \n", valid: " ab \n", test: " d c \n")
        let corpus = try CharacterCorpus.open(.ptb, dataFolder: folder.dataFolder)
        #expect(corpus.vocabulary.bytes == Array("\n abcd".utf8))
        #expect(corpus.train == [2, 3, 4, 0, 5, 1, 2, 0])
        #expect(corpus.validation == [2, 3, 0])
        #expect(corpus.test == [5, 1, 4, 0])
    }

    @Test func pennTreebank_heldOutSymbolUnseenInTrainingIsRejectedWithSplitAndPosition() throws {
        try writePTB(train: " abc \n", valid: " a \n b \n", test: " ab\u{e9} \n")
        guard
            case .unknownSymbol("\"\\xc3\"", 2, let place, "\"\\nabc\"") = try datasetError({
                try CharacterCorpus.open(.ptb, dataFolder: folder.dataFolder)
            })
        else {
            Issue.record("not .unknownSymbol")
            return
        }
        #expect(place == "the test split of Penn Treebank, unofficial files")
    }

    @Test func pennTreebank_plainTextIsReadWhereGzipIsMissing() throws {
        try writePTB(train: " ab \n", valid: " a \n", test: " b \n")
        try FileManager.default.removeItem(atPath: folder.path("ptb/ptb.valid.txt.gz"))
        try folder.write(" bb \n", to: "ptb/ptb.valid.txt")
        try folder.write(" not read: the gzip is there \n", to: "ptb/ptb.test.txt")
        let corpus = try CharacterCorpus.open(.ptb, dataFolder: folder.dataFolder)
        #expect(corpus.train == [1, 2, 0])
        #expect(corpus[.validation] == [2, 2, 0])
        #expect(corpus[.test] == [2, 0])
        #expect(
            corpus.source.files.map(\.path) == ["ptb/ptb.train.txt.gz", "ptb/ptb.valid.txt", "ptb/ptb.test.txt.gz"])
        #expect(corpus.source.files[1].sha256 == Checksum.sha256(Array(" bb \n".utf8)))
        #expect(corpus.source.files.map(\.contentBytes) == [5, 5, 4])
    }

    @Test func corpus_unofficialFilesAreSaidToBeSo() throws {
        try writePTB(train: " ab \n", valid: " a \n", test: " b \n")
        let corpus = try CharacterCorpus.open(.ptb, dataFolder: folder.dataFolder)
        #expect(!corpus.source.isOfficial)
        #expect(corpus.name == "ptb-unofficial")
        #expect(corpus.displayName == "Penn Treebank, unofficial files")
        #expect(corpus.source.notes.count == 3)
        #expect(corpus.entropyRateBits == nil)
    }

    @Test func corpus_missingFilesAreListedWithTheExactPathsTried() throws {
        try folder.write(" a \n", to: "ptb/ptb.train.txt")
        let expected = [
            "ptb/ptb.valid.txt.gz", "ptb/ptb.valid.txt", "ptb/ptb.test.txt.gz", "ptb/ptb.test.txt",
        ].map { folder.path($0) }
        let error = try datasetError { try CharacterCorpus.open(.ptb, dataFolder: folder.dataFolder) }
        guard case .missing("Penn Treebank", folder.dataFolder, _, expected) = error else {
            Issue.record("\(error)")
            return
        }
        for path in expected { #expect("\(error)".contains(path)) }
        #expect("\(error)".contains("data/download.sh --data '\(folder.path)' ptb"))
    }

    @Test func corpus_missingInTheDefaultFolderNamesMakeData() throws {
        let standard = DataFolder.resolve(option: nil, environment: [:], workingDirectory: folder.path)
        for name in [CorpusName.ptb, .text8, .enwik8] {
            let error = try datasetError { try CharacterCorpus.open(name, dataFolder: standard) }
            guard case .missing(name.title, standard, _, let tried) = error else {
                Issue.record("\(error)")
                continue
            }
            #expect(tried.allSatisfy { $0.hasPrefix(folder.path("data/\(name.rawValue)/")) })
            #expect("\(error)".contains("`make data`"))
        }
    }

    @Test func corpus_damagedFileIsRejectedWithItsPath() throws {
        try writePTB(train: " ab \n", valid: " a \n", test: " b \n")
        try folder.write(Array(try folder.read("ptb/ptb.valid.txt.gz").dropLast(9)), to: "ptb/ptb.valid.txt.gz")
        let error = try datasetError { try CharacterCorpus.open(.ptb, dataFolder: folder.dataFolder) }
        guard case .truncated(folder.path("ptb/ptb.valid.txt.gz"), _, _) = error else {
            Issue.record("\(error)")
            return
        }
        #expect("\(error)".contains("`data/download.sh --replace`"), "\(error)")
    }

    @Test func corpus_emptySplitIsRejected() throws {
        try writePTB(train: " ab \n", valid: "", test: " b \n")
        let error = try datasetError { try CharacterCorpus.open(.ptb, dataFolder: folder.dataFolder) }
        #expect(error == .tooShort(path: folder.path("ptb/ptb.valid.txt.gz"), minimumBytes: 1, found: 0))
        #expect("\(error)".hasSuffix("expected at least 1 byte of text, found 0"), "\(error)")
    }

    // MARK: text8 and enwik8

    @Test(arguments: ["text8.zip", "text8.gz", "text8", "text8.prefix-2019.gz"])
    func text8_isReadFromAnyOfItsFiles(file: String) throws {
        let text = textLike(2019)
        let content = file.hasSuffix("zip") ? ZipFile(text).bytes : file.hasSuffix("gz") ? gzipCompressed(text) : text
        try folder.write(content, to: "text8/\(file)")
        let corpus = try CharacterCorpus.open(.text8, dataFolder: folder.dataFolder)
        // 2019 / 20 = 100 and a rest, which goes to training.
        #expect(corpus.train.count == 1819)
        #expect(corpus.validation.count == 100)
        #expect(corpus.test.count == 100)
        #expect(corpus.vocabulary.decode(corpus.train + corpus.validation + corpus.test) == text)
        #expect(corpus.source.files.map(\.path) == ["text8/\(file)"])
        #expect(corpus.source.files[0].sha256 == Checksum.sha256(content))
        #expect(!corpus.source.isOfficial)
        if file.contains("prefix") {
            #expect(corpus.displayName == "text8, first 2,019 characters")
            #expect(corpus.name == "text8-first-2019")
        } else {
            #expect(corpus.displayName == "text8, unofficial file of 2,019 characters")
            #expect(corpus.name == "text8-unofficial-2019")
        }
    }

    @Test func text8_wholeFileIsBeforeAPrefixAndZipBeforeAll() throws {
        try folder.write(gzipCompressed(textLike(1000)), to: "text8/text8.prefix-1000.gz")
        try folder.write(textLike(2000), to: "text8/text8")
        let plain = try CharacterCorpus.open(.text8, dataFolder: folder.dataFolder)
        #expect(plain.source.files[0].path == "text8/text8")
        try folder.write(ZipFile(textLike(3000)).bytes, to: "text8/text8.zip")
        let zip = try CharacterCorpus.open(.text8, dataFolder: folder.dataFolder)
        #expect(zip.source.files[0].path == "text8/text8.zip")
    }

    @Test func text8_twoPrefixesAreAmbiguous() throws {
        try folder.write(gzipCompressed(textLike(1000)), to: "text8/text8.prefix-1000.gz")
        try folder.write(gzipCompressed(textLike(2000)), to: "text8/text8.prefix-2000.gz")
        #expect(
            try datasetError { try CharacterCorpus.open(.text8, dataFolder: folder.dataFolder) }
                == .ambiguous(
                    corpus: .text8,
                    candidates: ["text8/text8.prefix-1000.gz", "text8/text8.prefix-2000.gz"].map { folder.path($0) }))
    }

    @Test func text8_prefixMustBeAsLongAsItsNameSays() throws {
        let path = try folder.write(gzipCompressed(textLike(1000)), to: "text8/text8.prefix-1001.gz").path
        #expect(
            try datasetError { try CharacterCorpus.open(.text8, dataFolder: folder.dataFolder) }
                == .lengthMismatch(path: path, what: "content, by the file's name", expected: 1001, found: 1000))
    }

    @Test func text8_tooShortATextIsRejected() throws {
        let path = try folder.write(textLike(19), to: "text8/text8").path
        #expect(
            try datasetError { try CharacterCorpus.open(.text8, dataFolder: folder.dataFolder) }
                == .tooShort(path: path, minimumBytes: 20, found: 19))
        try folder.write([UInt8](repeating: 97, count: 20), to: "text8/text8")
        let shortest = try CharacterCorpus.open(.text8, dataFolder: folder.dataFolder)
        #expect(DataSplit.allCases.map { shortest[$0].count } == [18, 1, 1])
    }

    @Test func text8_longerTextThanTheOfficialOneIsRejected() throws {
        var bomb = [UInt8]()
        let member = gzipCompressed([UInt8](repeating: 97, count: 12_500_001))
        for _ in 0..<8 { bomb += member }
        let path = try folder.write(bomb, to: "text8/text8.gz").path
        #expect(
            try datasetError { try CharacterCorpus.open(.text8, dataFolder: folder.dataFolder) }
                == .tooLarge(path: path, maximumBytes: 100_000_000))
    }

    @Test func text8_testSymbolUnseenInTrainingIsRejected() throws {
        var text = [UInt8](repeating: 97, count: 100)
        text[97] = UInt8(ascii: "!")
        try folder.write(text, to: "text8/text8")
        guard
            case .unknownSymbol("\"!\"", 2, let place, "\"a\"") = try datasetError({
                try CharacterCorpus.open(.text8, dataFolder: folder.dataFolder)
            })
        else {
            Issue.record("not .unknownSymbol")
            return
        }
        #expect(place == "the test split of text8, unofficial file of 100 characters")
    }

    @Test func enwik8_vocabularyIsThatOfTheWholeFile() throws {
        var text = [UInt8](repeating: 97, count: 100)
        text[97] = 0xe2
        try folder.write(gzipCompressed(text), to: "enwik8/enwik8.prefix-100.gz")
        let corpus = try CharacterCorpus.open(.enwik8, dataFolder: folder.dataFolder)
        #expect(corpus.vocabulary.bytes == [97, 0xe2])
        #expect(corpus.test == [0, 0, 1, 0, 0])
        #expect(corpus.displayName == "enwik8, first 100 bytes")
    }

    // MARK: The sample

    @Test func sample_opensFromTheRepositoryWithItsEntropyRate() throws {
        let folder = DataFolder.resolve(option: nil, environment: [:], workingDirectory: repository)
        let corpus = try CharacterCorpus.open(.sample, dataFolder: folder)
        #expect(corpus.source.isOfficial)
        #expect(corpus.name == "sample")
        #expect(corpus.displayName == "Generated sample")
        #expect(corpus.entropyRateBits == SampleCorpus.entropyRateBits)
        #expect(DataSplit.allCases.map { corpus[$0].count } == [1_001_202, 51_825, 49_653])
    }

    @Test func sample_changedTextHasNoKnownEntropyRate() throws {
        for name in ["train", "valid", "test"] { try folder.write("naas mu.\n", to: "sample/sample.\(name).txt") }
        let corpus = try CharacterCorpus.open(.sample, dataFolder: folder.dataFolder)
        #expect(corpus.entropyRateBits == nil)
        #expect(!corpus.source.isOfficial)
    }

    // MARK: The real files

    @Test(
        .enabled(
            if: realDataFolder(with: "ptb/ptb.train.txt.gz") != nil,
            "HYPERNETWORKS_DATA names no folder with the Penn Treebank"))
    func pennTreebank_officialFilesHaveThePublishedCounts() throws {
        let folder = try #require(realDataFolder(with: "ptb/ptb.train.txt.gz"))
        let corpus = try CharacterCorpus.open(.ptb, dataFolder: folder)
        #expect(corpus.source.isOfficial)
        #expect(corpus.source.notes == [])
        #expect(corpus.name == "ptb")
        #expect(corpus.displayName == "Penn Treebank")
        #expect(corpus.train.count == 5_017_482)
        #expect(corpus.validation.count == 393_042)
        #expect(corpus.test.count == 442_423)
        #expect(corpus.vocabulary.count == 50)
        #expect(corpus.vocabulary.text(corpus.train.prefix(11)) == "aer banknot")
    }

    @Test(
        .enabled(
            if: realDataFolder(with: "text8/text8.prefix-6877825.gz") != nil,
            "HYPERNETWORKS_DATA names no folder with the prefix of text8"))
    func text8_prefixIsSplitAndNamedAsSuch() throws {
        let folder = try #require(realDataFolder(with: "text8/text8.prefix-6877825.gz"))
        let corpus = try CharacterCorpus.open(.text8, dataFolder: folder)
        #expect(corpus.displayName == "text8, first 6,877,825 characters")
        #expect(DataSplit.allCases.map { corpus[$0].count } == [6_190_043, 343_891, 343_891])
        #expect(corpus.vocabulary.bytes == Array(" abcdefghijklmnopqrstuvwxyz".utf8))
    }
}
