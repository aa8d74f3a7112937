/// Test figures of others that the paper quotes beside its own, in bits per character; for text8, which is not in the
/// paper, the figures of the time.
enum PublishedContext {
    static func rows(of table: CharacterTable) -> [(name: String, test: Double)] {
        switch table {
        case .table3:
            return [
                ("ME n-gram", 1.37), ("Batch Norm LSTM", 1.32), ("Recurrent Dropout LSTM", 1.301),
                ("Zoneout RNN", 1.27), ("HM-LSTM", 1.27),
            ]
        case .table4:
            return []
        case .text8:
            return [("MI-LSTM", 1.44), ("mLSTM", 1.40), ("BN-LSTM", 1.36), ("HM-LSTM", 1.29), ("RHN", 1.27)]
        }
    }
}
