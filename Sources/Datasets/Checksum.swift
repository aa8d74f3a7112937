import CZlib
import Foundation

/// Checksums of texts and files, in lower-case hexadecimal as `md5sum` and `sha256sum` print them.
///
/// MD5 is here because the data sets' official checksums are MD5: it guards against damage, not against malice.
public enum Checksum {
    /// The MD5 (RFC 1321) of `content`: 32 hexadecimal digits.
    public static func md5(_ content: [UInt8]) -> String {
        content.withUnsafeBytes {
            var digest = MD5Digest()
            digest.update($0)
            return digest.finalized()
        }
    }

    /// The SHA-256 (RFC 6234) of `content`: 64 hexadecimal digits.
    public static func sha256(_ content: [UInt8]) -> String {
        content.withUnsafeBytes {
            var digest = SHA256Digest()
            digest.update($0)
            return digest.finalized()
        }
    }

    /// The SHA-256 of a file's bytes as they lie on the disk, compressed or not: 64 hexadecimal digits.
    ///
    /// - Throws: `DatasetError.unreadable`, `DatasetError.empty`.
    public static func sha256(ofFile path: String) throws -> String {
        let file = try FileBytes(path: path)
        var digest = SHA256Digest()
        while true {
            let chunk = try file.available()
            if chunk.isEmpty { return digest.finalized() }
            digest.update(UnsafeRawBufferPointer(chunk))
            file.consume(chunk.count)
        }
    }

    /// The CRC-32 of gzip and zip, by zlib.
    static func crc32(_ content: UnsafeRawBufferPointer, continuing crc: UInt32 = 0) -> UInt32 {
        let start = content.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return UInt32(truncatingIfNeeded: crc32_z(UInt(crc), start, content.count))
    }
}

/// A hash of the Merkle–Damgård kind over blocks of 64 bytes, as MD5 and SHA-256 both are: they differ in the
/// compression of a block, the order of bytes in a word, and the constants.
protocol BlockDigest {
    /// Bytes given so far, and those of them that do not fill a block yet.
    var byteCount: UInt64 { get set }
    var pending: [UInt8] { get set }
    /// The state as the digest's bytes.
    var stateBytes: [UInt8] { get }
    /// The message's length in bits, as the last eight bytes of the padding.
    static func lengthBytes(_ bits: UInt64) -> [UInt8]
    /// Takes in `count` blocks of 64 bytes.
    mutating func compress(_ blocks: UnsafePointer<UInt8>, count: Int)
}

extension BlockDigest {
    mutating func update(_ content: UnsafeRawBufferPointer) {
        guard var next = content.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        var left = content.count
        byteCount += UInt64(left)
        if !pending.isEmpty {
            let count = min(64 - pending.count, left)
            pending.append(contentsOf: UnsafeBufferPointer(start: next, count: count))
            next += count
            left -= count
            if pending.count < 64 { return }
            let block = pending
            block.withUnsafeBufferPointer { compress($0.baseAddress!, count: 1) }
            pending.removeAll(keepingCapacity: true)
        }
        compress(next, count: left / 64)
        pending.append(contentsOf: UnsafeBufferPointer(start: next + left / 64 * 64, count: left % 64))
    }

    /// Pads the message (a one bit, zeros, its length in bits) and returns the digest in hexadecimal.
    mutating func finalized() -> String {
        let length = Self.lengthBytes(byteCount &* 8)
        let zeros = (119 - pending.count) % 64
        let padding = [0x80] + [UInt8](repeating: 0, count: zeros) + length
        padding.withUnsafeBytes { update($0) }
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: stateBytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

@inline(__always)
private func rotatedLeft(_ word: UInt32, _ count: UInt32) -> UInt32 { (word &<< count) | (word &>> (32 &- count)) }

@inline(__always)
private func rotatedRight(_ word: UInt32, _ count: UInt32) -> UInt32 { (word &>> count) | (word &<< (32 &- count)) }

/// floor(2³² |sin(i + 1)|), RFC 1321 section 3.4.
private let md5Constants: [UInt32] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a,
    0xa830_4613, 0xfd46_9501, 0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be,
    0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821, 0xf61e_2562, 0xc040_b340,
    0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8,
    0x676f_02d9, 0x8d2a_4c8a, 0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c,
    0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70, 0x289b_7ec6, 0xeaa1_27fa,
    0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92,
    0xffef_f47d, 0x8584_5dd1, 0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1,
    0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
]

/// MD5, RFC 1321; letters and functions as there.
struct MD5Digest: BlockDigest {
    var byteCount: UInt64 = 0
    var pending: [UInt8] = []
    private var a0: UInt32 = 0x6745_2301
    private var b0: UInt32 = 0xefcd_ab89
    private var c0: UInt32 = 0x98ba_dcfe
    private var d0: UInt32 = 0x1032_5476

    var stateBytes: [UInt8] { [a0, b0, c0, d0].flatMap { word in (0..<4).map { UInt8(word >> (8 * $0) & 0xff) } } }

    static func lengthBytes(_ bits: UInt64) -> [UInt8] { (0..<8).map { UInt8(bits >> (8 * $0) & 0xff) } }

    mutating func compress(_ blocks: UnsafePointer<UInt8>, count: Int) {
        var (a, b, c, d) = (a0, b0, c0, d0)
        md5Constants.withUnsafeBufferPointer { constants in
            let t = constants.baseAddress!
            for block in 0..<count {
                let bytes = UnsafeRawPointer(blocks + 64 * block)
                @inline(__always)
                func word(_ k: Int) -> UInt32 {
                    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 &* k, as: UInt32.self))
                }
                @inline(__always)
                func step(
                    _ a: inout UInt32, _ b: UInt32, _ mixed: UInt32, _ k: Int, _ shift: UInt32, _ i: Int
                ) {
                    a = b &+ rotatedLeft(a &+ mixed &+ word(k) &+ t[i], shift)
                }
                let (aa, bb, cc, dd) = (a, b, c, d)
                // Four steps a turn, so that the letters return to their places and nothing is moved.
                for i in stride(from: 0, to: 16, by: 4) {  // F(x, y, z) = xy ∨ ¬x z
                    step(&a, b, (b & c) | (~b & d), i, 7, i)
                    step(&d, a, (a & b) | (~a & c), i &+ 1, 12, i &+ 1)
                    step(&c, d, (d & a) | (~d & b), i &+ 2, 17, i &+ 2)
                    step(&b, c, (c & d) | (~c & a), i &+ 3, 22, i &+ 3)
                }
                for i in stride(from: 16, to: 32, by: 4) {  // G(x, y, z) = xz ∨ y ¬z, word 5i + 1
                    step(&a, b, (b & d) | (c & ~d), (5 &* i &+ 1) & 15, 5, i)
                    step(&d, a, (a & c) | (b & ~c), (5 &* i &+ 6) & 15, 9, i &+ 1)
                    step(&c, d, (d & b) | (a & ~b), (5 &* i &+ 11) & 15, 14, i &+ 2)
                    step(&b, c, (c & a) | (d & ~a), (5 &* i &+ 16) & 15, 20, i &+ 3)
                }
                for i in stride(from: 32, to: 48, by: 4) {  // H(x, y, z) = x ⊕ y ⊕ z, word 3i + 5
                    step(&a, b, b ^ c ^ d, (3 &* i &+ 5) & 15, 4, i)
                    step(&d, a, a ^ b ^ c, (3 &* i &+ 8) & 15, 11, i &+ 1)
                    step(&c, d, d ^ a ^ b, (3 &* i &+ 11) & 15, 16, i &+ 2)
                    step(&b, c, c ^ d ^ a, (3 &* i &+ 14) & 15, 23, i &+ 3)
                }
                for i in stride(from: 48, to: 64, by: 4) {  // I(x, y, z) = y ⊕ (x ∨ ¬z), word 7i
                    step(&a, b, c ^ (b | ~d), (7 &* i) & 15, 6, i)
                    step(&d, a, b ^ (a | ~c), (7 &* i &+ 7) & 15, 10, i &+ 1)
                    step(&c, d, a ^ (d | ~b), (7 &* i &+ 14) & 15, 15, i &+ 2)
                    step(&b, c, d ^ (c | ~a), (7 &* i &+ 21) & 15, 21, i &+ 3)
                }
                a = a &+ aa
                b = b &+ bb
                c = c &+ cc
                d = d &+ dd
            }
        }
        (a0, b0, c0, d0) = (a, b, c, d)
    }
}

/// The first 32 bits of the fractions of the cube roots of the first 64 primes, RFC 6234 section 5.1.
private let sha256Constants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1,
    0x923f_82a4, 0xab1c_5ed5, 0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3,
    0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174, 0xe49b_69c1, 0xefbe_4786,
    0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147,
    0x06ca_6351, 0x1429_2967, 0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13,
    0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85, 0xa2bf_e8a1, 0xa81a_664b,
    0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a,
    0x5b9c_ca4f, 0x682e_6ff3, 0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208,
    0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
]

/// SHA-256, RFC 6234; letters and functions as there.
struct SHA256Digest: BlockDigest {
    var byteCount: UInt64 = 0
    var pending: [UInt8] = []
    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]

    var stateBytes: [UInt8] { state.flatMap { word in (0..<4).map { UInt8(word >> (24 - 8 * $0) & 0xff) } } }

    static func lengthBytes(_ bits: UInt64) -> [UInt8] { (0..<8).map { UInt8(bits >> (56 - 8 * $0) & 0xff) } }

    mutating func compress(_ blocks: UnsafePointer<UInt8>, count: Int) {
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { schedule in
            sha256Constants.withUnsafeBufferPointer { constants in
                let k = constants.baseAddress!
                let w = schedule.baseAddress!
                for block in 0..<count {
                    let bytes = UnsafeRawPointer(blocks + 64 * block)
                    for t in 0..<16 {
                        w[t] = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4 &* t, as: UInt32.self))
                    }
                    for t in 16..<64 {
                        let (x, y) = (w[t &- 15], w[t &- 2])
                        let sigma0 = rotatedRight(x, 7) ^ rotatedRight(x, 18) ^ (x &>> 3)
                        let sigma1 = rotatedRight(y, 17) ^ rotatedRight(y, 19) ^ (y &>> 10)
                        w[t] = sigma1 &+ w[t &- 7] &+ sigma0 &+ w[t &- 16]
                    }
                    // One step with the letters given in turn: only the new e (in d) and a (in h) are computed.
                    @inline(__always)
                    func step(
                        _ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: inout UInt32, _ e: UInt32, _ f: UInt32,
                        _ g: UInt32, _ h: inout UInt32, _ t: Int
                    ) {
                        let sum1 = rotatedRight(e, 6) ^ rotatedRight(e, 11) ^ rotatedRight(e, 25)
                        let choice = g ^ (e & (f ^ g))  // Ch: e ? f : g
                        let t1 = h &+ sum1 &+ choice &+ k[t] &+ w[t]
                        let sum0 = rotatedRight(a, 2) ^ rotatedRight(a, 13) ^ rotatedRight(a, 22)
                        let majority = (a & b) | (c & (a | b))  // Maj
                        d = d &+ t1
                        h = t1 &+ sum0 &+ majority
                    }
                    let before = (a, b, c, d, e, f, g, h)
                    var t = 0
                    while t < 64 {
                        step(a, b, c, &d, e, f, g, &h, t)
                        step(h, a, b, &c, d, e, f, &g, t &+ 1)
                        step(g, h, a, &b, c, d, e, &f, t &+ 2)
                        step(f, g, h, &a, b, c, d, &e, t &+ 3)
                        step(e, f, g, &h, a, b, c, &d, t &+ 4)
                        step(d, e, f, &g, h, a, b, &c, t &+ 5)
                        step(c, d, e, &f, g, h, a, &b, t &+ 6)
                        step(b, c, d, &e, f, g, h, &a, t &+ 7)
                        t &+= 8
                    }
                    a = a &+ before.0
                    b = b &+ before.1
                    c = c &+ before.2
                    d = d &+ before.3
                    e = e &+ before.4
                    f = f &+ before.5
                    g = g &+ before.6
                    h = h &+ before.7
                }
            }
        }
        state = [a, b, c, d, e, f, g, h]
    }
}
