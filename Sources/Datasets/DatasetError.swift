import Foundation

/// A fault of a data file, each case with the path, what was expected and what was found.
///
/// `offset` counts bytes from the start of the file that `path` names (of the compressed file, not of its content);
/// `contentOffset` counts bytes of its uncompressed content.
public enum DatasetError: Error, Equatable, Sendable {
    /// A data set is in none of the places where it may be. `title` names it in a sentence, `remedy` is a sentence that
    /// says how to get it, `pathsTried` are the exact paths, in the order tried.
    case missing(title: String, folder: DataFolder, remedy: String, pathsTried: [String])
    /// Several files could be meant and nothing says which.
    case ambiguous(corpus: CorpusName, candidates: [String])
    /// The system refused to open or read a file; `reason` is its own message.
    case unreadable(path: String, reason: String)
    /// The system refused to write a file or make a folder; `reason` is its own message.
    case unwritable(path: String, reason: String)
    /// A file of no bytes.
    case empty(path: String)
    /// The file is not what its name says: other bytes stand where its format has its magic number.
    case wrongFormat(path: String, offset: Int, expected: String, found: String)
    /// The file is of another format than its name says; `found` names it.
    case otherFormat(path: String, found: String)
    /// The file ends too early: `expected` is what had to come at `offset`.
    case truncated(path: String, offset: Int, expected: String)
    /// The bytes at or shortly before `offset` cannot be decoded.
    case corrupt(path: String, offset: Int, reason: String)
    /// A checksum stored in the file is not that of the content. `algorithm` is "CRC-32".
    case checksumMismatch(path: String, offset: Int, algorithm: String, expected: String, found: String)
    /// A length stored in the file, or stated by its name, is not that of the content. `what` says which; in bytes.
    case lengthMismatch(path: String, what: String, expected: Int, found: Int)
    /// Bytes follow the end of the format.
    case trailingBytes(path: String, offset: Int, count: Int)
    /// The content is longer than the caller allows (in bytes): a wrong file or a decompression bomb.
    case tooLarge(path: String, maximumBytes: Int)
    /// An archive that must hold one file holds another number of them.
    case entryCount(path: String, expected: Int, found: Int)
    /// An archive's entry needs a password.
    case encrypted(path: String, entry: String)
    /// The file is in order but uses a feature that this reader does not have.
    case unsupported(path: String, feature: String)
    /// A text is too short to be split in three.
    case tooShort(path: String, minimumBytes: Int, found: Int)
    /// A symbol that the training split does not have. `symbol` is escaped and printable, `position` counts bytes
    /// from 0, `place` names the split or the prompt, `vocabulary` lists the known symbols.
    case unknownSymbol(symbol: String, position: Int, place: String, vocabulary: String)
    /// The content of a file is not what its format says. `contentOffset` counts bytes of the uncompressed content:
    /// `gzip -dc FILE | xxd -s OFFSET` shows the place.
    case malformedContent(path: String, contentOffset: Int, expected: String, found: String)
    /// The content of a file is complete as gzip sees it, but ends too early for its own format.
    case truncatedContent(path: String, contentOffset: Int, expected: String)
    /// An archive does not have a file that it must have.
    case missingEntry(path: String, entry: String)
    /// A file holds another number of images or labels than its data set. `what` says which; `contentOffset` is where
    /// the images, or the statement of their number, start.
    case imageCount(path: String, contentOffset: Int, what: String, expected: Int, found: Int)
    /// More images are to be set aside for validation than leave one for training.
    case validationCount(images: ImageDatasetName, most: Int, found: Int)
    /// A label that is no class. `image` counts from 0 in its file.
    case labelOutOfRange(path: String, contentOffset: Int, image: Int, label: Int, classes: Int)
}

extension DatasetError: CustomStringConvertible {
    /// What to do about a damaged file. Without `--replace` the script keeps it; without `--data` it looks where
    /// `HYPERNETWORKS_DATA` says, as the programs do.
    private static let remedy =
        "`data/download.sh --replace` (with the same --data, if any) downloads an official file again"

    public var description: String {
        switch self {
        case .validationCount(let images, let most, let found):
            return "expected from 0 to \(most) validation images of \(images.title), found \(found)"
        case .missing(let title, let folder, let remedy, let pathsTried):
            let tried = pathsTried.map { "\n  \($0)" }.joined()
            return "\(title) is not in the data folder \(folder.path) (\(folder.origin.explanation)). "
                + "Tried:\(tried)\n\(remedy)"
        case .ambiguous(let corpus, let candidates):
            return "several files could be \(corpus.title); keep one of them:"
                + candidates.map { "\n  \($0)" }.joined()
        case .unreadable(let path, let reason): return "\(path): cannot be read: \(reason)"
        case .unwritable(let path, let reason): return "\(path): cannot be written: \(reason)"
        case .empty(let path): return "\(path): the file is empty; \(Self.remedy)"
        case .wrongFormat(let path, let offset, let expected, let found):
            return "\(path): byte \(offset): expected \(expected), found \(found); \(Self.remedy)"
        case .otherFormat(let path, let found):
            return "\(path): expected the data file of this name, found \(found); \(Self.remedy)"
        case .truncated(let path, let offset, let expected):
            return "\(path): the file ends at byte \(offset), where \(expected) was expected; \(Self.remedy)"
        case .corrupt(let path, let offset, let reason):
            return "\(path): damaged near byte \(offset): \(reason); \(Self.remedy)"
        case .checksumMismatch(let path, let offset, let algorithm, let expected, let found):
            return "\(path): \(algorithm) stored at byte \(offset) is \(expected), that of the content is \(found); "
                + Self.remedy
        case .lengthMismatch(let path, let what, let expected, let found):
            return "\(path): \(what): expected \(expected) bytes, found \(found); \(Self.remedy)"
        case .trailingBytes(let path, let offset, let count):
            return "\(path): expected the end of the file at byte \(offset), found \(count) more bytes; \(Self.remedy)"
        case .tooLarge(let path, let maximumBytes):
            return "\(path): the content is longer than the \(maximumBytes) bytes expected at most"
        case .entryCount(let path, let expected, let found):
            return "\(path): expected an archive of \(expected) file, found \(found)"
        case .encrypted(let path, let entry): return "\(path): the entry \(entry) is encrypted"
        case .unsupported(let path, let feature): return "\(path): not supported: \(feature)"
        case .tooShort(let path, let minimumBytes, let found):
            let bytes = minimumBytes == 1 ? "byte" : "bytes"
            return "\(path): expected at least \(minimumBytes) \(bytes) of text, found \(found)"
        case .unknownSymbol(let symbol, let position, let place, let vocabulary):
            return "\(place): position \(position): \(symbol) does not occur in the training split; "
                + "its symbols are \(vocabulary)"
        case .malformedContent(let path, let contentOffset, let expected, let found):
            return "\(path): byte \(contentOffset) of the uncompressed content: expected \(expected), found \(found); "
                + Self.remedy
        case .truncatedContent(let path, let contentOffset, let expected):
            return "\(path): the uncompressed content ends at byte \(contentOffset), where \(expected) was expected; "
                + Self.remedy
        case .missingEntry(let path, let entry):
            return "\(path): the archive has no file \(entry); \(Self.remedy)"
        case .imageCount(let path, let contentOffset, let what, let expected, let found):
            return "\(path): byte \(contentOffset) of the uncompressed content: expected \(expected) \(what), "
                + "found \(found); \(Self.remedy)"
        case .labelOutOfRange(let path, let contentOffset, let image, let label, let classes):
            return "\(path): byte \(contentOffset) of the uncompressed content: the label of image \(image) is "
                + "\(label), expected 0 to \(classes - 1)"
        }
    }
}
