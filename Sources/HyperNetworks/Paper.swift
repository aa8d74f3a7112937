/// The paper that this module is about.
public enum Paper {
    public static let name = "HyperNetworks"
    public static let citation =
        "Ha, Dai, Le, *HyperNetworks*, 2016, <https://arxiv.org/abs/1609.09106>"

    /// Where the first author's cells, a notebook and a training plot are.
    public static let authorsCode = "https://github.com/hardmaru/supercell/blob/master"

    /// Its tables whose data or means are out of reach here, one sentence each.
    public static let outOfReach = [
        "Table 5 (handwriting, log-loss on the validation split: LSTM −1,055, Layer Norm LSTM −1,096, Layer Norm HyperLSTM"
            + " −1,067, HyperLSTM −1,162): not run; IAM On-Line is given out to registered users only.",
        "Table 6 (English to French with GNMT and HyperLSTM cells: 40.03 BLEU against 38.95): not run; it takes WMT'14 and"
            + " a production translation system.",
    ]
}
