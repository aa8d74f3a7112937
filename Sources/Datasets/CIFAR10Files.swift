import Foundation

/// CIFAR-10's binary version: records of a label and 32 × 32 pixels, all red before all green before all blue.
enum CIFAR10Files {
    static let side = 32
    static let channels = 3
    /// A label and the pixels.
    static let recordBytes = 1 + side * side * channels
    static let archiveName = "cifar-10-binary.tar.gz"
    static let folderName = "cifar-10-batches-bin"
    /// The training files in the order of their images, then the test file.
    static let fileNames = (1...5).map { "data_batch_\($0).bin" } + ["test_batch.bin"]

    /// SHA-256 of the official archive as it is downloaded, whose published MD5 is c32a1d4ab5d03f1284b67883e8d87530: a
    /// record names the SHA-256 in any case, and one sum of 170 MB is enough.
    private static let archiveSHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    private static let classes = 10
    /// A bound on a wrong file; the official archive's content is 184 MB.
    private static let mostArchiveBytes = 1 << 28

    static func open(_ name: ImageDatasetName, _ folder: DataFolder, _ split: ImageSplit) throws -> ImageDataset {
        var training = ImageCollector(split: split, side: side, channels: channels)
        var test = ImageCollector(split: ImageSplit(count: name.testFileCount), side: side, channels: channels)
        let archive = name.folderPrefix + archiveName
        var contents = [String](repeating: "", count: fileNames.count)
        let files: [DataSource.File]
        if FileManager.default.fileExists(atPath: folder.appending(archive)) {
            files = [try readArchive(archive, name, folder, &training, &test, &contents)]
        } else {
            files = try readLooseFiles(name, folder, &training, &test, &contents)
        }

        let isOfficial = files.allSatisfy(\.isOfficial)
        var isUnofficial = !isOfficial
        var notes: [String] = []
        if !isOfficial {
            let what =
                files.count == 1
                ? "\(archive) is not the official archive"
                : "\(name.folderPrefix)\(folderName) has no official checksums"
            if name == .cifar10 && areOfficial(training: statistics(training), test: statistics(test)) {
                isUnofficial = false
                notes.append(
                    "\(what); it has CIFAR-10's number of images in every class and its channel means and deviations: "
                        + "by these the same images, in another order or packing")
            } else {
                notes.append("\(what): results on it are not results on \(name.title)")
            }
        }
        return ImageDataset(
            name: name, isUnofficial: isUnofficial, training: training, test: test,
            source: DataSource(files: files, contents: contents, notes: notes))
    }

    // MARK: - What tells CIFAR-10 from other images

    /// Images of each class, [classes]; means and standard deviations of the channels, 0 … 255, [channels].
    struct Statistics {
        var counts: [Int]
        var means: [Double]
        var deviations: [Double]
    }

    /// Of the 50,000 training images, to the three decimals that are known widely.
    private static let trainingStatistics = Statistics(
        counts: [Int](repeating: 5000, count: classes), means: [125.307, 122.950, 113.865],
        deviations: [62.993, 62.089, 66.705])
    /// Of the 10,000 test images.
    private static let testStatistics = Statistics(
        counts: [Int](repeating: 1000, count: classes), means: [126.025, 123.709, 114.854],
        deviations: [62.896, 61.938, 66.706])

    /// Whether classes are as frequent as in CIFAR-10 and the channels of both splits have its means and deviations.
    static func areOfficial(training: Statistics, test: Statistics) -> Bool {
        func agree(_ found: Statistics, _ official: Statistics) -> Bool {
            let numbers = zip(found.means + found.deviations, official.means + official.deviations)
            // The official ones are rounded to 0.001.
            return found.counts == official.counts && numbers.allSatisfy { abs($0 - $1) < 0.000_6 }
        }
        return agree(training, trainingStatistics) && agree(test, testStatistics)
    }

    /// Of all images, those set aside for validation among them.
    private static func statistics(_ images: ImageCollector) -> Statistics {
        let counts = zip(
            images.imageSet(.kept).classCounts(classes: classes),
            images.imageSet(.setAside).classCounts(classes: classes)
        ).map { $0 + $1 }
        let sums = images.sums(.kept) + images.sums(.setAside)
        return Statistics(counts: counts, means: sums.means, deviations: sums.deviations)
    }

    // MARK: - The archive

    private static func readArchive(
        _ path: String, _ name: ImageDatasetName, _ folder: DataFolder, _ training: inout ImageCollector,
        _ test: inout ImageCollector, _ contents: inout [String]
    ) throws -> DataSource.File {
        let fullPath = folder.appending(path)
        // On another thread it adds no time, since decompressing takes longer.
        let checksum = BackgroundChecksum(ofFile: fullPath)
        let archive = try TarReader(path: fullPath, maximumBytes: mostArchiveBytes)
        var read: Set<String> = [], isPythonEdition = false
        while let entry = try archive.nextEntry() {
            // Some programs write "./cifar-10-batches-bin/…".
            let fileName = entry.name.split(separator: "/").last.map(String.init) ?? ""
            if fileName == "data_batch_1" { isPythonEdition = true }
            guard entry.isFile, let file = fileNames.firstIndex(of: fileName) else { continue }
            guard read.insert(fileName).inserted else {
                throw DatasetError.malformedContent(
                    path: fullPath, contentOffset: entry.contentOffset, expected: "one file \(fileName)",
                    found: "a second one")
            }
            contents[file] = try readRecords(
                of: file, name, byteCount: entry.byteCount, path: fullPath, contentOffset: entry.contentOffset,
                &training, &test, from: archive.read(into:))
        }
        for fileName in fileNames where !read.contains(fileName) {
            if isPythonEdition {
                throw DatasetError.unsupported(
                    path: fullPath,
                    feature: "CIFAR-10's python edition (pickled files); the binary edition is read, \(archiveName)")
            }
            throw DatasetError.missingEntry(path: fullPath, entry: "\(folderName)/\(fileName)")
        }
        let sha256 = try checksum.wait()
        // Our own archive is known by its content: another zlib compresses it otherwise.
        let isOfficial =
            name.isSample
            ? Checksum.md5(try readGzip(path: fullPath, maximumBytes: mostArchiveBytes)) == SampleImages.archiveMD5
            : sha256 == archiveSHA256
        return DataSource.File(
            path: path, sha256: sha256, contentBytes: archive.contentOffset, isOfficial: isOfficial)
    }

    // MARK: - Loose files

    private static func readLooseFiles(
        _ name: ImageDatasetName, _ folder: DataFolder, _ training: inout ImageCollector, _ test: inout ImageCollector,
        _ contents: inout [String]
    ) throws -> [DataSource.File] {
        let (paths, missing) = folder.find(
            fileNames.map { file in [".gz", ""].map { "\(name.folderPrefix)\(folderName)/\(file)\($0)" } })
        guard missing.isEmpty else {
            let python = ["cifar-10-python.tar.gz", "cifar-10-batches-py"].map { name.folderPrefix + $0 }
            if let path = folder.first(of: python) {
                throw DatasetError.unsupported(
                    path: folder.appending(path),
                    feature: "CIFAR-10's python edition (pickled files); the binary edition is read, \(archiveName)")
            }
            throw folder.missing(
                name.title, download: name.downloadName,
                tried: [name.folderPrefix + archiveName] + missing.flatMap { $0 })
        }
        return try paths.enumerated().map { file, path in
            let content = try readContent(folder.appending(path), maximumBytes: 1 << 26) {
                !$0.isEmpty && $0.count % recordBytes == 0
            }
            var offset = 0
            contents[file] = try readRecords(
                of: file, name, byteCount: content.count, path: folder.appending(path), contentOffset: 0, &training,
                &test
            ) { output in
                let count = min(output.count, content.count - offset)
                content.withUnsafeBytes { output.copyMemory(from: .init(rebasing: $0[offset..<(offset + count)])) }
                offset += count
                return count
            }
            // No sums are published for these files.
            return DataSource.File(
                path: path, sha256: try Checksum.sha256(ofFile: folder.appending(path)), contentBytes: content.count,
                isOfficial: false)
        }
    }

    // MARK: - Records

    /// Reads the records of one of ``fileNames`` and gives them to its collector.
    ///
    /// - Parameters:
    ///   - byteCount: Length of the file's content.
    ///   - contentOffset: Where it starts in the content of `path`, for errors.
    ///   - read: Fills a buffer with what comes next; less than the buffer only at the end.
    /// - Returns: The SHA-256 of the file's content.
    private static func readRecords(
        of file: Int, _ name: ImageDatasetName, byteCount: Int, path: String, contentOffset: Int,
        _ training: inout ImageCollector, _ test: inout ImageCollector,
        from read: (UnsafeMutableRawBufferPointer) throws -> Int
    ) throws -> String {
        let isTest = file == fileNames.count - 1
        let expected = isTest ? name.testFileCount : name.trainingFileCount / (fileNames.count - 1)
        guard byteCount % recordBytes == 0 else {
            throw DatasetError.malformedContent(
                path: path, contentOffset: contentOffset,
                expected: "whole records of \(recordBytes) bytes in \(fileNames[file])", found: "\(byteCount) bytes")
        }
        guard byteCount / recordBytes == expected else {
            throw DatasetError.imageCount(
                path: path, contentOffset: contentOffset, what: "images in \(fileNames[file])", expected: expected,
                found: byteCount / recordBytes)
        }
        let first = isTest ? 0 : file * expected
        let digest = BackgroundDigest()
        let recordsAtOnce = 64  // 197 kB: they stay in the second-level cache until they are put
        try withUnsafeTemporaryAllocation(byteCount: recordsAtOnce * recordBytes, alignment: 64) { buffer in
            for start in stride(from: 0, to: expected, by: recordsAtOnce) {
                let count = min(recordsAtOnce, expected - start)
                let wanted = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * recordBytes)])
                let found = try read(wanted)
                // An archive's reader throws by itself; this holds for any other.
                guard found == wanted.count else {
                    throw DatasetError.truncatedContent(
                        path: path, contentOffset: contentOffset + start * recordBytes + found,
                        expected: "\(wanted.count - found) more bytes of \(fileNames[file])")
                }
                digest.update(Array(wanted))
                for record in 0..<count {
                    let bytes = wanted.baseAddress!.assumingMemoryBound(to: UInt8.self) + record * recordBytes
                    let label = bytes[0]
                    guard label < classes else {
                        throw DatasetError.labelOutOfRange(
                            path: path, contentOffset: contentOffset + (start + record) * recordBytes,
                            image: start + record, label: Int(label), classes: classes)
                    }
                    if isTest {
                        test.put(bytes + 1, label: label, at: start + record)
                    } else {
                        training.put(bytes + 1, label: label, at: first + start + record)
                    }
                }
            }
        }
        return digest.finalized()
    }
}
