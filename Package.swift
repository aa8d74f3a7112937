// swift-tools-version: 6.2
import PackageDescription

// The modules, lowest first. A target may import only what stands above it in this list;
// `LayeringTests` holds the `import` lines to it.
let package = Package(
    name: "hypernetworks",
    // For `Mutex`.
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "HyperNetworks", targets: ["HyperNetworks"]),
        .library(name: "Safetensors", targets: ["Safetensors"]),
        .executable(name: "char-hyperlstm", targets: ["char-hyperlstm"]),
        .executable(name: "static-hypernet", targets: ["static-hypernet"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        // Tested with 5.0.1 and 6.2.2.
        .package(url: "https://github.com/jpsim/Yams", "5.0.1"..<"7.0.0"),
    ],
    targets: [
        // C: vector kernels behind run-time dispatch, the thread pool, and the loader of OpenBLAS.
        .target(name: "CKernels"),
        .target(name: "COpenBLAS", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        // MPI, loaded at run time where a program is started by `mpirun` or `srun`.
        .target(name: "CMPI", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // Libraries.
        .target(name: "Compute", dependencies: ["CKernels", "COpenBLAS"]),
        .target(name: "Safetensors"),
        .target(name: "Processes", dependencies: ["CMPI"]),
        .target(name: "Datasets", dependencies: ["CZlib"]),
        .target(name: "NeuralNetwork", dependencies: ["Compute", "Safetensors"]),
        .target(name: "HyperNetworks", dependencies: ["NeuralNetwork"]),
        .target(name: "Figures", dependencies: ["CZlib"]),
        .plugin(name: "WriteSourceCommit", capability: .buildTool(), exclude: ["write.sh"]),
        .target(name: "SourceCommit", plugins: ["WriteSourceCommit"]),
        .target(name: "PaperFigures", dependencies: ["Figures", "HyperNetworks"]),
        .target(
            name: "ExperimentKit",
            dependencies: [
                "Figures", "NeuralNetwork", "Compute", "Datasets", "Processes", "Safetensors", "SourceCommit", "Yams",
            ]),
        // What is this paper's, by kind of data.
        .target(
            name: "CharacterExperiments",
            dependencies: ["ExperimentKit", "HyperNetworks", "NeuralNetwork", "Compute", "Datasets"]),
        .target(
            name: "ImageExperiments",
            dependencies: ["ExperimentKit", "HyperNetworks", "NeuralNetwork", "Compute", "Datasets", "Safetensors"]),

        .target(
            name: "ExperimentCommands",
            dependencies: [
                "ExperimentKit", "Figures", "Compute", "Datasets", "Processes",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        // Experiments.
        .executableTarget(
            name: "char-hyperlstm",
            dependencies: [
                "CharacterExperiments", "ExperimentKit", "ExperimentCommands", "PaperFigures", "Figures", "Datasets",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "experiments/char-hyperlstm",
            exclude: ["configs", "cross-check", "figures", "runs"]),
        .executableTarget(
            name: "static-hypernet",
            dependencies: [
                "ImageExperiments", "ExperimentKit", "ExperimentCommands", "PaperFigures", "Figures", "HyperNetworks",
                "Datasets", "Safetensors",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "experiments/static-hypernet",
            exclude: ["configs", "figures", "runs"]),
        .executableTarget(
            name: "benchmarks",
            dependencies: [
                "CharacterExperiments", "ExperimentKit", "ExperimentCommands", "Figures", "HyperNetworks", "Processes",
                "Compute",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "experiments/benchmarks",
            exclude: ["NOTES.md", "RESULTS.md", "measured", "network.sh", "pytorch", "scaling.py"]),

        // Tests: one bundle a target, and what they share.
        .target(
            name: "TestSupport", dependencies: ["Compute", "Datasets", "Safetensors"], path: "Tests/TestSupport",
            exclude: ["oracle.py"]),
        .testTarget(name: "ComputeTests", dependencies: ["Compute", "CKernels", "COpenBLAS", "TestSupport"]),
        .testTarget(
            name: "SafetensorsTests", dependencies: ["Safetensors", "TestSupport"], exclude: ["Fixtures"]),
        .testTarget(name: "DatasetsTests", dependencies: ["Datasets", "TestSupport"]),
        .testTarget(
            name: "NeuralNetworkTests", dependencies: ["NeuralNetwork", "Safetensors", "TestSupport"],
            exclude: ["Fixtures"]),
        .testTarget(
            name: "HyperNetworksTests", dependencies: ["HyperNetworks", "TestSupport"], exclude: ["Fixtures"]),
        .testTarget(name: "FiguresTests", dependencies: ["Figures", "PaperFigures", "HyperNetworks", "TestSupport"]),
        .testTarget(
            name: "ExperimentKitTests",
            dependencies: [
                "ExperimentKit", "ExperimentCommands", "CharacterExperiments", "ImageExperiments", "char-hyperlstm",
                "static-hypernet", "Figures", "HyperNetworks", "NeuralNetwork", "Compute", "Datasets", "Processes",
                "Safetensors", "TestSupport",
            ], exclude: ["Fixtures"]),
        .testTarget(name: "TestSupportTests", dependencies: ["TestSupport", "Safetensors"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11
)
