import Figures
import HyperNetworks

/// A map of the layer embeddings z of a static hypernetwork, by their directions: along the two axes on which the
/// layers differ most. (Lengths set the scale of a layer's kernels and would hide the directions.)
public enum EmbeddingMap {
    /// Layers of one group have one color and shape; small points are all embeddings, large ones the mean direction of
    /// a layer's.
    ///
    /// - Returns: Nil for a network that owns its kernels.
    public static func figure(of network: WideResNet, name: String) -> LabeledMap? {
        guard case .generated(let hypernetwork) = network.kernels else { return nil }
        let size = hypernetwork.embeddingSize, values = hypernetwork.z.value.floats.map(Double.init)
        let embeddings = stride(from: 0, to: values.count, by: size).map { unit(Array(values[$0..<$0 + size])) }
        var layers: [[[Double]]] = [], first = 0
        for layer in hypernetwork.layers {
            let count = StaticHypernetwork.embeddingCount(of: layer, basic: hypernetwork.basic)
            layers.append(Array(embeddings[first..<first + count]))
            first += count
        }
        let perGroup = layers.count / 3
        let groups = (0..<3).map { Array(layers[$0 * perGroup..<($0 + 1) * perGroup]) }
        let axes = PrincipalAxes(layers.map { unit(mean($0)) })
        func place(_ z: [Double]) -> (x: Double, y: Double) {
            (axes.coordinate(z, axis: 0), axes.coordinate(z, axis: 1))
        }
        func percent(_ share: Double) -> String { "\(Int((100 * share).rounded())) %" }
        let between = shareBetween(groups.map { $0.flatMap { $0 } })
        return LabeledMap(
            title: "Directions of the layer embeddings z, \(name)",
            caption: "small: every z; large: the mean of a layer's, with its number in the group."
                + " Between groups lie \(percent(between)) of the variance of all z",
            xLabel: "first principal axis of the layers, \(percent(axes.shares[0])) of their variance",
            yLabel: "second principal axis, \(percent(axes.shares[1])) of their variance",
            groups: groups.enumerated().map { group, layers in
                LabeledMap.Group(
                    name: "conv\(group + 2), \(layers.reduce(0) { $0 + $1.count }) z",
                    points: layers.flatMap { $0 }.map(place),
                    labels: layers.enumerated().map { index, own in
                        let center = place(unit(mean(own)))
                        return (text: "\(index + 1)", x: center.x, y: center.y)
                    })
            })
    }

    /// A vector's direction.
    private static func unit(_ vector: [Double]) -> [Double] {
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return length > 0 ? vector.map { $0 / length } : vector
    }

    private static func mean(_ vectors: [[Double]]) -> [Double] {
        vectors[0].indices.map { i in vectors.reduce(0) { $0 + $1[i] } / Double(vectors.count) }
    }

    /// The share of the variance of all vectors that lies between the means of the groups.
    static func shareBetween(_ groups: [[[Double]]]) -> Double {
        let all = groups.flatMap { $0 }, center = mean(all)
        func square(_ vector: [Double]) -> Double {
            zip(vector, center).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        }
        let total = all.reduce(0) { $0 + square($1) }
        let between = groups.reduce(0) { $0 + Double($1.count) * square(mean($1)) }
        return total > 0 ? between / total : 0
    }
}

/// The mean and the two directions of greatest variance of vectors.
struct PrincipalAxes {
    let mean: [Double]
    let directions: [[Double]]
    /// Of the whole variance, along each direction.
    let shares: [Double]

    /// By power iteration on the covariance, the second time without the first direction.
    ///
    /// - Precondition: At least one vector, all of one length.
    init(_ vectors: [[Double]]) {
        let size = vectors[0].count, count = Double(vectors.count)
        let mean = (0..<size).map { i in vectors.reduce(0) { $0 + $1[i] } / count }
        let centered = vectors.map { vector in zip(vector, mean).map { $0 - $1 } }
        var covariance = (0..<size).map { i in
            (0..<size).map { j in centered.reduce(0) { $0 + $1[i] * $1[j] } / count }
        }
        let total = (0..<size).reduce(0) { $0 + covariance[$1][$1] }
        var directions: [[Double]] = [], shares: [Double] = []
        for _ in 0..<2 {
            // Any start that is not at right angles to the direction; these are all different.
            var direction = (0..<size).map { 1 + Double($0) / Double(size) }
            var variance = 0.0
            for _ in 0..<1000 {
                let next = covariance.map { row in zip(row, direction).reduce(0) { $0 + $1.0 * $1.1 } }
                variance = next.reduce(0) { $0 + $1 * $1 }.squareRoot()
                guard variance > 0 else { break }
                direction = next.map { $0 / variance }
            }
            directions.append(direction)
            shares.append(total > 0 ? variance / total : 0)
            for i in 0..<size {
                for j in 0..<size { covariance[i][j] -= variance * direction[i] * direction[j] }
            }
        }
        self.mean = mean
        self.directions = directions
        self.shares = shares
    }

    /// The coordinate of a vector along an axis.
    func coordinate(_ vector: [Double], axis: Int) -> Double {
        zip(zip(vector, mean), directions[axis]).reduce(0) { $0 + ($1.0.0 - $1.0.1) * $1.1 }
    }
}
