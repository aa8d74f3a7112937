/// A POSIX ustar archive of ordinary files without times or owners, so that equal content gives an equal archive.
///
/// - Precondition: Names of at most 100 bytes.
package func tarArchive(_ files: [(name: String, content: [UInt8])]) -> [UInt8] {
    var archive = [UInt8]()
    for file in files {
        archive += tarHeader(name: file.name, byteCount: file.content.count)
        archive += file.content
        archive += [UInt8](repeating: 0, count: (512 - file.content.count % 512) % 512)
    }
    return archive + [UInt8](repeating: 0, count: 1024)
}

/// The header of one entry, 512 bytes. `type` is "0" for a file, "5" for a folder, and so on.
package func tarHeader(name: String, byteCount: Int, type: Character = "0") -> [UInt8] {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at index: Int) {
        header.replaceSubrange(index..<(index + text.utf8.count), with: text.utf8)
    }
    func octal(_ value: Int, digits: Int) -> String {
        let text = String(value, radix: 8)
        precondition(text.count <= digits, "\(value) does not fit in \(digits) octal digits")
        return String(repeating: "0", count: digits - text.count) + text
    }
    precondition(name.utf8.count <= 100, "the name \(name) is longer than 100 bytes")
    put(name, at: 0)
    put(octal(type == "5" ? 0o755 : 0o644, digits: 7), at: 100)
    put(octal(0, digits: 7), at: 108)  // owner
    put(octal(0, digits: 7), at: 116)  // group
    put(octal(byteCount, digits: 11), at: 124)
    put(octal(0, digits: 11), at: 136)  // time
    put("        ", at: 148)  // the checksum counts its own field as blanks
    put(String(type), at: 156)
    put("ustar\u{0}00", at: 257)
    put(octal(header.reduce(0) { $0 + Int($1) }, digits: 6) + "\u{0} ", at: 148)
    return header
}
