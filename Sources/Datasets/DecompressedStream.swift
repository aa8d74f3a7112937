/// The content of a compressed file, read from its beginning to its end.
public protocol DecompressedStream {
    /// Decompresses until `output` is full or the content ends.
    ///
    /// - Returns: The number of bytes written, less than `output.count` only at the end of the content, 0 after it.
    /// - Throws: What is wrong with the file; every later call throws the same.
    func read(into output: UnsafeMutableRawBufferPointer) throws -> Int
}

extension DecompressedStream {
    /// The next bytes of the content, `chunkBytes` of them or what is left; nil at the end.
    ///
    /// - Throws: As `read(into:)`.
    public func nextChunk(chunkBytes: Int = 1 << 20) throws -> [UInt8]? {
        precondition(chunkBytes > 0, "chunkBytes is \(chunkBytes)")
        let chunk = try [UInt8](unsafeUninitializedCapacity: chunkBytes) { buffer, count in
            count = try read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        return chunk.isEmpty ? nil : chunk
    }

    /// All that is left of the content.
    ///
    /// - Parameter expectedBytes: Room to make for it before.
    /// - Throws: As `read(into:)`.
    func readRest(expectedBytes: Int = 0) throws -> [UInt8] {
        var content = [UInt8]()
        content.reserveCapacity(expectedBytes)
        while let chunk = try nextChunk() { content += chunk }
        return content
    }
}

/// The error that ended the reading of a file: every later call throws it again.
struct FinalError {
    private var error: (any Error)?

    mutating func remembering<Result>(_ body: () throws -> Result) throws -> Result {
        if let error { throw error }
        do {
            return try body()
        } catch {
            self.error = error
            throw error
        }
    }
}
