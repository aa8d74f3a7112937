import Foundation

/// The image data sets, by the names that configs and commands use.
public enum ImageDatasetName: String, CaseIterable, Codable, Sendable {
    /// 32 × 32 color photographs of ten kinds of things (§4.2 of the paper).
    case cifar10
    /// 28 × 28 gray handwritten digits (§4.1 and A.1 of the paper).
    case mnist
    /// The generated images of ``SampleImages`` in CIFAR-10's layout.
    case sampleCIFAR10 = "sample-cifar10"
    /// The generated images of ``SampleImages`` in MNIST's layout.
    case sampleMNIST = "sample-mnist"

    /// The data set's name in a sentence and in tables.
    public var title: String {
        switch self {
        case .cifar10: return "CIFAR-10"
        case .mnist: return "MNIST"
        case .sampleCIFAR10: return "Generated sample, 32 × 32 color"
        case .sampleMNIST: return "Generated sample, 28 × 28 gray"
        }
    }

    /// Whether it is one of the generated data sets that the repository contains.
    public var isSample: Bool { self == .sampleCIFAR10 || self == .sampleMNIST }

    /// What `data/download.sh` calls it; nil for a sample, which is part of the repository.
    var downloadName: String? { isSample ? nil : rawValue }

    /// The number of the training file's images that the paper sets aside for validation; for a sample, the number
    /// here.
    public var validationCount: Int { isSample ? SampleImages.validationCount : 5000 }

    /// Images in the training file or files, validation included.
    var trainingFileCount: Int {
        switch self {
        case .cifar10: return 50_000
        case .mnist: return 60_000
        case .sampleCIFAR10, .sampleMNIST: return SampleImages.trainingFileCount
        }
    }

    /// Images in the test file.
    var testFileCount: Int { isSample ? SampleImages.testCount : 10_000 }

    /// The prefix of the official layout in the data folder.
    var folderPrefix: String { isSample ? "sample/" : "" }
}

/// Images of one size with their labels.
public struct ImageSet: Sendable, Equatable {
    /// Number of images.
    public let count: Int
    public let height: Int
    public let width: Int
    public let channels: Int
    /// Brightness 0 … 255, [count, height, width, channels].
    public let pixels: [UInt8]
    /// Classes from 0, [count].
    public let labels: [UInt8]

    /// - Precondition: `pixels` are as many as `labels` times height, width and channels.
    public init(height: Int, width: Int, channels: Int, pixels: [UInt8], labels: [UInt8]) {
        precondition(
            pixels.count == labels.count * height * width * channels,
            "\(pixels.count) pixels for images [\(labels.count), \(height), \(width), \(channels)]")
        count = labels.count
        self.height = height
        self.width = width
        self.channels = channels
        self.pixels = pixels
        self.labels = labels
    }

    /// Values of one image: height · width · channels.
    public var imageSize: Int { height * width * channels }

    /// The number of images of each label, [classes].
    public func classCounts(classes: Int) -> [Int] {
        var counts = [Int](repeating: 0, count: classes)
        for label in labels { counts[Int(label)] += 1 }
        return counts
    }
}

/// Labeled images in three splits.
///
/// The test split is the test file. The validation split is drawn at random, without replacement, from the training
/// file (the five training files of CIFAR-10, in the order of their numbers), by a seed of its own: the paper draws
/// CIFAR-10's so and says of MNIST's only that it has 5,000 images. Both splits keep the order of the file.
public struct ImageDataset: Sendable {
    /// Short and without blanks, for file names and records: "cifar10".
    public let name: String
    /// For tables and messages: "CIFAR-10", "CIFAR-10, unofficial files".
    public let displayName: String
    public let train: ImageSet
    public let validation: ImageSet
    public let test: ImageSet
    /// The files.
    public let source: DataSource
    /// Mean brightness of the training split (without the validation images) by channel, 0 … 255, [channels].
    public let channelMeans: [Double]
    /// Standard deviation likewise: the root of the mean squared distance from the channel's mean, [channels].
    public let channelDeviations: [Double]

    /// Reads a data set from a data folder.
    ///
    /// | data set | files, the first that is there |
    /// |---|---|
    /// | cifar10 | `cifar-10-binary.tar.gz`; `cifar-10-batches-bin/{data_batch_1…5,test_batch}.bin.gz`, `….bin` |
    /// | mnist | `mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz`, the same without `.gz` |
    /// | samples | the same under `sample/` |
    ///
    /// Each of MNIST's files is also found with a dot in its name (`train-images.idx3-ubyte`), and under either name in
    /// `MNIST/raw/`.
    ///
    /// CIFAR-10 that is not the official archive keeps its name if it has the official number of images in every class
    /// and the official channel means and deviations, and gets a note: the order of the images and the packing say
    /// nothing about a result. Anything else that is not official is called so.
    ///
    /// - Parameters:
    ///   - validationCount: How many images to set aside; nil for ``ImageDatasetName/validationCount``.
    ///   - seed: Draws the validation images, and nothing else.
    /// - Throws: `DatasetError.validationCount` if no image is left for training; `.missing` if files are absent (the
    ///   caller may fall back to a sample), `.imageCount`, `.labelOutOfRange`, `.malformedContent`,
    ///   `.truncatedContent`, `.missingEntry`, and those of ``GzipReader`` and ``TarReader``.
    public static func open(
        _ name: ImageDatasetName, dataFolder: DataFolder, validationCount: Int? = nil, seed: UInt64
    ) throws -> ImageDataset {
        let validationCount = validationCount ?? name.validationCount
        guard (0..<name.trainingFileCount).contains(validationCount) else {
            throw DatasetError.validationCount(
                images: name, most: name.trainingFileCount - 1, found: validationCount)
        }
        let split = ImageSplit(count: name.trainingFileCount, validationCount: validationCount, seed: seed)
        switch name {
        case .cifar10, .sampleCIFAR10: return try CIFAR10Files.open(name, dataFolder, split)
        case .mnist, .sampleMNIST: return try MNISTFiles.open(name, dataFolder, split)
        }
    }

    init(
        name: ImageDatasetName, isUnofficial: Bool, training: ImageCollector, test: ImageCollector, source: DataSource
    ) {
        self.name = isUnofficial ? "\(name.rawValue)-unofficial" : name.rawValue
        displayName = isUnofficial ? "\(name.title), unofficial files" : name.title
        train = training.imageSet(.kept)
        validation = training.imageSet(.setAside)
        self.test = test.imageSet(.kept)
        self.source = source
        channelMeans = training.sums(.kept).means
        channelDeviations = training.sums(.kept).deviations
    }
}

/// Which images of a training file are set aside for validation.
struct ImageSplit: Equatable {
    /// One of the two sides.
    enum Side { case kept, setAside }

    /// The place of each image on its side: from 0 among those kept, below 0 (as −1 − place) among those set aside.
    let places: [Int32]
    let validationCount: Int

    /// Draws `validationCount` of `count` images.
    init(count: Int, validationCount: Int, seed: UInt64) {
        var places = [Int32](repeating: 0, count: count)
        for image in permutation(count, by: ImageDraw.validation.generator(seed: seed)).prefix(validationCount) {
            places[image] = -1
        }
        var (kept, setAside) = (Int32(0), Int32(0))
        for image in places.indices {
            if places[image] < 0 {
                setAside += 1
                places[image] = -setAside
            } else {
                places[image] = kept
                kept += 1
            }
        }
        self.places = places
        self.validationCount = validationCount
    }

    /// Sets nothing aside: for a test file.
    init(count: Int) { self.init(count: count, validationCount: 0, seed: 0) }
}

/// Exact sums over the pixels of images, by channel.
struct ChannelSums {
    private(set) var pixels = 0
    private(set) var sums: [UInt64]
    private(set) var squares: [UInt64]

    init(channels: Int) {
        sums = [UInt64](repeating: 0, count: channels)
        squares = sums
    }

    /// - Parameter image: Planar, [channels, pixels].
    mutating func add(_ image: UnsafePointer<UInt8>, pixels count: Int) {
        // 32 bits hold the squares of 66,051 pixels, far more than an image here has; a vector register holds twice as
        // many 32-bit as 64-bit sums.
        precondition(count < 1 << 16, "an image of \(count) pixels")
        pixels += count
        for channel in sums.indices {
            let plane = image + channel * count
            var (sum, square) = (UInt32(0), UInt32(0))
            for pixel in 0..<count {
                let value = UInt32(plane[pixel])
                sum &+= value
                square &+= value &* value
            }
            sums[channel] += UInt64(sum)
            squares[channel] += UInt64(square)
        }
    }

    static func + (one: ChannelSums, other: ChannelSums) -> ChannelSums {
        var result = one
        result.pixels += other.pixels
        for channel in one.sums.indices {
            result.sums[channel] += other.sums[channel]
            result.squares[channel] += other.squares[channel]
        }
        return result
    }

    /// Σ p / n
    var means: [Double] { sums.map { Double($0) / Double(pixels) } }
    /// √(Σ p² / n − (Σ p / n)²)
    var deviations: [Double] {
        zip(means, squares).map { max(0, Double($1) / Double(pixels) - $0 * $0).squareRoot() }
    }
}

/// Takes the images of a file in any order, and puts each where it belongs.
struct ImageCollector {
    private let split: ImageSplit
    private let side: Int
    private let channels: Int
    private var kept: (pixels: [UInt8], labels: [UInt8], sums: ChannelSums)
    private var setAside: (pixels: [UInt8], labels: [UInt8], sums: ChannelSums)
    private var imageSize: Int { side * side * channels }

    init(split: ImageSplit, side: Int, channels: Int) {
        self.split = split
        self.side = side
        self.channels = channels
        func room(_ count: Int) -> (pixels: [UInt8], labels: [UInt8], sums: ChannelSums) {
            (
                [UInt8](repeating: 0, count: count * side * side * channels), [UInt8](repeating: 0, count: count),
                ChannelSums(channels: channels)
            )
        }
        kept = room(split.places.count - split.validationCount)
        setAside = room(split.validationCount)
    }

    /// Takes one image.
    ///
    /// - Parameters:
    ///   - planar: Its pixels as all these files have them, [channels, height, width].
    ///   - index: Its number in the file.
    mutating func put(_ planar: UnsafePointer<UInt8>, label: UInt8, at index: Int) {
        let place = Int(split.places[index])
        if place >= 0 {
            ImageCollector.put(planar, label: label, at: place, of: side * side, channels, into: &kept)
        } else {
            ImageCollector.put(planar, label: label, at: -1 - place, of: side * side, channels, into: &setAside)
        }
    }

    private static func put(
        _ planar: UnsafePointer<UInt8>, label: UInt8, at place: Int, of pixelCount: Int, _ channels: Int,
        into part: inout (pixels: [UInt8], labels: [UInt8], sums: ChannelSums)
    ) {
        part.labels[place] = label
        part.sums.add(planar, pixels: pixelCount)
        let start = place * pixelCount * channels
        part.pixels.withUnsafeMutableBufferPointer { pixels in
            precondition(start + pixelCount * channels <= pixels.count, "image \(place) is outside its split")
            let image = pixels.baseAddress! + start
            if channels == 3 {
                let (red, green, blue) = (planar, planar + pixelCount, planar + 2 * pixelCount)
                for pixel in 0..<pixelCount {
                    image[3 &* pixel] = red[pixel]
                    image[3 &* pixel &+ 1] = green[pixel]
                    image[3 &* pixel &+ 2] = blue[pixel]
                }
            } else {
                for channel in 0..<channels {
                    for pixel in 0..<pixelCount {
                        image[pixel &* channels &+ channel] = planar[channel &* pixelCount &+ pixel]
                    }
                }
            }
        }
    }

    func imageSet(_ side: ImageSplit.Side) -> ImageSet {
        let part = side == .kept ? kept : setAside
        return ImageSet(
            height: self.side, width: self.side, channels: channels, pixels: part.pixels, labels: part.labels)
    }

    func sums(_ side: ImageSplit.Side) -> ChannelSums { side == .kept ? kept.sums : setAside.sums }
}
