/// x ⊙ mask.
///
/// - Parameters:
///   - x: Any shape.
///   - mask: A mask over as many elements.
public func dropout(_ x: Variable, _ mask: DropoutMask) -> Variable {
    func masked(_ source: Tensor) -> Tensor {
        let result = Tensor(uninitialized: source.shape), block = 4096
        Parallel.loop((source.count + block - 1) / block) { index in
            let first = index * block, count = min(block, source.count - first)
            let out = result.pointer + first
            mask.write(first: first, count: count, to: out)
            for n in 0..<count { out[n] *= source.pointer[first + n] }
        }
        return result
    }
    return Variable(masked(x.value), operands: [x]) { gradient in x.addGradient(masked(gradient)) }
}
