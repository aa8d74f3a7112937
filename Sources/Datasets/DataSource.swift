/// The origin of a corpus or a set of images, for the record of a run.
public struct DataSource: Equatable, Codable, Sendable {
    /// One file.
    public struct File: Equatable, Codable, Sendable {
        /// Relative to the data folder: the folder itself is the machine's business, not the record's.
        public let path: String
        /// Of the file as it lies on the disk (compressed, where it is).
        public let sha256: String
        /// Length of its content, uncompressed, in bytes.
        public let contentBytes: Int
        /// Whether its checksum is the official file's: of the uncompressed content, or of the file itself where only
        /// that is published (CIFAR-10's archive).
        public let isOfficial: Bool
    }

    /// In the order train, validation, test where there is one for each; images before their labels.
    public let files: [File]
    /// A checksum of the data, however they are packed: the SHA-256 of the SHA-256 sums of the files' uncompressed
    /// contents, a line each, in the order of `files` (of the files in CIFAR-10's archive: the five of training, then
    /// the test's).
    public let contentSHA256: String
    /// Remarks for readers of a result: that a file is not the official one, and in what.
    public let notes: [String]

    /// Whether every file is the official one.
    public var isOfficial: Bool { files.allSatisfy(\.isOfficial) }

    /// - Parameter contents: The SHA-256 of each file's content.
    init(files: [File], contents: [String], notes: [String]) {
        self.files = files
        self.notes = notes
        contentSHA256 = Checksum.sha256(contents.flatMap { Array("\($0)\n".utf8) })
    }
}
