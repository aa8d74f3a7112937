import Compute
import Foundation
import Testing

@Suite("Profile") struct ProfileTests {
    @Test func addsUpCallsAndWork() throws {
        let entries = Profile.record {
            for _ in 0..<3 { Profile.measure("product", flops: 10, floats: 2) {} }
        }
        let entry = try #require(entries.first)
        #expect(entries.count == 1)
        #expect(entry.name == "product" && entry.calls == 3 && entry.flops == 30 && entry.bytes == 24)
    }

    /// Time that an inner operation reports is not reported again by the one around it.
    @Test func countsTheTimeOfInnerOperationsOnce() throws {
        let start = Date()
        let entries = Profile.record {
            Profile.measure("outer") {
                Profile.measure("inner") { Thread.sleep(forTimeInterval: 0.05) }
            }
        }
        let total = Date().timeIntervalSince(start)
        let seconds = Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.seconds) })
        let inner = try #require(seconds["inner"]), outer = try #require(seconds["outer"])
        #expect(inner >= 0.05 && outer >= 0 && inner + outer <= total)
    }

    @Test func reportsNothingWithoutAProfile() {
        #expect(Profile.measure("product") { 7 } == 7)
        #expect(Profile.record {}.isEmpty)
    }

    @Test func aMatrixProductReportsItsOperations() throws {
        let (m, n, k) = (3, 5, 7)
        let x = Variable(Tensor(zeros: [m, k])), w = Variable(Tensor(zeros: [k, n]))
        let entry = try #require(Profile.record { _ = matmul(x, w) }.first)
        #expect(entry.flops == Double(2 * m * n * k) && entry.bytes == Double(4 * (m * k + k * n + m * n)))
    }
}
