/// Statistics of the last axis of a value, over all others.
package struct ChannelMoments {
    package let mean: [Double]
    /// With the divisor n.
    package let variance: [Double]
    /// Elements of a channel: n.
    package let count: Int

    package init(mean: [Double], variance: [Double], count: Int) {
        (self.mean, self.variance, self.count) = (mean, variance, count)
    }
}
