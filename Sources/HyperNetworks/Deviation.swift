// Decisions where the paper is silent or contradicts itself. docs/deviations.md prints them; `keys` names the
// configuration keys that switch one.

/// A decision that the paper leaves open.
public struct Deviation: Sendable, Equatable {
    /// Stable, for reference from configurations, tests and results.
    public let id: String
    /// The place in the paper.
    public let section: String
    /// The paper's words, or its silence.
    public let paper: String
    /// The choice of this suite.
    public let choice: String
    /// Why.
    public let reason: String
    /// The configuration keys that switch it; empty where none does.
    public let keys: [String]

    private init(_ id: String, _ section: String, paper: String, choice: String, reason: String, keys: [String] = []) {
        self.id = id
        self.section = section
        self.paper = paper
        self.choice = choice
        self.reason = reason
        self.keys = keys
    }

    /// Concerns the character models and the image models.
    private static let testedCheckpoint = Deviation(
        "testedCheckpoint", "§4, A.3",
        paper: "names early stopping on MNIST and enwik8, and elsewhere does not say which checkpoint is tested",
        choice: "the best on the validation split (of characters read as many streams until training ends, and as one "
            + "sequence then); the test split is read once, after that",
        reason: "any other choice would use the test split to select", keys: ["evaluation.validateAt"])

    /// Those that concern the character models.
    public static let characters: [Deviation] = [
        testedCheckpoint,
        Deviation(
            "hyperStateForEmbeddings", "Eq. 6, 11",
            paper: "prints ĥ_{t-1}, but says in §3.2 that ĥ_t makes the weights of the same step", choice: "ĥ_t",
            reason: "the text of §3.2 and the author's code, "
                + "[hardmaru/supercell](https://github.com/hardmaru/supercell)",
            keys: ["deviations.hyperStateForEmbeddings"]),
        Deviation(
            "forgetBias", "Eq. 9–13", paper: "has no forget bias",
            choice: "1 is added to f after its normalization, in the hyper cell "
                + "too", reason: "the author's code", keys: ["deviations.forgetBias"]),
        Deviation(
            "hyperLayerNorm", "Eq. 10", paper: "prints layer normalization in the hyper cell in every case",
            choice: "the hyper cell has it exactly where the main cell has", reason: "the author's code",
            keys: ["deviations.hyperLayerNorm"]),
        Deviation(
            "layerNormBias", "Eq. 10, 12",
            paper: "prints a bias under layer normalization, which has a shift of its own; its count of the Layer Norm "
                + "LSTM on enwik8, 14.82 M, fits a cell without the one or the other",
            choice: "both, 14,830,405 parameters",
            reason: "the equations; the author's code left the bias out there until December 2016, which gives "
                + "14,823,205"),
        Deviation(
            "printedCounts", "Tables 3, 4",
            paper: "counts 5.06 M for the large embedding on Penn Treebank, and 18.78 M for the Layer Norm HyperLSTM "
                + "of 1800 units on enwik8",
            choice: "5,085,682 and 18,728,773, as the equations give",
            reason: "5.06 M is what is left without the projections of Eq. 11, which the counts of other rows include; "
                + "no variant tried gives 18.78 M"),
        Deviation(
            "orthogonalPerGate", "A.2.3",
            paper:
                "does not say whether the packed matrix or each gate is orthogonal (Eq. 9 has a footnote: all eight matrices "
                + "are one in practice, for speed); in the author's code it was the packed one until October 18, 2016, and "
                + "is each gate since",
            choice: "each gate by itself, W_x (semi-orthogonal) too", reason: "a gate is a matrix of the equations"),
        Deviation(
            "hyperCellState", "Eq. 10",
            paper:
                "carries the hyper cell's state from step to step; the author's code, first published on September "
                + "29, 2016, began it from zeros at every step, and carries it since October 3",
            choice: "carried",
            reason: "the equations; the other has not been trained yet: [cross-check.md](cross-check.md)"),
        Deviation(
            "inputInitialValues", "A.2.3",
            paper:
                "says orthogonal for all weights; the author's code leaves W_x at its framework's default since "
                + "October 18, 2016",
            choice: "orthogonal",
            reason: "the paper; a one-hot input then adds little to a unit at first, 1/√1000 in a "
                + "plain LSTM of 1000 units, which therefore starts slowly", keys: ["deviations.inputInitialValues"]),
        Deviation(
            "scalingInitialValues", "A.2.3",
            paper:
                "starts W_ĥh, W_ĥx, their biases, W_hz and W_xz with constants, and trains with N_z = 4, 16 and 64; the N_z "
                + "elements of z_h, and those of z_x, then have equal gradients and stay equal",
            choice: "the constants; the row scales d_h and d_x then behave as with N_z = 1, and b(z_b), whose W_ĥb "
                + "starts with random numbers, does not",
            reason: "the paper and the author's code; `distinct` starts the elements apart: "
                + "[shortfalls.md](shortfalls.md)",
            keys: ["deviations.scalingInitialValues"]),
        Deviation(
            "outputInitialValues", "A.2.3, A.3.3",
            paper: "has all weights of the baselines orthogonal; gives no initial values for the output layer of a "
                + "HyperLSTM's model, nor for layer normalization",
            choice: "the output layer's weights orthogonal and its biases 0 in every model; γ = 1, β = 0",
            reason: "one output layer for all models; a normalization that starts as one, the usual way"),
        Deviation(
            "hyperRNNInitialValues", "Eq. 4–8, A.2.3",
            paper: "gives initial values for the HyperLSTM alone, not for an RNN or a HyperRNN",
            choice: "an RNN: orthogonal weights, biases 0; the efficient HyperRNN: those of the HyperLSTM; the full "
                + "one: each slice of W_hz and W_xz orthogonal, times 0.1 / √N_z",
            reason: "the main weights of both forms then start with elements of one mean square; equal slices would "
                + "have equal gradients and stay equal"),
        Deviation(
            "carryState", "A.3.3", paper: "does not say whether the state is carried from one sequence to the next",
            choice: "carried, zero at the start of an epoch", reason: "evaluation reads the split as one sequence",
            keys: ["training.carryState"]),
        Deviation(
            "clipByGlobalNorm", "A.3.3", paper: "gradient clipping of 1.0, by norm or by value",
            choice: "by the global norm of all gradients",
            reason: "the usual meaning for recurrent networks, and what the author's notebook for MNIST does"),
        Deviation(
            "layerNormEpsilon", "Eq. 10, 12", paper: "gives no ε", choice: "1e-3 under the square root",
            reason: "the author's code", keys: ["deviations.layerNormEpsilon"]),
        Deviation(
            "numberOfSteps", "A.3.3, A.3.4",
            paper:
                "gives neither the number of steps nor a decay of the rate on characters; names early stopping on enwik8, "
                + "without its patience",
            choice:
                "a constant rate, 40,000 steps on Penn Treebank, 80,000 on enwik8 and text8, and none is stopped early: "
                + "the best checkpoint is tested",
            reason:
                "the author's plot is best at step 37,000, and the curves of Figure 6 end at about 80,000 (the plot's rate "
                + "is not stated; the author's notebook for MNIST lets it fall)",
            keys: ["training.steps", "training.learningRate", "training.patience"]),
        Deviation(
            "characterBatches", "A.3.3, A.3.4", paper: "does not say how a text is divided into batches and sequences",
            choice:
                "as many contiguous streams as the batch has rows, read side by side in the same order every epoch; the "
                + "last sequence of an epoch may be shorter, and characters that do not fill all streams are left out",
            reason: "a state that is carried must meet the text that follows"),
        Deviation(
            "dropoutPlaces", "§4.3, A.2.3, A.3.3",
            paper:
                "says in A.2.3 that dropout acts in Eq. 13 alone, and names input, output and recurrent dropout in §4.3 and "
                + "A.3.3",
            choice:
                "all three on Penn Treebank, at the rates of §4.3 and A.3.3; Eq. 13's alone on enwik8; each with a mask "
                + "of its own at every step, that of the input over whole characters",
            reason: "these sections are those of the experiments",
            keys: ["model.keepInput", "model.keepOutput", "model.keepRecurrent"]),
        Deviation(
            "dropoutBetweenLayers", "A.3.3", paper: "does not say whether dropout acts between two layers",
            choice: "input dropout on the one-hot input, output dropout on the last layer, recurrent dropout in each; "
                + "nothing more between layers",
            reason: "the paper names input, output and recurrent only"),
        Deviation(
            "dropoutInHyperCell", "A.3.3, A.3.4",
            paper: "names recurrent dropout in the hyper cell for the model of 2048 units only",
            choice: "that model alone has it", reason: "the paper's words",
            keys: ["model.keepHyperRecurrent"]),
        Deviation(
            "adamConstants", "A.3.3, A.3.4", paper: "gives Adam's rate alone",
            choice: "β₁ = 0.9, β₂ = 0.999, ε = 1e-8", reason: "the values of Kingma and Ba, and every framework's",
            keys: ["training.adam.beta1", "training.adam.beta2", "training.adam.epsilon"]),
        Deviation(
            "gateChangeNorm", "Figure 4",
            paper: "shows how much each gate's weights changed, without saying in which norm",
            choice: "the Frobenius norm of the change of diag(d_h) W_h, gate by gate",
            reason: "the change of the matrix that multiplies h_{t-1}"),
        Deviation(
            "cellOutputHistograms", "Figure 5",
            paper: "shows histograms of φ(c_t) for models with layer normalization too", choice: "φ(LN(c_t)) for these",
            reason: "what h_t is made of in Eq. 13"),
        Deviation(
            "misprints", "Eq. 5, 6",
            paper: "leaves x_t out of Eq. 5, calls z_b z_z below it, and gives W_x̂ of Eq. 6 N_h + N_z columns",
            choice: "W_x(z_x) x_t, z_b, and N_h + N_x columns", reason: "Eq. 4 and 8, and x̂_t = (h_{t-1}, x_t)"),
    ]

    /// Those that concern the static hypernetworks.
    public static let staticNetworks: [Deviation] = [
        Deviation(
            "staticSliceByInput", "Eq. 2", paper: "can be read as slicing a kernel by input or by output channel",
            choice: "by input channel: one W_i and B_i for each, one W_out for all",
            reason: "the text of Eq. 2, where the author's "
                + "[notebook for MNIST](\(Paper.authorsCode)/assets/MNIST_Static_HyperNetwork_Example.ipynb) slices "
                + "by output channel; the paper's generators have as many inputs as outputs, so no count tells"),
        Deviation(
            "staticInitialValues", "§4.2", paper: "does not say how the generator and the embeddings start",
            choice: "generated kernels start with the standard deviation of He et al. for their layer's fan-in: W_i "
                + "orthogonal, W_out with orthogonal rows, each z of the length that its layer needs; biases 0",
            reason: "one generator serves fan-ins from 144 to 1,152; only the embeddings differ between layers",
            keys: ["deviations.generatorInitialValues"]),
        Deviation(
            "shardNormalization", "§4.2", paper: "does not say whether a batch was divided among devices",
            choice: "a batch in shards is normalized by the statistics of all of its images",
            reason: "the figures do not depend on the number of shards then; by shard it is another regularization",
            keys: ["deviations.batchNormalization"]),
        Deviation(
            "staticL2", "A.3.2", paper: "L2 regularization of 0.0005%",
            choice: "0.0005 as the coefficient of ½‖K‖² over all convolution kernels, owned and generated",
            reason: "the WRN paper's value, near whose figures the paper's baselines lie; the printed one is a "
                + "hundredth of it, and was not tried",
            keys: ["training.l2"]),
        Deviation(
            "staticInputNormalization", "§4.1, 4.2", paper: "does not say how images are normalized",
            choice: "CIFAR-10: mean 0 and standard deviation 1 for each channel, by the statistics of the training "
                + "split; MNIST: gray values from 0 to 1",
            reason: "the usual practice"),
        Deviation(
            "staticPadding", "A.3.1, A.3.2",
            paper: "pads images, without saying with what, or before or after normalization",
            choice: "with zeros, after it",
            reason: "a border then says nothing about brightness (the author's notebook for MNIST stretches digits by "
                + "interpolated rows and columns instead)"),
        Deviation(
            "staticMNISTSplit", "A.3.1", paper: "does not say which 5,000 training images validate on MNIST",
            choice: "5,000 drawn at random, by a seed of their own", reason: "as the paper draws CIFAR-10's",
            keys: ["data.splitSeed"]),
        Deviation(
            "staticOptimizers", "A.3.1, A.3.2", paper: "gives rates alone for Nesterov's momentum and for Adam",
            choice: "a momentum of 0.9; β₁ = 0.9, β₂ = 0.999, ε = 1e-8",
            reason: "the values of the Wide ResNet paper, and of Kingma and Ba",
            keys: [
                "training.nesterov.momentum", "training.adam.beta1", "training.adam.beta2", "training.adam.epsilon",
            ]),
        Deviation(
            "staticBatchNorm", "§4.2", paper: "gives no constants of batch normalization",
            choice: "ε = 1e-5; running statistics move by 0.1 of the difference a step",
            reason: "the values of PyTorch and of Torch, which the Wide ResNet paper used"),
        Deviation(
            "staticOwnedInitialValues", "§4.1, 4.2", paper: "does not say how owned weights start",
            choice: "kernels normal with the standard deviation of He et al., √(2 / fan-in); the output "
                + "layer orthogonal; biases 0",
            reason: "the usual practice for ReLU networks; generated kernels start with the same standard deviation "
                + "(in the author's notebook for MNIST kernels, generator and embedding start truncated normal)"),
        testedCheckpoint,
        Deviation(
            "staticIncompleteBatch", "A.3.1, A.3.2",
            paper: "does not say what becomes of the images of an epoch that fill no batch",
            choice: "left out of that epoch; each epoch has an order of its own",
            reason: "every step then has the same number of images"),
        Deviation(
            "staticShortcut", "§4.2", paper: "does not say what a shortcut does where the extents change",
            choice: "every second pixel, new channels of zeros; no parameters",
            reason: "learned 1×1 shortcuts cannot give the paper's counts for both widths"),
        Deviation(
            "staticStemAndBiases", "§4.2",
            paper: "does not say whether the stem is normalized, or which convolutions have a bias",
            choice:
                "a batch normalization after the stem, whose convolution has no bias; a bias on both convolutions of "
                + "every block, and on both of the MNIST network",
            reason: "gives the paper's counts of parameters for both widths, owned and generated"),
        Deviation(
            "staticMNISTLength", "A.3.1",
            paper: "gives neither the number of epochs nor the patience of early stopping",
            choice: "at most 100 epochs, ended after 20 without a better validation",
            reason:
                "twice the 50 epochs of the author's notebook, whose rate falls from 0.005 to 0.0003 meanwhile; the "
                + "validation falls slowly by then, and the Hyper Convnet's was still falling",
            keys: ["training.steps", "training.patience"]),
        Deviation(
            "staticCoordinates", "A.1",
            paper:
                "gives neither optimizer, batch, length, augmentation, the classifier's activation, initial values nor "
                + "scale of the coordinates; of the small network it says only that it has four layers and 801 parameters",
            choice:
                "Adam, batches of 1,000, no augmentation, ReLU; the ordinary network with a rate of 0.001 and the length of "
                + "`staticMNISTLength`, the other for 300 epochs with 0.003, after 200 steps of warm-up, falling to 0 along "
                + "half a cosine; a small network of 4-25-25-1 units; coordinates from −1 to 1; weights as He et al., "
                + "the output layer orthogonal, the small network's hidden biases standard normal; its outputs start "
                + "with mean 0 and standard deviation 1 and are multiplied by 0.01",
            reason:
                "801 numbers that make 200,000 weights learn slowly, and slower with augmentation; neighboring weights "
                + "are alike, and without the factor the first steps switch every hidden unit off"),
        Deviation(
            "staticMisprints", "A.1, §4.1, Table 7",
            paper: "has a matrix of 786 × 256 weights for 784 pixels; counts 4,240 parameters in the text and 4,244 in "
                + "the table",
            choice: "784 × 256; 4,240 of the generator and 4 of the embedding", reason: "the equations"),
    ]
}
