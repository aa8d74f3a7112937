import ExperimentKit
import Foundation

/// A text cut into B parallel contiguous streams, read T characters at a time.
///
/// Stream b holds characters b·L … b·L + L of the text, L = ⌊(n − 1) / B⌋ predictions each (the last character of one
/// stream is the first of the next, as a target here and as an input there). Fewer than B characters at the end of the
/// text are left over. The last sequence of an epoch is shorter where T does not divide L.
public struct CharacterStreams: Sendable {
    /// Symbols of the text, [n].
    public let symbols: [UInt8]
    public let batch: Int
    public let sequenceLength: Int
    /// Predictions in each stream, L.
    public let streamLength: Int

    /// - Throws: `CorpusError.tooShort` if a stream would have nothing to predict.
    public init(symbols: [UInt8], batch: Int, sequenceLength: Int, name: String) throws {
        streamLength = try Self.length(characters: symbols.count, streams: batch, name: name)
        self.symbols = symbols
        self.batch = batch
        self.sequenceLength = sequenceLength
    }

    /// Predictions in each of the streams that a text is cut into, L.
    ///
    /// - Throws: `CorpusError.tooShort` if a stream would have nothing to predict.
    static func length(characters: Int, streams: Int, name: String) throws -> Int {
        guard characters > streams else {
            throw CorpusError.tooShort(name: name, characters: characters, streams: streams)
        }
        return (characters - 1) / streams
    }

    /// Sequences in one pass over the text, ⌈L / T⌉.
    public var sequencesPerEpoch: Int { (streamLength + sequenceLength - 1) / sequenceLength }

    /// Predictions in one pass over the text, B·L.
    public var predictions: Int { batch * streamLength }

    /// The length of a sequence: T, or what is left for the last one.
    public func length(ofSequence index: Int) -> Int {
        min(sequenceLength, streamLength - index * sequenceLength)
    }

    /// Inputs and targets of one sequence of an epoch, time-major: element t·B + b belongs to stream b.
    ///
    /// - Parameters:
    ///   - index: 0 ..< sequencesPerEpoch.
    ///   - streams: Those to read, B of them; nil for all.
    /// - Returns: Symbols, [T·B] each; the target is the character after the input.
    public func sequence(_ index: Int, streams: Range<Int>? = nil) -> (inputs: [Int32], targets: [Int32]) {
        precondition((0..<sequencesPerEpoch).contains(index), "sequence \(index) of \(sequencesPerEpoch)")
        let start = index * sequenceLength
        let length = length(ofSequence: index), streams = streams ?? 0..<batch
        func read(offset: Int) -> [Int32] {
            [Int32](unsafeUninitializedCapacity: length * streams.count) { buffer, count in
                for t in 0..<length {
                    for (column, b) in streams.enumerated() {
                        buffer[t * streams.count + column] = Int32(symbols[b * streamLength + start + t + offset])
                    }
                }
                count = length * streams.count
            }
        }
        return (read(offset: 0), read(offset: 1))
    }
}

/// A reason why a corpus cannot be used with a configuration.
public enum CorpusError: Error, Equatable, CustomStringConvertible {
    case tooShort(name: String, characters: Int, streams: Int)

    public var description: String {
        switch self {
        case .tooShort(let name, let characters, let streams):
            return "\(name) has \(grouped(characters)) characters, too few for \(grouped(streams)) parallel streams"
        }
    }
}
