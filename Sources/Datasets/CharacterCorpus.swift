import Foundation

/// The character corpora, by the names that configs and commands use.
public enum CorpusName: String, CaseIterable, Codable, Sendable {
    /// Penn Treebank, characters (§4.3 of the paper).
    case ptb
    /// The first 10⁸ characters of a cleaned Wikipedia: 26 letters and the blank.
    case text8
    /// The first 10⁸ bytes of a Wikipedia dump (§4.4 of the paper).
    case enwik8
    /// The generated corpus of ``SampleCorpus``.
    case sample

    /// The corpus's name in a sentence.
    public var title: String {
        switch self {
        case .ptb: return "Penn Treebank"
        case .text8: return "text8"
        case .enwik8: return "enwik8"
        case .sample: return "the generated sample"
        }
    }

    /// What `data/download.sh` calls it; nil for the sample, which is part of the repository.
    var downloadName: String? { self == .sample ? nil : rawValue }
}

/// A text in three splits as symbols of one vocabulary.
public struct CharacterCorpus: Sendable {
    /// Short and without blanks, for file names and records: "ptb", "text8-first-6877825".
    public let name: String
    /// For tables and messages: "Penn Treebank", "text8, first 6,877,825 characters".
    public let displayName: String
    /// The symbols and their byte values.
    public let vocabulary: Vocabulary
    /// Symbols below `vocabulary.count`, [T of the split].
    public let train: [UInt8]
    /// Symbols, [T of the split].
    public let validation: [UInt8]
    /// Symbols, [T of the split].
    public let test: [UInt8]
    /// The files.
    public let source: DataSource
    /// The entropy rate of the source in bits per character; known for the sample alone, and only while its files
    /// are the ones that ``SampleCorpus`` writes.
    public let entropyRateBits: Double?

    /// The symbols of a split.
    public subscript(split: DataSplit) -> [UInt8] {
        switch split {
        case .train: return train
        case .validation: return validation
        case .test: return test
        }
    }

    /// Reads a corpus from a data folder.
    ///
    /// | corpus | files, the first that is there |
    /// |---|---|
    /// | ptb | `ptb/ptb.{train,valid,test}.txt.gz`, `….txt`: the word files; see ``charactersOfWordLines(_:)`` |
    /// | text8, enwik8 | `text8/text8.zip`, `text8/text8.gz`, `text8/text8`, one `text8/text8.prefix-*.gz` |
    /// | sample | `sample/sample.{train,valid,test}.txt.gz`, `….txt` |
    ///
    /// text8 and enwik8 are split 90/5/5 %: 90 M, 5 M and 5 M for the official 10⁸ bytes.
    ///
    /// The vocabulary is that of the training split, and a symbol it lacks is an error. enwik8's is that of the whole
    /// file: its 205 bytes are part of the benchmark's definition (the paper's models have 205 outputs), and it
    /// holds bytes so rare that a shorter file's training split need not have them.
    ///
    /// - Throws: `DatasetError.missing` if files are absent (the caller may fall back to the sample), `.ambiguous`,
    ///   `.unknownSymbol`, `.tooShort`, `.lengthMismatch` (a prefix that is not as long as its name says), and those of
    ///   ``GzipReader`` and ``ZipReader``.
    public static func open(_ name: CorpusName, dataFolder: DataFolder) throws -> CharacterCorpus {
        switch name {
        case .ptb: return try openPennTreebank(dataFolder)
        case .text8, .enwik8: return try openWikipedia(name, dataFolder)
        case .sample: return try openSample(dataFolder)
        }
    }

    /// The character-level text of Mikolov's word-level files: each line without the blank at its either end, its
    /// line feed kept. Blanks between words stay, `<unk>` and `N` stay as they are written.
    public static func charactersOfWordLines(_ text: [UInt8]) -> [UInt8] {
        let (blank, lineFeed) = (UInt8(ascii: " "), Int32(UInt8(ascii: "\n")))
        return [UInt8](unsafeUninitializedCapacity: text.count) { output, count in
            text.withUnsafeBufferPointer { text in
                var start = 0
                while start < text.count {
                    let line = text.baseAddress! + start
                    let found = memchr(line, lineFeed, text.count - start)
                    let end = found.map { UnsafeRawPointer($0) - UnsafeRawPointer(text.baseAddress!) } ?? text.count
                    var (first, last) = (start, end)
                    if first < last && text[first] == blank { first += 1 }
                    if first < last && text[last - 1] == blank { last -= 1 }
                    memcpy(output.baseAddress! + count, text.baseAddress! + first, last - first)
                    count += last - first
                    if end < text.count {
                        output[count] = text[end]
                        count += 1
                    }
                    start = end + 1
                }
            }
        }
    }

    // MARK: - Penn Treebank

    /// MD5 of the uncompressed word files.
    private static let pennTreebankMD5: [DataSplit: String] = [
        .train: "f26c4b92c5fdc7b3f8c7cdcb991d8420",
        .validation: "aa0affc06ff7c36e977d7cd49e3839bf",
        .test: "8b80168b89c18661a38ef683c0dc3721",
    ]

    private static func openPennTreebank(_ folder: DataFolder) throws -> CharacterCorpus {
        let texts = try readSplits(.ptb, stem: "ptb/ptb", officialMD5: pennTreebankMD5, folder)
        return try CharacterCorpus(
            corpus: .ptb, texts: texts.map { charactersOfWordLines($0.text) }, contents: texts.map(\.text),
            files: texts.map(\.file), entropyRateBits: nil, folder)
    }

    // MARK: - Sample

    private static func openSample(_ folder: DataFolder) throws -> CharacterCorpus {
        let texts = try readSplits(.sample, stem: "sample/sample", officialMD5: SampleCorpus.md5, folder)
        let isOfficial = texts.allSatisfy { $0.file.isOfficial }
        return try CharacterCorpus(
            corpus: .sample, texts: texts.map(\.text), contents: texts.map(\.text), files: texts.map(\.file),
            entropyRateBits: isOfficial ? SampleCorpus.entropyRateBits : nil, folder)
    }

    // MARK: - text8 and enwik8

    /// The length of the official files in bytes, and the most that is read.
    private static let wikipediaBytes = 100_000_000

    private static func openWikipedia(_ corpus: CorpusName, _ folder: DataFolder) throws -> CharacterCorpus {
        let name = corpus.rawValue
        let path = try findWikipedia(corpus, folder)
        let md5 = corpus == .text8 ? "3bea1919949baf155f99411df5fada7e" : "a1fa5ffddb56f4953e226637dabbb36a"
        let (text, file) = try readText(path, officialMD5: md5, maximumBytes: wikipediaBytes, folder)

        // A file that is not the official one gets a name of its own, so that no table can mistake its results.
        let unit = corpus == .text8 ? "characters" : "bytes"
        var recordName = name
        var displayName = name
        var notes: [String] = []
        let prefixMark = "\(name)/\(name).prefix-"
        if !file.isOfficial && path.hasPrefix(prefixMark) {
            let stated = path.dropFirst(prefixMark.count).dropLast(".gz".count)
            if let expected = Int(stated), expected != text.count {
                throw DatasetError.lengthMismatch(
                    path: folder.appending(path), what: "content, by the file's name", expected: expected,
                    found: text.count)
            }
            recordName = "\(name)-first-\(text.count)"
            displayName = "\(name), first \(grouped(text.count)) \(unit)"
            notes.append(
                "\(path) holds \(grouped(text.count)) of the official \(grouped(wikipediaBytes)) \(unit): "
                    + "results on it are not results on \(name)")
        } else if !file.isOfficial {
            recordName = "\(name)-unofficial-\(text.count)"
            displayName = "\(name), unofficial file of \(grouped(text.count)) \(unit)"
            notes.append(
                "\(path) is not the official file (MD5 of the text \(md5)): results on it are not results on \(name)")
        }

        guard text.count >= 20 else {  // below, 5 % are nothing
            throw DatasetError.tooShort(path: folder.appending(path), minimumBytes: 20, found: text.count)
        }
        let heldOut = text.count / 20
        let validationStart = text.count - 2 * heldOut
        let vocabulary = Vocabulary(of: corpus == .enwik8 ? text[...] : text[..<validationStart])
        func symbols(_ range: Range<Int>, _ split: DataSplit) throws -> [UInt8] {
            try vocabulary.encode(text[range], place: "the \(split.rawValue) split of \(displayName)")
        }
        return CharacterCorpus(
            name: recordName, displayName: displayName, vocabulary: vocabulary,
            train: try symbols(0..<validationStart, .train),
            validation: try symbols(validationStart..<(validationStart + heldOut), .validation),
            test: try symbols((validationStart + heldOut)..<text.count, .test),
            source: DataSource(files: [file], contents: [Checksum.sha256(text)], notes: notes),
            entropyRateBits: nil)
    }

    /// The file of text8 or enwik8, relative to the data folder.
    private static func findWikipedia(_ corpus: CorpusName, _ folder: DataFolder) throws -> String {
        let name = corpus.rawValue
        let whole = ["\(name)/\(name).zip", "\(name)/\(name).gz", "\(name)/\(name)"]
        if let path = folder.first(of: whole) { return path }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.appending(name))) ?? []
        let prefixes = names.filter { $0.hasPrefix("\(name).prefix-") && $0.hasSuffix(".gz") }.sorted()
        guard let only = prefixes.first else {
            throw folder.missing(
                corpus.title, download: corpus.downloadName, tried: whole + ["\(name)/\(name).prefix-*.gz"])
        }
        guard prefixes.count == 1 else {
            throw DatasetError.ambiguous(
                corpus: corpus, candidates: prefixes.map { folder.appending("\(name)/\($0)") })
        }
        return "\(name)/\(only)"
    }

    // MARK: - Files

    /// The most that one of three files may hold, a bound on a wrong file; the largest, Penn Treebank's training split,
    /// has 5.1 MB.
    private static let splitBytes = 1 << 26

    /// Reads `<stem>.{train,valid,test}.txt.gz`, or `.txt` where the former is not there.
    private static func readSplits(
        _ corpus: CorpusName, stem: String, officialMD5: [DataSplit: String], _ folder: DataFolder
    ) throws -> [(text: [UInt8], file: DataSource.File)] {
        let fileNames: [DataSplit: String] = [.train: "train", .validation: "valid", .test: "test"]
        let (paths, missing) = folder.find(
            DataSplit.allCases.map { split in [".txt.gz", ".txt"].map { "\(stem).\(fileNames[split]!)\($0)" } })
        guard missing.isEmpty else {
            throw folder.missing(corpus.title, download: corpus.downloadName, tried: missing.flatMap { $0 })
        }
        return try zip(DataSplit.allCases, paths).map { split, path in
            try readText(path, officialMD5: officialMD5[split]!, maximumBytes: splitBytes, folder)
        }
    }

    /// Reads a text, decompressed as its name says.
    private static func readText(
        _ path: String, officialMD5: String, maximumBytes: Int, _ folder: DataFolder
    ) throws -> (text: [UInt8], file: DataSource.File) {
        let fullPath = folder.appending(path)
        let text: [UInt8]
        if path.hasSuffix(".zip") {
            text = try readZip(path: fullPath, maximumBytes: maximumBytes)
        } else {
            text = try readContent(fullPath, maximumBytes: maximumBytes) { Checksum.md5($0) == officialMD5 }
        }
        let file = DataSource.File(
            path: path, sha256: try Checksum.sha256(ofFile: fullPath), contentBytes: text.count,
            isOfficial: Checksum.md5(text) == officialMD5)
        return (text, file)
    }

    /// A corpus of three files; `texts`, the files' `contents` and `files` in the order train, validation, test.
    private init(
        corpus: CorpusName, texts: [[UInt8]], contents: [[UInt8]], files: [DataSource.File], entropyRateBits: Double?,
        _ folder: DataFolder
    ) throws {
        let isOfficial = files.allSatisfy(\.isOfficial)
        let title = corpus == .sample ? "Generated sample" : corpus.title
        name = isOfficial ? corpus.rawValue : "\(corpus.rawValue)-unofficial"
        displayName = isOfficial ? title : "\(title), unofficial files"
        for (text, file) in zip(texts, files) where text.isEmpty {
            throw DatasetError.tooShort(path: folder.appending(file.path), minimumBytes: 1, found: text.count)
        }
        vocabulary = Vocabulary(of: texts[0])
        train = try vocabulary.encode(texts[0], place: "the train split of \(displayName)")
        validation = try vocabulary.encode(texts[1], place: "the validation split of \(displayName)")
        test = try vocabulary.encode(texts[2], place: "the test split of \(displayName)")
        source = DataSource(
            files: files, contents: contents.map(Checksum.sha256),
            notes: files.filter { !$0.isOfficial }.map {
                "\($0.path) is not the official file: results on it are not results on \(corpus.title)"
            })
        self.entropyRateBits = entropyRateBits
    }

    private init(
        name: String, displayName: String, vocabulary: Vocabulary, train: [UInt8], validation: [UInt8], test: [UInt8],
        source: DataSource, entropyRateBits: Double?
    ) {
        self.name = name
        self.displayName = displayName
        self.vocabulary = vocabulary
        self.train = train
        self.validation = validation
        self.test = test
        self.source = source
        self.entropyRateBits = entropyRateBits
    }

    /// 6877825 as "6,877,825", whatever the machine's locale.
    private static func grouped(_ number: Int) -> String {
        number.formatted(.number.locale(Locale(identifier: "en_US")))
    }
}
