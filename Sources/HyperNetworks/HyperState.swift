/// The state of a recurrent hypernetwork: that of the main cell, [B, H] a part, and that of the hyper cell, [B, h].
public struct HyperState<Main: CellState>: CellState {
    public var main: Main
    public var hyper: Main

    public init(main: Main, hyper: Main) {
        self.main = main
        self.hyper = hyper
    }

    /// The main cell's h.
    public var h: Variable { main.h }

    public func map(_ transform: (_ name: String, _ part: Variable) -> Variable) -> HyperState {
        HyperState(main: main.map(transform), hyper: hyper.map { transform("hyper.\($0)", $1) })
    }
}

/// The state of a HyperRNN: h and ĥ.
public typealias HyperRNNState = HyperState<RNNState>
/// The state of a HyperLSTM: h, c, ĥ and ĉ.
public typealias HyperLSTMState = HyperState<LSTMState>
