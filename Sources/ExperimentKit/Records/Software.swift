import Datasets
import Foundation

/// The software that a record names.
public enum Software {
    /// As in CHANGELOG.md, and as `--version` prints it.
    public static let version = "0.1.0"

    /// SHA-256 of the program's own file, read once; nil where it cannot be read.
    static let programSHA256 = Bundle.main.executableURL.flatMap { try? Checksum.sha256(ofFile: $0.path) }
}
