// Coverage-guided fuzzing of the five readers of binary files, with libFuzzer and the address sanitizer:
// `make stress` builds and runs it. The first byte chooses the reader, the rest is the file.
//
// Built with the sources of the readers as one module, so that all of them count toward coverage.
import Foundation

/// The file that the readers read; `fuzz.sh` makes and removes its folder.
private let path = ProcessInfo.processInfo.environment["HYPERNETWORKS_FUZZ_FILE"] ?? ""

/// Reads the bytes as a file of one kind; whatever the reader throws is an answer, and anything else is a finding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 1 else { return 0 }
    let content = Array(UnsafeBufferPointer(start: start + 1, count: count - 1))
    let kind = Kind.allCases[Int(start[0]) % Kind.allCases.count]
    // A tar archive is packed here: gzip's checksum would let no change through.
    let file = kind == .tar ? gzipCompressed(content, level: 1) : content
    do {
        try Data(file).write(to: URL(fileURLWithPath: path))
    } catch {
        // Nothing would be tested. This is no finding of the fuzzer, so it ends here and not in a crash.
        let message = "HYPERNETWORKS_FUZZ_FILE names '\(path)', which cannot be written: \(error)\n"
        FileHandle.standardError.write(Data(message.utf8))
        _exit(1)
    }
    try? kind.read(path)
    return 0
}

private enum Kind: CaseIterable {
    case gzip, tar, zip, idx, safetensors

    func read(_ path: String) throws {
        let most = 1 << 22
        switch self {
        case .gzip: _ = try readGzip(path: path, maximumBytes: most)
        case .zip: _ = try readZip(path: path, maximumBytes: most)
        case .idx: _ = try readIDX(path, maximumBytes: most, dimensions: 3)
        case .safetensors: _ = try SafetensorsFile(path: path)
        case .tar:
            let reader = try TarReader(path: path, maximumBytes: most)
            var buffer = [UInt8](repeating: 0, count: 1 << 12)
            while try reader.nextEntry() != nil {
                while try buffer.withUnsafeMutableBytes({ try reader.read(into: $0) }) > 0 {}
            }
        }
    }
}
