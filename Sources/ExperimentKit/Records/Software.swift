/// The software that a record names.
public enum Software {
    /// As in CHANGELOG.md, and as `--version` prints it.
    public static let version = "0.1.0"
}
