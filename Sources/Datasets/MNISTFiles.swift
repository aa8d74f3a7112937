import Foundation

/// MNIST's four files in the IDX format: images and labels, of the training and of the test part.
enum MNISTFiles {
    static let side = 28
    private static let classes = 10

    /// One of the four.
    enum File: String, CaseIterable {
        case trainImages = "train-images-idx3-ubyte"
        case trainLabels = "train-labels-idx1-ubyte"
        case testImages = "t10k-images-idx3-ubyte"
        case testLabels = "t10k-labels-idx1-ubyte"

        /// The places where the file may be: under its official name, with a dot in it as some programs unpack it, and
        /// where torchvision puts it.
        func candidates(prefix: String) -> [String] {
            let dotted = rawValue.replacing("-idx", with: ".idx")
            return ["mnist", "MNIST/raw"].flatMap { folder in
                [rawValue, dotted].flatMap { name in [".gz", ""].map { "\(prefix)\(folder)/\(name)\($0)" } }
            }
        }

        /// MD5 of the official file's content, uncompressed.
        var md5: String {
            switch self {
            case .trainImages: return "6bbc9ace898e44ae57da46a324031adb"
            case .trainLabels: return "a25bea736e30d166cdddb491f175f624"
            case .testImages: return "2646ac647ad5339dbf082846283269ea"
            case .testLabels: return "27ae3e4e09519cfbb04c329615203637"
            }
        }
    }

    static func open(_ name: ImageDatasetName, _ folder: DataFolder, _ split: ImageSplit) throws -> ImageDataset {
        let (paths, missing) = folder.find(File.allCases.map { $0.candidates(prefix: name.folderPrefix) })
        guard missing.isEmpty else {
            // Under the official names; data/README.md lists the others.
            throw folder.missing(name.title, download: name.downloadName, tried: missing.flatMap { $0.prefix(2) })
        }

        var files: [DataSource.File] = []
        var contents: [String] = []
        func read(_ file: Int, count: Int, imageShape: [Int]) throws -> IDXContent {
            let path = folder.appending(paths[file])
            let kind = imageShape.isEmpty ? "labels" : "images of \(side) × \(side)"
            let idx = try readIDX(path, maximumBytes: 1 << 26, dimensions: 1 + imageShape.count)
            guard idx.shape.dropFirst().elementsEqual(imageShape) else {
                throw DatasetError.malformedContent(
                    path: path, contentOffset: 8, expected: kind,
                    found: idx.shape.dropFirst().map(String.init).joined(separator: " × "))
            }
            guard idx.shape[0] == count else {
                throw DatasetError.imageCount(
                    path: path, contentOffset: 4, what: kind, expected: count, found: idx.shape[0])
            }
            let official = File.allCases[file]
            files.append(
                DataSource.File(
                    path: paths[file], sha256: try Checksum.sha256(ofFile: path), contentBytes: idx.bytes.count,
                    isOfficial: Checksum.md5(idx.bytes)
                        == (name.isSample ? SampleImages.idxMD5[official] : official.md5)))
            contents.append(Checksum.sha256(idx.bytes))
            return idx
        }
        func collect(_ images: IDXContent, _ labels: IDXContent, path: String, into collector: inout ImageCollector)
            throws
        {
            try images.bytes.withUnsafeBufferPointer { bytes in
                for image in 0..<images.shape[0] {
                    let label = labels.bytes[labels.start + image]
                    guard label < classes else {
                        throw DatasetError.labelOutOfRange(
                            path: path, contentOffset: labels.start + image, image: image, label: Int(label),
                            classes: classes)
                    }
                    collector.put(bytes.baseAddress! + images.start + image * side * side, label: label, at: image)
                }
            }
        }

        var training = ImageCollector(split: split, side: side, channels: 1)
        let trainImages = try read(0, count: name.trainingFileCount, imageShape: [side, side])
        let trainLabels = try read(1, count: name.trainingFileCount, imageShape: [])
        try collect(trainImages, trainLabels, path: folder.appending(paths[1]), into: &training)
        var test = ImageCollector(split: ImageSplit(count: name.testFileCount), side: side, channels: 1)
        let testImages = try read(2, count: name.testFileCount, imageShape: [side, side])
        let testLabels = try read(3, count: name.testFileCount, imageShape: [])
        try collect(testImages, testLabels, path: folder.appending(paths[3]), into: &test)

        return ImageDataset(
            name: name, isUnofficial: !files.allSatisfy(\.isOfficial), training: training, test: test,
            source: DataSource(
                files: files, contents: contents,
                notes: files.filter { !$0.isOfficial }.map {
                    "\($0.path) is not the official file: results on it are not results on \(name.title)"
                }))
    }
}

/// A file in the IDX format.
struct IDXContent {
    /// Lengths of the dimensions, the first that of the items.
    let shape: [Int]
    /// The whole content, header included.
    let bytes: [UInt8]
    /// The start of the values in `bytes`.
    let start: Int
}

/// Reads a file of unsigned bytes in the IDX format: two zeros, the type 08, the number of dimensions, their lengths in
/// big-endian order, 32 bits each, then the values.
///
/// - Parameter dimensions: How many it must have.
/// - Throws: `DatasetError.malformedContent`, `.truncatedContent`, and those of ``GzipReader``.
func readIDX(_ path: String, maximumBytes: Int, dimensions: Int) throws -> IDXContent {
    let magic: [UInt8] = [0, 0, 8, UInt8(dimensions)]
    let bytes = try readContent(path, maximumBytes: maximumBytes) { $0.starts(with: magic) }
    guard bytes.starts(with: magic) else {
        throw DatasetError.malformedContent(
            path: path, contentOffset: 0, expected: "the IDX magic number \(hexadecimal(magic))",
            found: hexadecimal(bytes.prefix(4)))
    }
    let start = 4 + 4 * dimensions
    guard bytes.count >= start else {
        throw DatasetError.truncatedContent(
            path: path, contentOffset: bytes.count, expected: "the lengths of \(dimensions) dimensions")
    }
    let shape = (0..<dimensions).map { dimension in
        bytes[(4 + 4 * dimension)..<(8 + 4 * dimension)].reduce(0) { $0 << 8 | Int($1) }
    }
    // Three lengths of 32 bits may overflow 64; a file that long cannot be here.
    let count = shape.reduce(1) { count, length in
        let (product, isOverflown) = count.multipliedReportingOverflow(by: length)
        return isOverflown ? Int.max : product
    }
    let end = count > Int.max - start ? Int.max : start + count
    guard bytes.count >= end else {
        throw DatasetError.truncatedContent(
            path: path, contentOffset: bytes.count,
            expected: "more of the \(shape.map(String.init).joined(separator: " × ")) values")
    }
    guard bytes.count == end else {
        throw DatasetError.malformedContent(
            path: path, contentOffset: end, expected: "the end of the content", found: "\(bytes.count - end) more bytes"
        )
    }
    return IDXContent(shape: shape, bytes: bytes, start: start)
}
