/// The random draws about images, each from a stream of its own.
///
/// A stream is a function of seed, purpose, epoch and image alone: what happens to an image does not depend on the
/// batch it is in, on the order of the batches, or on who draws first.
enum ImageDraw: UInt64 {
    /// Which images are set aside for validation.
    case validation = 1
    /// The order of an epoch.
    case order = 2
    /// Crop and flip of one image.
    case augmentation = 3

    func generator(seed: UInt64, epoch: Int = 0, image: Int = 0) -> SplitMix64 {
        // Each number goes through the whole mixing function before the next one comes in: seeds, epochs and images
        // are small and neighbors, and a sum of them would let (epoch 1, image 0) meet (epoch 0, image 1).
        var state = seed
        for number in [rawValue, UInt64(bitPattern: Int64(epoch)), UInt64(bitPattern: Int64(image))] {
            var mixer = SplitMix64(seed: state ^ number)
            state = mixer.next()
        }
        return SplitMix64(seed: state)
    }
}

/// A permutation of 0..<`count`, every one equally likely as far as 64 bits go (Fisher and Yates).
func permutation(_ count: Int, by generator: SplitMix64) -> [Int] {
    var generator = generator
    var result = Array(0..<count)
    for last in stride(from: count - 1, to: 0, by: -1) {
        result.swapAt(last, Int(generator.next(below: UInt64(last + 1))))
    }
    return result
}

/// The order in which an epoch visits `count` images: a permutation of 0..<`count`, the same at every call.
///
/// - Parameter epoch: From 0; every epoch has another order.
public func shuffledIndices(count: Int, seed: UInt64, epoch: Int) -> [Int] {
    precondition(count >= 0, "an order of \(count) images")
    return permutation(count, by: ImageDraw.order.generator(seed: seed, epoch: epoch))
}

/// The map from a pixel's brightness to a number, by channel.
public struct PixelNormalization: Sendable, Equatable {
    public let channels: Int
    /// The number of each brightness, [channels, 256].
    let table: [Float]

    /// (p − mean) / deviation, both of brightness 0 … 255: zero mean and unit variance over the images they are of.
    ///
    /// - Precondition: As many means as deviations, every deviation above 0.
    public init(means: [Double], deviations: [Double]) {
        precondition(
            !means.isEmpty && means.count == deviations.count,
            "\(means.count) means and \(deviations.count) deviations of channels")
        precondition(deviations.allSatisfy { $0 > 0 }, "deviations are above 0, found \(deviations)")
        channels = means.count
        table = zip(means, deviations).flatMap { mean, deviation in
            (0..<256).map { Float((Double($0) - mean) / deviation) }
        }
    }

    /// p / 255: black is 0 and white 1.
    public static func unitInterval(channels: Int) -> PixelNormalization {
        PixelNormalization(
            means: [Double](repeating: 0, count: channels), deviations: [Double](repeating: 255, count: channels))
    }

    /// The number of a brightness.
    public func callAsFunction(_ pixel: UInt8, channel: Int) -> Float { table[256 * channel + Int(pixel)] }
}

/// Random changes to training images: zero padding and a random crop of the former size, then a random mirror image.
///
/// The padding is zero *after* normalization. Under zero mean that is the mean color, so a border says nothing about
/// brightness; under p / 255 it is black, which is MNIST's background.
public struct ImageAugmentation: Sendable, Equatable {
    /// Pixels added at each of the four sides before the crop.
    public let padding: Int
    /// Whether an image is mirrored, left to right, with probability 1/2.
    public let flips: Bool

    /// A.3.2: 32 × 32 padded to 36 × 36, cropped to 32 × 32, mirrored or not.
    public static let cifar10 = ImageAugmentation(padding: 2, flips: true)
    /// A.3.1: 28 × 28 padded to 30 × 30, cropped to 28 × 28. Never mirrored: that would be no digit.
    public static let mnist = ImageAugmentation(padding: 1, flips: false)

    public init(padding: Int, flips: Bool) {
        precondition(padding >= 0, "a padding of \(padding)")
        self.padding = padding
        self.flips = flips
    }

    /// The change of one image in one epoch.
    package struct Draw: Equatable, Sendable {
        /// The first row and column of the crop, 0 … 2 · padding, in the padded image.
        package let row: Int
        package let column: Int
        package let isFlipped: Bool

        package init(row: Int, column: Int, isFlipped: Bool) {
            self.row = row
            self.column = column
            self.isFlipped = isFlipped
        }
    }

    /// The draw for one image in one epoch: a function of nothing else.
    package func draw(seed: UInt64, epoch: Int, image: Int) -> Draw {
        var generator = ImageDraw.augmentation.generator(seed: seed, epoch: epoch, image: image)
        let positions = UInt64(2 * padding + 1)
        let row = Int(generator.next(below: positions))
        let column = Int(generator.next(below: positions))
        return Draw(row: row, column: column, isFlipped: flips && generator.next() >> 63 == 1)
    }
}

extension ImageSet {
    /// The labels of a batch, [indices.count].
    public func labels(at indices: some Collection<Int>) -> [UInt8] { indices.map { labels[$0] } }

    /// Writes a batch as it is: for evaluation.
    ///
    /// - Parameters:
    ///   - indices: The images, any of 0..<count in any order.
    ///   - batch: Room for [indices.count, height, width, channels] numbers.
    public func write(
        _ indices: some Collection<Int>, normalization: PixelNormalization, to batch: UnsafeMutablePointer<Float>
    ) {
        writeBatch(indices, normalization, padding: 0, to: batch) { _ in .init(row: 0, column: 0, isFlipped: false) }
    }

    /// Writes a batch with random changes: for training.
    ///
    /// The change of an image is a function of seed, epoch and its index, whatever batch it is in; batches may be
    /// written on several threads at once.
    ///
    /// - Parameters:
    ///   - indices: The images, any of 0..<count in any order.
    ///   - batch: Room for [indices.count, height, width, channels] numbers.
    public func write(
        _ indices: some Collection<Int>, normalization: PixelNormalization, augmentation: ImageAugmentation,
        seed: UInt64, epoch: Int, to batch: UnsafeMutablePointer<Float>
    ) {
        writeBatch(indices, normalization, padding: augmentation.padding, to: batch) {
            augmentation.draw(seed: seed, epoch: epoch, image: $0)
        }
    }

    private func writeBatch(
        _ indices: some Collection<Int>, _ normalization: PixelNormalization, padding: Int,
        to batch: UnsafeMutablePointer<Float>, draw: (Int) -> ImageAugmentation.Draw
    ) {
        precondition(
            normalization.channels == channels, "\(channels) channels, a normalization of \(normalization.channels)")
        pixels.withUnsafeBufferPointer { pixels in
            normalization.table.withUnsafeBufferPointer { table in
                for (place, index) in indices.enumerated() {
                    precondition((0..<count).contains(index), "image \(index) of \(count)")
                    let draw = draw(index)
                    writeImage(
                        pixels.baseAddress! + index * imageSize, table.baseAddress!, rowShift: draw.row - padding,
                        columnShift: draw.column - padding, isFlipped: draw.isFlipped, to: batch + place * imageSize)
                }
            }
        }
    }

    /// out[r, x] = image[r + rowShift, c + columnShift], 0 outside, where c is x or, mirrored, width − 1 − x.
    private func writeImage(
        _ image: UnsafePointer<UInt8>, _ table: UnsafePointer<Float>, rowShift: Int, columnShift: Int, isFlipped: Bool,
        to output: UnsafeMutablePointer<Float>
    ) {
        let rowSize = width * channels
        // The columns c of the crop that lie inside the image.
        let columns = max(0, -columnShift)..<max(0, -columnShift, min(width, width - columnShift))
        for row in 0..<height {
            let target = output + row * rowSize
            guard (0..<height).contains(row + rowShift), !columns.isEmpty, columns.lowerBound < width else {
                target.update(repeating: 0, count: rowSize)
                continue
            }
            let source = image + (row + rowShift) * rowSize + (columns.lowerBound + columnShift) * channels
            let first = isFlipped ? width - columns.upperBound : columns.lowerBound
            target.update(repeating: 0, count: first * channels)
            let end = first + columns.count
            (target + end * channels).update(repeating: 0, count: (width - end) * channels)
            let start = target + first * channels
            if isFlipped {
                copyMirrored(source, table, columns: columns.count, to: start)
            } else {
                copy(source, table, columns: columns.count, to: start)
            }
        }
    }

    /// One row of pixels through the table, [columns, channels].
    private func copy(
        _ source: UnsafePointer<UInt8>, _ table: UnsafePointer<Float>, columns: Int,
        to target: UnsafeMutablePointer<Float>
    ) {
        if channels == 3 {
            var place = 0
            while place < 3 &* columns {
                target[place] = table[Int(source[place])]
                target[place &+ 1] = table[256 &+ Int(source[place &+ 1])]
                target[place &+ 2] = table[512 &+ Int(source[place &+ 2])]
                place &+= 3
            }
        } else {
            for channel in 0..<channels {
                let numbers = table + 256 * channel
                for column in 0..<columns {
                    target[column &* channels &+ channel] = numbers[Int(source[column &* channels &+ channel])]
                }
            }
        }
    }

    /// The same from right to left; the channels of a pixel keep their order.
    private func copyMirrored(
        _ source: UnsafePointer<UInt8>, _ table: UnsafePointer<Float>, columns: Int,
        to target: UnsafeMutablePointer<Float>
    ) {
        for channel in 0..<channels {
            let numbers = table + 256 * channel
            var place = (columns &- 1) &* channels &+ channel
            for column in 0..<columns {
                target[column &* channels &+ channel] = numbers[Int(source[place])]
                place &-= channels
            }
        }
    }
}
