/// The content of a compressed file, read from its beginning to its end.
public protocol DecompressedStream {
    /// Decompresses until `output` is full or the content ends.
    ///
    /// - Returns: the number of bytes written, less than `output.count` only at the end of the content, 0 after it.
    /// - Throws: what is wrong with the file; every later call throws the same.
    func read(into output: UnsafeMutableRawBufferPointer) throws -> Int
}

extension DecompressedStream {
    /// The next bytes of the content, `chunkBytes` of them or what is left; nil at the end.
    ///
    /// - Throws: as `read(into:)`.
    public func nextChunk(chunkBytes: Int = 1 << 20) throws -> [UInt8]? {
        precondition(chunkBytes > 0, "chunkBytes is \(chunkBytes)")
        let chunk = try [UInt8](unsafeUninitializedCapacity: chunkBytes) { buffer, count in
            count = try read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        return chunk.isEmpty ? nil : chunk
    }

    /// All that is left of the content.
    ///
    /// - Parameter expectedBytes: room to make for it before.
    /// - Throws: as `read(into:)`.
    func readRest(expectedBytes: Int = 0) throws -> [UInt8] {
        var content = [UInt8]()
        content.reserveCapacity(expectedBytes)
        while let chunk = try nextChunk() { content += chunk }
        return content
    }
}
