/// The commit that this program was built from.
///
/// The plugin `WriteSourceCommit` writes it into the program at every build: the checkout around a program may have
/// moved on since. Nothing here is inlined, or a caller that was compiled earlier would keep an earlier commit.
public enum SourceCommit {
    /// Its hash; nil where it is unknown.
    @inline(never) public static var hash: String? { found().commit }

    /// Whether files other than records and results differed from it; nil where that is unknown.
    @inline(never) public static var hasChanges: Bool? { found().hasChanges }

    /// Why the commit is unknown; nil where it is known.
    @inline(never) public static var unknownBecause: String? { found().unknownBecause }
}
