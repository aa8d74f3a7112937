/// The course of reading a split: the seconds since its beginning, without those that the machine slept.
public struct ReadingProgress {
    private let name: String
    private let total: Int
    private let progress: any ProgressReporter
    private let start = SuspendingClock.now

    /// - Parameters:
    ///   - name: The split's name.
    ///   - total: Predictions in all.
    public init(_ name: String, total: Int, to progress: any ProgressReporter) {
        self.name = name
        self.total = total
        self.progress = progress
    }

    public var seconds: Double { (SuspendingClock.now - start).seconds }

    /// Reports so many predictions as made; a short reading passes without a word.
    public func report(done: Int) {
        let seconds = seconds
        guard seconds > 2 else { return }
        progress.report(
            .evaluating(
                split: name, done: done, total: total, secondsLeft: seconds / Double(done) * Double(total - done)))
    }
}
