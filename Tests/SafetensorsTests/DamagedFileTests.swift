import Foundation
import TestSupport
import Testing

@testable import Safetensors

/// Damaged files: an error or a file in order; never a trap, a hang or memory without bound.
@Suite struct DamagedFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func damagedFilesAreRefusedOrInOrder() throws {
        var file = SafetensorsFile(metadata: ["step": "100", "model": "{\"units\":12}"])
        file.append("W", shape: [3, 4], .float32([Float](repeating: 1.5, count: 12)))
        file.append("n", shape: [2], .int64([1, -1]))
        file.append("flags", shape: [], .uint8([1]))
        let original = file.encoded()
        let path = folder.path("damaged.safetensors")
        let before = peakMemory()
        var accepted = 0
        for number in Damage.cases(400) {
            var damage = Damage(case: number)
            try Data(damage.damaged(original)).write(to: URL(fileURLWithPath: path))
            do {
                let found = try expectEnd(of: "case \(number)") { try SafetensorsFile(path: path) }
                accepted += 1
                #expect(found.entries.allSatisfy { $0.values.count == $0.shape.reduce(1, *) }, "case \(number)")
            } catch {
                #expect("\(error)".contains(path), "case \(number): \(error)")
            }
        }
        #expect(peakMemory() - before < 256 << 20)
        if Damage.isStress { print("safetensors: \(Damage.cases(400).count) cases, \(accepted) read") }
    }
}
