import Foundation

/// Two small sets of images that a program draws, one in CIFAR-10's layout and one in MNIST's, so that the programs can
/// be tried where no data can be had.
///
/// Ten classes of patterns and figures (``classNames``) in two colors, each at a random place, size, angle, phase and
/// line width, and with one pixel in ``noisePeriod`` in the wrong one of the two colors.
///
/// ## Why a linear classifier cannot do it
///
/// The two colors are drawn alike and independently of the class, and which of them is the figure's is as likely as the
/// other way round. Exchanging them turns a pixel's brightness p into a + b − p, so over both possibilities the mean of
/// a pixel is (a + b) / 2, whatever the class. Hence no class differs from another in the mean of any pixel, in mean
/// color, or in any linear function of pixels; what differs is how neighboring pixels go together.
///
/// Every class is its own mirror image, left to right, since training mirrors images at random.
///
/// Whole numbers throughout (and one square root, which IEEE 754 rounds alike everywhere): the same bytes on every
/// machine.
public enum SampleImages {
    /// Which of the official layouts, and with it the size: 32 × 32 in color or 28 × 28 in gray.
    public enum Layout: String, CaseIterable, Sendable {
        case cifar10, mnist
    }

    /// The classes in the order of their labels.
    public static let classNames = [
        "horizontal stripes", "vertical stripes", "diagonal stripes", "checkerboard", "dots", "rings", "upright cross",
        "diagonal cross", "square", "triangle",
    ]

    /// Images in the training file, or in the five of CIFAR-10's layout together.
    package static let trainingFileCount = 2400
    /// Those of them that are set aside for validation.
    package static let validationCount = 400
    /// Images in the test file.
    package static let testCount = 500
    /// One pixel in so many is in the wrong color.
    static let noisePeriod: UInt64 = 25

    /// The files of a layout as the data folder has them, each with its content before compression.
    package static func files(_ layout: Layout) -> [(path: String, content: [UInt8])] {
        switch layout {
        case .cifar10:
            let perFile = trainingFileCount / 5
            let training = draw(count: trainingFileCount, side: CIFAR10Files.side, channels: 3, seed: 0x6369_6661_72)
            let test = draw(count: testCount, side: CIFAR10Files.side, channels: 3, seed: 0x7465_7374)
            let batches = (0..<5).map { training[($0 * perFile)..<(($0 + 1) * perFile)] } + [test[...]]
            let contents = batches.map { $0.flatMap { [$0.label] + $0.pixels } }
            let archive = tarArchive(
                zip(CIFAR10Files.fileNames, contents).map { ("\(CIFAR10Files.folderName)/\($0)", $1) })
            return [("sample/\(CIFAR10Files.archiveName)", archive)]
        case .mnist:
            let side = MNISTFiles.side
            let training = draw(count: trainingFileCount, side: side, channels: 1, seed: 0x6d6e_6973_74)
            let test = draw(count: testCount, side: side, channels: 1, seed: 0x7465_7374_32)
            let contents: [MNISTFiles.File: [UInt8]] = [
                .trainImages: idx([training.count, side, side], training.flatMap(\.pixels)),
                .trainLabels: idx([training.count], training.map(\.label)),
                .testImages: idx([test.count, side, side], test.flatMap(\.pixels)),
                .testLabels: idx([test.count], test.map(\.label)),
            ]
            return MNISTFiles.File.allCases.map {
                ("sample/mnist/\($0.rawValue).gz", contents[$0]!)
            }
        }
    }

    /// Draws both sets and writes them as `sample/cifar-10-binary.tar.gz` and `sample/mnist/*.gz` under a data folder.
    ///
    /// - Returns: The paths written.
    /// - Throws: `DatasetError.unwritable`.
    @discardableResult
    public static func write(to folder: DataFolder) throws -> [String] {
        try makeFolder(folder.appending("sample/mnist"))
        return try Layout.allCases.flatMap(files).map { path, content in
            try writeAtomically(gzipCompressed(content), to: folder.appending(path))
            return folder.appending(path)
        }
    }

    /// MD5 of the uncompressed archive in CIFAR-10's layout: whether a file is still the one that this program writes.
    static let archiveMD5 = "ae3324e185c6d183119957447ba04cde"
    /// MD5 of the uncompressed files in MNIST's layout.
    static let idxMD5: [MNISTFiles.File: String] = [
        .trainImages: "0185713727e1f70428a1d7adc9bbee6d",
        .trainLabels: "6e428c1088471bf51b925ffe31cfe62b",
        .testImages: "d7a84db83266e710d26c0a440ae16542",
        .testLabels: "2a271f32eb38bc56a7314e856e5daff7",
    ]

    private static func idx(_ shape: [Int], _ values: [UInt8]) -> [UInt8] {
        let lengths = shape.flatMap { length in (0..<4).reversed().map { UInt8(length >> (8 * $0) & 0xff) } }
        return [0, 0, 8, UInt8(shape.count)] + lengths + values
    }

    // MARK: - Drawing

    /// An image as the files have it: pixels [channels, side, side].
    private struct Image {
        let label: UInt8
        let pixels: [UInt8]
    }

    /// Draws `count` images, as many of each class, in random order.
    private static func draw(count: Int, side: Int, channels: Int, seed: UInt64) -> [Image] {
        var random = SplitMix64(seed: seed)
        let order = permutation(count, by: SplitMix64(seed: random.next()))
        return order.map { number in
            let label = number % classNames.count
            let shape = Shape(label, side: side, &random)
            let colors = drawColors(channels, &random)
            var isInside = [Bool](repeating: false, count: side * side)
            for y in 0..<side {
                for x in 0..<side {
                    let isNoise = random.next(below: noisePeriod) == 0
                    isInside[y * side + x] = shape.contains(x, y, side: side) != isNoise
                }
            }
            let pixels = colors.flatMap { color in isInside.map { $0 ? color.inside : color.outside } }
            return Image(label: UInt8(label), pixels: pixels)
        }
    }

    /// Two colors far enough apart, by channel. Few levels, because every further one costs bytes in the repository.
    private static func drawColors(
        _ channels: Int, _ random: inout SplitMix64
    ) -> [(inside: UInt8, outside: UInt8)] {
        let levels: [UInt8] = [16, 72, 128, 184, 240]
        func level() -> UInt8 { levels[Int(random.next(below: UInt64(levels.count)))] }
        while true {
            let colors = (0..<channels).map { _ in (inside: level(), outside: level()) }
            let distance = colors.reduce(0) { $0 + abs(Int($1.inside) - Int($1.outside)) }
            if distance >= 112 + 56 * (channels - 1) { return colors }
        }
    }

    /// The picture of one image. Lengths are in 1/512 of a pixel: pixels are counted in halves from the middle of the
    /// image, and the direction has the length 256.
    private struct Shape {
        private let label: Int
        private let direction: (cosine: Int, sine: Int)
        private let center: (x: Int, y: Int)
        /// Period of a pattern; half the size of a figure.
        private let size: Int
        private let lineWidth: Int
        private let phase: (u: Int, v: Int)
        /// Which of the two diagonals; whether a triangle stands on its tip.
        private let isTurned: Bool

        private static let pixel = 512

        init(_ label: Int, side: Int, _ random: inout SplitMix64) {
            func number(_ range: ClosedRange<Int>) -> Int {
                range.lowerBound + Int(random.next(below: UInt64(range.count)))
            }
            self.label = label
            // By at most 10.7° either way: the angle is 2 arctan(k / 64), whose cosine and sine are rational.
            let k = number(-6...6)
            direction = (256 * (4096 - k * k) / (4096 + k * k), 256 * 128 * k / (4096 + k * k))
            let pixel = Shape.pixel
            switch label {
            case 3: size = number((7 * pixel)...(13 * pixel))  // a checkerboard has two squares a period
            case 4: size = number((5 * pixel)...(9 * pixel))
            case 0...5: size = number((4 * pixel)...(9 * pixel))
            default: size = side * number((pixel * 22 / 100)...(pixel * 40 / 100))
            }
            lineWidth = number((3 * pixel / 2)...(3 * pixel))
            // A figure stays inside the image for the most part.
            let reach = label < 6 ? side / 3 : max(1, side / 2 - size / pixel)
            center = (number((-2 * reach)...(2 * reach)), number((-2 * reach)...(2 * reach)))
            phase = (number(0...(size - 1)), number(0...(size - 1)))
            isTurned = random.next() >> 63 == 1
        }

        func contains(_ x: Int, _ y: Int, side: Int) -> Bool {
            let (dx, dy) = (2 * x - side + 1 - center.x, 2 * y - side + 1 - center.y)
            let u = direction.cosine * dx + direction.sine * dy
            let v = direction.cosine * dy - direction.sine * dx
            // Along the two diagonals: 181 / 256 is √½.
            let (a, b) = ((u + v) * 181 / 256, (u - v) * 181 / 256)
            switch label {
            case 0: return isFirstHalf(v + phase.v)
            case 1: return isFirstHalf(u + phase.u)
            case 2: return isFirstHalf((isTurned ? a : b) + phase.u)
            case 3: return isFirstHalf(u + phase.u) != isFirstHalf(v + phase.v)
            case 4:
                let (du, dv) = (remainder(u + phase.u) - size / 2, remainder(v + phase.v) - size / 2)
                return du * du + dv * dv < size * size * 9 / 100
            case 5: return isFirstHalf(Int(Double(u * u + v * v).squareRoot()) + phase.u)
            case 6: return isCross(u, v)
            case 7: return isCross(a, b)
            case 8: return isOutline(max(abs(u), abs(v)))
            default:
                // The greatest distance from three lines through the center: 128 / 256 and 222 / 256 are the sine
                // and the cosine of 30°. It is the radius of the circle inside the triangle.
                let height = isTurned ? -v : v
                let radius = max(height, (222 * u - 128 * height) / 256, (-222 * u - 128 * height) / 256)
                return isOutline(radius * 3 / 2)
            }
        }

        private func remainder(_ value: Int) -> Int { ((value % size) + size) % size }
        private func isFirstHalf(_ value: Int) -> Bool { remainder(value) < size / 2 }
        private func isCross(_ u: Int, _ v: Int) -> Bool {
            2 * min(abs(u), abs(v)) < lineWidth && max(abs(u), abs(v)) < size
        }
        private func isOutline(_ radius: Int) -> Bool { radius < size && radius >= size - lineWidth }
    }
}
