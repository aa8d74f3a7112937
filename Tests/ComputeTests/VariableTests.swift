import Compute
import Testing

/// The tape. Whole numbers, so that gradients are exact.
struct VariableTests {
    private func parameter(_ values: [Float]) -> Variable {
        Variable(Tensor(values, shape: [values.count]), requiresGradient: true)
    }

    @Test func theGradientOfTwoUsesIsTheSumOfBoth() {
        let x = parameter([2, -3, 5]), y = parameter([1, 4, -2])
        // d/dx Σ (x ⊙ x + x ⊙ y − x) = 2 x + y − 1
        sum(x * x + x * y - x).backward()
        #expect(x.gradient?.floats == [4, -3, 7])
        #expect(y.gradient?.floats == [2, -3, 5])
    }

    @Test func anOperandThatIsUsedEarlyAndLateIsPropagatedOnceAfterBothUses() {
        let x = parameter([3]), early = x * x
        var late = early
        for _ in 0..<10 { late = affine(late, scale: 2) }
        // d/dx (x² · 2¹⁰ · x²) = 4 x³ · 2¹⁰
        (late * early).backward()
        #expect(x.gradient?.floats == [4 * 27 * 1024])
    }

    @Test func sharedSubexpressionsAreVisitedOnceNotOncePerPath() {
        let x = parameter([1])
        var y = x
        for _ in 0..<60 { y = y + y }  // 2^60 paths
        y.backward()
        #expect(x.gradient?.floats == [0x1p60])
    }

    /// An operation of a library's user: by what is public, without `@testable`.
    @Test func anOperationFromOutsideIsDifferentiatedLikeTheOthers() {
        func cube(_ x: Variable) -> Variable {
            let values = x.value.floats
            return Variable(Tensor(values.map { $0 * $0 * $0 }, shape: x.shape), operands: [x]) { gradient in
                let products = zip(values, gradient.floats).map { 3 * $0 * $0 * $1 }
                x.addGradient(Tensor(products, shape: x.shape))
            }
        }
        let x = parameter([2, -3])
        // d/dx Σ (2 x³ + x²) = 6 x² + 2 x
        sum(affine(cube(x), scale: 2) + x * x).backward()
        #expect(x.gradient?.floats == [28, 48])
    }

    @Test func gradientsAccumulateUntilTheyAreCleared() {
        let x = parameter([2, 3])
        #expect(x.gradient == nil)
        sum(x * x).backward()
        sum(affine(x, scale: 10)).backward()
        #expect(x.gradient?.floats == [14, 16])
        x.clearGradient()
        #expect(x.gradient == nil)
        sum(x * x).backward()
        #expect(x.gradient?.floats == [4, 6], "what was cleared does not come back")
        x.clearGradient()
        #expect(x.gradientOrZeros.floats == [0, 0])
        sum(x * x).backward()
        #expect(x.gradient?.floats == [4, 6])
    }

    @Test func onlyWhatRequiresAGradientGetsOne() {
        let x = parameter([2]), constant = Variable(Tensor([5], shape: [1]))
        let product = x * constant
        #expect(product.requiresGradient && !(constant * constant).requiresGradient)
        (product + x.detached * x.detached).backward()
        #expect(x.gradient?.floats == [5])
        #expect(constant.gradient == nil && product.gradient == nil, "results in between keep none")
        (constant * constant).backward()
        #expect(constant.gradient == nil)
    }

    @Test func aParameterIsNotWrittenToThroughAGradientItShares() {
        let x = parameter([1, 2]), y = parameter([3, 4]), seed = Tensor([1, 1], shape: [2])
        (x + y).backward(seed: seed)
        (x + x).backward(seed: seed)
        #expect(x.gradient?.floats == [3, 3])
        #expect(y.gradient?.floats == [1, 1])
        #expect(seed.floats == [1, 1])
    }

    /// Doubling a gradient as its last change.
    private var doubling: DeferredGradientChange {
        DeferredGradientChange(reads: []) { gradient, elements, destination in
            for (place, element) in elements.enumerated() { destination[place] = 2 * gradient.pointer[element] }
        }
    }

    @Test func aLastChangeIsMadeOnceHoweverTheGradientIsReadNext() {
        let x = parameter([1, 2, 3])
        x.addGradient(Tensor([1, 1, 1], shape: [3]))
        x.changeGradient(doubling)
        #expect(x.gradient?.floats == [2, 2, 2] && x.gradient?.floats == [2, 2, 2])

        // Left to the operation that made the value, and made by what comes before it is asked.
        func copied(_ x: Variable, given: @escaping (Tensor, DeferredGradientChange?) -> Void) -> Variable {
            Variable(Tensor(x.value.floats, shape: x.shape), operands: [x], propagateParts: given)
        }
        let read = copied(x) { _, change in #expect(change == nil) }
        read.addGradient(Tensor([1, 2, 3], shape: [3]))
        read.changeGradient(doubling)
        #expect(read.gradient?.floats == [2, 4, 6])
        let added = copied(x) { gradient, change in
            #expect(change == nil && gradient.floats == [3, 5, 7])
        }
        added.addGradient(Tensor([1, 2, 3], shape: [3]))
        added.changeGradient(doubling)
        added.backward(seed: Tensor([1, 1, 1], shape: [3]))
        read.clearGradient()
        #expect(read.gradient == nil)
    }

    @Test func anOperationThatGoesPartByPartMakesTheLastChangeItself() throws {
        let x = parameter([1, 2, 3]), z = parameter([1, 1, 1])
        var parts: [Float] = []
        func goes(_ gradient: Tensor, _ change: DeferredGradientChange?) {
            #expect(gradient.floats == [1, 2, 3], "not changed yet")
            let copy = Tensor(zeros: [3])
            for part in [0..<1, 1..<3] { change?.write(gradient, part, copy.pointer + part.lowerBound) }
            parts = copy.floats
            x.addGradient(copy)
        }
        let y = Variable(Tensor([1, 2, 3], shape: [3]), operands: [x], propagateParts: goes)
        let last = Variable(Tensor([0, 0, 0], shape: [3]), operands: [y, z]) { gradient in
            y.addGradient(gradient)
            y.changeGradient(doubling)
        }
        last.backward(seed: Tensor([1, 2, 3], shape: [3]))
        #expect(parts == [2, 4, 6] && x.gradient?.floats == [2, 4, 6])
    }

    @Test func aSeedWeightsTheElements() {
        let x = parameter([2, 3, 4])
        (x * x).backward(seed: Tensor([1, 0, -10], shape: [3]))
        #expect(x.gradient?.floats == [4, 0, -80])
    }

    @Test func backwardOfAVectorWithoutASeedIsAProgrammersError() async {
        await #expect(processExitsWith: .failure) {
            sum(Variable(Tensor(zeros: [2]), requiresGradient: true)).backward()
            Variable(Tensor(zeros: [2]), requiresGradient: true).backward()
        }
    }

    /// The second gradient would not reach x.
    @Test func twoLossesOfOneResultAreAddedBeforeBackward() async {
        let x = parameter([3]), y = x * x
        (affine(y, scale: 2) + affine(y, scale: 5)).backward()
        #expect(x.gradient?.floats == [42])
        await #expect(processExitsWith: .failure) {
            let x = Variable(Tensor([3], shape: [1]), requiresGradient: true), y = x * x
            affine(y, scale: 2).backward()
            affine(y, scale: 5).backward()
        }
    }

    @Test func withoutGradientRecordsNothingAndEndsWithItsBody() throws {
        struct Stop: Error {}
        let x = parameter([2])
        let silent = withoutGradient { withoutGradient { x * x } + x }
        #expect(silent.value.floats == [6] && !silent.requiresGradient)
        silent.backward()
        #expect(x.gradient == nil)
        #expect(throws: Stop.self) { try withoutGradient { throw Stop() } }
        (x * x).backward()
        #expect(x.gradient?.floats == [4])
    }

    /// Threads of the test runner have stacks of 512 KiB: 100,000 frames of 6 bytes.
    @Test func aChainOfAHundredThousandOperationsIsDifferentiated() {
        let x = parameter([1])
        var y = x
        for _ in 0..<100_000 { y = affine(y, offset: 1) }
        #expect(y.value.floats == [100_001])
        y.backward()
        #expect(x.gradient?.floats == [1])
    }

    @Test func aChainOfAHundredThousandOperationsIsReleasedWithoutBackward() {
        let x = parameter([1])
        weak var last: Variable?
        do {
            var y = x
            for _ in 0..<100_000 { y = y + x }
            last = y
        }
        #expect(last == nil)
    }
}
