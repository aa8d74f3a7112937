import Datasets
import Foundation
import TestSupport
import Testing

@Suite struct ChecksumTests {
    /// The test suite of RFC 1321, appendix A.5.
    @Test(arguments: [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a"
        ),
    ])
    func md5_givesTheDigestsOfRFC1321(message: String, digest: String) {
        #expect(Checksum.md5(Array(message.utf8)) == digest)
    }

    /// Vectors of FIPS 180-2, appendix B, and the empty message.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func sha256_givesTheDigestsOfFIPS180(message: String, digest: String) {
        #expect(Checksum.sha256(Array(message.utf8)) == digest)
    }

    @Test func digests_ofAMillionLettersAAreThePublishedOnes() {
        let message = [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)
        #expect(Checksum.sha256(message) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
        #expect(Checksum.md5(message) == "7707d6ae4e027c70eea2a935c2296f21")
    }

    /// The lengths about a block's end take every branch of the padding. Digests by Python's hashlib of 0, 1, 2, …
    @Test(arguments: [
        (55, "6912ee65fff2d9f9ce2508cddf8bcda0", "463eb28e72f82e0a96c0a4cc53690c571281131f672aa229e0d45ae59b598b59"),
        (56, "51fdd1acda72405dfdfa03fcb85896d7", "da2ae4d6b36748f2a318f23e7ab1dfdf45acdc9d049bd80e59de82a60895f562"),
        (57, "5320ef4c17ef34a0cf2db763338d25eb", "2fe741af801cc238602ac0ec6a7b0c3a8a87c7fc7d7f02a3fe03d1c12eac4d8f"),
        (63, "48a6295221902e8e0938f773a7185e72", "29af2686fd53374a36b0846694cc342177e428d1647515f078784d69cdb9e488"),
        (64, "b2d3f56bc197fd985d5965079b5e7148", "fdeab9acf3710362bd2658cdc9a29e8f9c757fcf9811603a8c447cd1d9151108"),
        (65, "8bd7053801c768420faf816fadba971c", "4bfd2c8b6f1eec7a2afeb48b934ee4b2694182027e6d0fc075074f2fabb31781"),
        (119, "1c772251899a7ff007400b888d6b2042", "da18797ed7c3a777f0847f429724a2d8cd5138e6ed2895c3fa1a6d39d18f7ec6"),
        (120, "b7ba1efc6022e9ed272f00b8831e26e6", "f52b23db1fbb6ded89ef42a23ce0c8922c45f25c50b568a93bf1c075420bbb7c"),
        (128, "37eff01866ba3f538421b30b7cbefcac", "471fb943aa23c511f6f72f8d1652d9c880cfa392ad80503120547703e56a2be5"),
    ])
    func digests_ofLengthsAboutABlock(count: Int, md5: String, sha256: String) {
        let message = (0..<count).map { UInt8($0) }
        #expect(Checksum.md5(message) == md5)
        #expect(Checksum.sha256(message) == sha256)
    }

    @Test func sha256ofFile_isThatOfItsBytesOverSeveralBuffers() throws {
        let folder = try TemporaryFolder()
        let content = noise(600_001)  // two buffers of 256 KiB and an odd rest
        let path = try folder.write(content, to: "noise").path
        #expect(try Checksum.sha256(ofFile: path) == Checksum.sha256(content))
    }

    @Test func sha256ofFile_ofAMissingFileIsUnreadableWithItsPath() throws {
        let folder = try TemporaryFolder()
        let error = try datasetError { try Checksum.sha256(ofFile: folder.path("absent")) }
        #expect(error == .unreadable(path: folder.path("absent"), reason: "No such file or directory"))
    }
}
