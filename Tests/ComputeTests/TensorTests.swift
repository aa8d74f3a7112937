import Compute
import Foundation
import Testing

struct TensorTests {
    @Test func aTensorHasItsShapeAndItsElementsInRowMajorOrder() {
        let matrix = Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
        #expect(matrix.shape == [2, 3] && matrix.count == 6 && matrix.floats == [1, 2, 3, 4, 5, 6])
        #expect(matrix.pointer[1 * 3 + 2] == 6)
        let scalar = Tensor([7], shape: [])
        #expect(scalar.shape == [] && scalar.count == 1 && scalar.floats == [7])
        for shape in [[0], [0, 5], [5, 0], [2, 0, 3]] {
            let empty = Tensor(zeros: shape)
            #expect(empty.shape == shape && empty.count == 0 && empty.floats.isEmpty && empty.copied().floats.isEmpty)
        }
        #expect(Tensor(zeros: [3]).floats == [0, 0, 0])
        #expect(Tensor(repeating: -2.5, shape: [1, 2]).floats == [-2.5, -2.5])
    }

    @Test func aReshapedTensorSharesElementsAndACopyDoesNot() {
        let tensor = Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
        let view = tensor.reshaped([3, 2]), copy = tensor.copied(), same = tensor
        tensor.fill(9)
        #expect(view.shape == [3, 2] && view.pointer == tensor.pointer)
        #expect(view.floats == [Float](repeating: 9, count: 6) && same.floats == view.floats)
        #expect(copy.shape == [2, 3] && copy.floats == [1, 2, 3, 4, 5, 6])
        tensor.copy(from: copy)
        #expect(view.floats == [1, 2, 3, 4, 5, 6])
        view.withUnsafeMutableBufferPointer { $0[5] = 0 }
        #expect(tensor.floats == [1, 2, 3, 4, 5, 0])
    }

    @Test func elementsAreAlignedToCacheLinesAndLargeBlocksToLargePages() {
        for count in Array(1...200) + [1000, 4097, 100_003] {
            #expect(Int(bitPattern: Tensor(uninitialized: [count]).pointer) % 64 == 0, "\(count) elements")
        }
        #expect(Int(bitPattern: Tensor(uninitialized: [600_000]).pointer) % (2 << 20) == 0)
    }

    /// In a process of its own: tests share the pool and run at the same time.
    @Test func memoryOfAReleasedTensorIsUsedAgain() async {
        await #expect(processExitsWith: .success) {
            func address(_ count: Int) -> Int { Int(bitPattern: Tensor(uninitialized: [count]).pointer) }
            let count = 3_333_333, first = address(count)
            #expect(address(count) == first)
            #expect(address(count - 40_000) == first, "sizes within an eighth share blocks")
            #expect(address(2 * count) != first)
        }
    }

    @Test func memoryIsNotUsedAgainWhileAViewHoldsIt() {
        let count = 4_444_444
        func view() -> Tensor { Tensor(repeating: 3, shape: [count]).reshaped([2, count / 2]) }
        let held = view(), other = Tensor(zeros: [count])
        #expect(other.pointer != held.pointer)
        #expect(held.pointer[0] == 3 && held.pointer[count - 1] == 3)
    }

    @Test func tensorsOfManyThreadsNeverShareMemory() async {
        let intact = await withTaskGroup(of: Bool.self) { group in
            for task in 0..<8 {
                group.addTask {
                    var held: [Tensor] = []
                    for round in 0..<500 {
                        let mark = Float(task * 1000 + round)
                        held.append(Tensor(repeating: mark, shape: [1 + (task * 31 + round * 17) % 300]))
                        if held.count > 5 {
                            let tensor = held.removeFirst(), expected = Float(task * 1000 + round - 5)
                            guard tensor.floats.allSatisfy({ $0 == expected }) else { return false }
                        }
                    }
                    return true
                }
            }
            return await group.allSatisfy { $0 }
        }
        #expect(intact)
    }
}
