import Datasets
import Foundation
import TestSupport
import Testing

/// Where a program is, nil if it is not installed.
private func program(_ name: String) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { "\($0)/\(name)" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }
}

/// `data/download.sh` from end to end, against a server on this machine.
@Suite(
    .enabled(if: program("curl") != nil, "curl is not installed, which data/download.sh needs"),
    .timeLimit(.minutes(2)))
struct DownloadTests {
    let folder: TemporaryFolder
    let train = textLike(300_000, seed: 1)
    let valid = textLike(20_000, seed: 2)
    let test = textLike(10_000, seed: 3)

    init() throws { folder = try TemporaryFolder() }

    /// The three files of the Penn Treebank, as the mirror has them.
    private var pennTreebank: [String: LocalServer.Resource] {
        [
            "/ptb/ptb.train.txt": .init(train), "/ptb/ptb.valid.txt": .init(valid), "/ptb/ptb.test.txt": .init(test),
        ]
    }

    /// Runs the script with `arguments` on the folder `data` in the temporary folder.
    private func download(
        _ arguments: [String], from server: LocalServer, sums: [String: [UInt8]], path: String? = nil,
        attempts: Int = 4, pause: String = "0", mirror: String? = nil
    ) throws -> (status: Int32, output: String) {
        let lines = sums.map { "\(Checksum.md5($0.value))  \($0.key)\n" }.sorted().joined()
        try folder.write(lines, to: "checksums")
        let environment = [
            "PATH": path ?? ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin",
            "HYPERNETWORKS_DATA": folder.path("data"),
            "HYPERNETWORKS_MIRROR": mirror ?? "http://127.0.0.1:\(server.port)/",
            "HYPERNETWORKS_CHECKSUMS": folder.path("checksums"),
            "HYPERNETWORKS_DOWNLOAD_ATTEMPTS": "\(attempts)",
            "HYPERNETWORKS_DOWNLOAD_PAUSE": pause,
            "no_proxy": "127.0.0.1",
        ]
        let outcome = try execute(
            ["/bin/bash", "\(repository)/data/download.sh"] + arguments, environment: environment)
        return (outcome.status, outcome.output + outcome.errors)
    }

    private var pennTreebankSums: [String: [UInt8]] {
        ["ptb.train.txt": train, "ptb.valid.txt": valid, "ptb.test.txt": test]
    }

    /// The names of all files in a folder of the data folder, sorted.
    private func names(_ name: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path("data/\(name)")).sorted()
    }

    @Test func download_bringsAllFilesOfADataSetAndNothingElse() throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        #expect(try names("ptb") == ["ptb.test.txt.gz", "ptb.train.txt.gz", "ptb.valid.txt.gz"])
        #expect(try names("") == ["ptb"])
        for (name, text) in [("train", train), ("valid", valid), ("test", test)] {
            #expect(try readGzip(path: folder.path("data/ptb/ptb.\(name).txt.gz"), maximumBytes: 1 << 20) == text)
        }
        #expect(server.requests.count == 3)
    }

    @Test func download_secondRunRequestsNothing() throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        _ = try download(["ptb"], from: server, sums: pennTreebankSums)
        let before = server.requests.count
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        #expect(server.requests.count == before)
        #expect(run.output.components(separatedBy: "already here").count - 1 == 3)
    }

    /// Texts that are not compressed, under either name. Where both names are there, the programs read the one in .gz.
    @Test func download_plainTextsThatAreHereAreNotFetched() throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        try folder.write(train, to: "data/ptb/ptb.train.txt")
        try folder.write(valid, to: "data/ptb/ptb.valid.txt.gz")
        try folder.write(valid, to: "data/ptb/ptb.test.txt")
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        #expect(run.output.components(separatedBy: "already here, not compressed").count - 1 == 2, "\(run.output)")
        #expect(server.requests.map(\.path) == ["/ptb/ptb.test.txt"], "its text has another sum")
        try folder.write(gzipCompressed(valid), to: "data/ptb/ptb.train.txt.gz")
        let covered = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(covered.status == 1, "\(covered.output)")
    }

    @Test func download_droppedConnectionIsResumedWhereItBroke() throws {
        var resources = pennTreebank
        resources["/ptb/ptb.train.txt"]?.dropAfter = 100_000
        let server = try LocalServer(resources)
        defer { server.stop() }
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        let requests = server.requests.filter { $0.path == "/ptb/ptb.train.txt" }
        #expect(requests.map(\.start) == [nil, 100_000])
        #expect(try readGzip(path: folder.path("data/ptb/ptb.train.txt.gz"), maximumBytes: 1 << 20) == train)
    }

    @Test func download_laterRunResumesThePartOfAnEarlierOne() throws {
        var resources = pennTreebank
        resources["/ptb/ptb.train.txt"]?.dropAfter = 100_000
        let server = try LocalServer(resources)
        defer { server.stop() }
        let first = try download(["ptb"], from: server, sums: pennTreebankSums, attempts: 1)
        #expect(first.status == 1, "\(first.output)")
        #expect(try names("ptb") == ["ptb.test.txt.gz", "ptb.train.txt.part", "ptb.valid.txt.gz"])
        #expect(try folder.read("data/ptb/ptb.train.txt.part") == Array(train[..<100_000]))
        let second = try download(["ptb"], from: server, sums: pennTreebankSums, attempts: 1)
        #expect(second.status == 0, "\(second.output)")
        #expect(server.requests.last == .init(path: "/ptb/ptb.train.txt", start: 100_000))
        #expect(try names("ptb") == ["ptb.test.txt.gz", "ptb.train.txt.gz", "ptb.valid.txt.gz"])
    }

    @Test func download_serverWithoutRangesIsReadFromTheStart() throws {
        var resources = pennTreebank
        resources["/ptb/ptb.train.txt"]?.dropAfter = 100_000
        resources["/ptb/ptb.train.txt"]?.supportsRange = false
        let server = try LocalServer(resources)
        defer { server.stop() }
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        #expect(try readGzip(path: folder.path("data/ptb/ptb.train.txt.gz"), maximumBytes: 1 << 20) == train)
    }

    @Test func download_completePartNeedsNoServer() throws {
        let server = try LocalServer([:])
        defer { server.stop() }
        for (name, text) in pennTreebankSums { try folder.write(text, to: "data/ptb/\(name).part") }
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        #expect(server.requests == [])
        #expect(try names("ptb") == ["ptb.test.txt.gz", "ptb.train.txt.gz", "ptb.valid.txt.gz"])
    }

    @Test(arguments: [10_000, 300_000, 400_000])
    func download_wrongPartIsReplacedByAWholeDownload(partBytes: Int) throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        try folder.write([UInt8](repeating: 1, count: partBytes), to: "data/ptb/ptb.train.txt.part")
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        #expect(try readGzip(path: folder.path("data/ptb/ptb.train.txt.gz"), maximumBytes: 1 << 20) == train)
        #expect(!folder.exists("data/ptb/ptb.train.txt.part"))
    }

    @Test func download_busyServerIsTriedAgain() throws {
        var resources = pennTreebank
        resources["/ptb/ptb.valid.txt"]?.busyAnswers = 2
        let server = try LocalServer(resources)
        defer { server.stop() }
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        #expect(server.requests.filter { $0.path == "/ptb/ptb.valid.txt" }.count == 3)
        #expect(run.output.contains("HTTP 503"))
    }

    @Test func download_everBusyServerIsGivenUpAndTheOtherFilesCome() throws {
        var resources = pennTreebank
        resources["/ptb/ptb.valid.txt"]?.busyAnswers = 100
        let server = try LocalServer(resources)
        defer { server.stop() }
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 1)
        #expect(server.requests.filter { $0.path == "/ptb/ptb.valid.txt" }.count == 4)
        #expect(run.output.hasSuffix("Failed:\n  ptb/ptb.valid.txt.gz\n"), "\(run.output)")
        #expect(try names("ptb") == ["ptb.test.txt.gz", "ptb.train.txt.gz"])
    }

    @Test func download_absentFileIsNotTriedAgain() throws {
        var resources = pennTreebank
        resources["/ptb/ptb.valid.txt"] = nil
        let server = try LocalServer(resources)
        defer { server.stop() }
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 1)
        #expect(server.requests.filter { $0.path == "/ptb/ptb.valid.txt" }.count == 1)
        #expect(run.output.contains("HTTP 404"))
    }

    @Test func download_wrongChecksumLeavesNoFileAndFails() throws {
        var resources = pennTreebank
        resources["/ptb/ptb.test.txt"]?.content[5000] ^= 1
        let server = try LocalServer(resources)
        defer { server.stop() }
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 1)
        #expect(try names("ptb") == ["ptb.train.txt.gz", "ptb.valid.txt.gz"])
        // A whole download with the wrong sum is what the server has: asking again would waste both sides' time.
        #expect(server.requests.filter { $0.path == "/ptb/ptb.test.txt" }.count == 1)
        #expect(run.output.contains("expected \(Checksum.md5(test))"))
        #expect(run.output.hasSuffix("Failed:\n  ptb/ptb.test.txt.gz\n"), "\(run.output)")
    }

    @Test func download_fileThatFailsItsChecksumIsKeptUnlessReplacementIsAskedFor() throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        let mine = gzipCompressed(Array("my own text\n".utf8))
        try folder.write(mine, to: "data/ptb/ptb.valid.txt.gz")
        let kept = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(kept.status == 1)
        #expect(kept.output.contains("--replace"))
        #expect(try folder.read("data/ptb/ptb.valid.txt.gz") == mine)
        #expect(server.requests.count == 2)
        let replaced = try download(["--replace", "ptb"], from: server, sums: pennTreebankSums)
        #expect(replaced.status == 0, "\(replaced.output)")
        #expect(try readGzip(path: folder.path("data/ptb/ptb.valid.txt.gz"), maximumBytes: 1 << 20) == valid)
        #expect(server.requests.count == 3)
    }

    @Test func download_zipIsCheckedByTheTextInIt() throws {
        let archive = ZipFile(train).bytes
        let server = try LocalServer(["/text8/text8.zip": .init(archive), "/enwik8/enwik8.zip": .init(archive)])
        defer { server.stop() }
        let run = try download(["text8", "enwik8"], from: server, sums: ["text8.zip": train, "enwik8.zip": valid])
        #expect(run.status == 1)
        #expect(run.output.hasSuffix("Failed:\n  enwik8/enwik8.zip\n"), "\(run.output)")
        #expect(try folder.read("data/text8/text8.zip") == archive)
        #expect(try names("enwik8") == [])
    }

    @Test func download_zipIsCheckedWithGzipWhereThereIsNoUnzip() throws {
        try FileManager.default.createDirectory(atPath: folder.path("bin"), withIntermediateDirectories: true)
        for name in ["awk", "curl", "cut", "dirname", "gzip", "md5sum", "mkdir", "mv", "rm", "sleep", "tr", "wc"] {
            guard let installed = program(name) else { continue }
            try FileManager.default.createSymbolicLink(
                atPath: folder.path("bin/\(name)"), withDestinationPath: installed)
        }
        let archive = ZipFile(train).bytes
        let server = try LocalServer(["/text8/text8.zip": .init(archive)])
        defer { server.stop() }
        try folder.write(ZipFile(valid).bytes, to: "data/text8/text8.zip")
        let steps: [([String], Int32)] = [(["text8"], 1), (["--replace", "text8"], 0), (["text8"], 0)]
        for (arguments, status) in steps {
            let run = try download(arguments, from: server, sums: ["text8.zip": train], path: folder.path("bin"))
            #expect(run.status == status, "\(run.output)")
        }
        #expect(server.requests.count == 1)
        #expect(try folder.read("data/text8/text8.zip") == archive)
    }

    /// A full disk while compressing, played by a gzip that writes a little and fails.
    @Test func download_failureWhileStoringLeavesNoFileButThePart() throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        try folder.writeScript("printf partial; exit 1", to: "bin/gzip")
        let path = "\(folder.path("bin")):\(ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")"
        let failed = try download(["ptb"], from: server, sums: pennTreebankSums, path: path)
        #expect(failed.status == 1)
        #expect(try names("ptb") == ["ptb.test.txt.part", "ptb.train.txt.part", "ptb.valid.txt.part"])
        // With room again, nothing need be fetched twice.
        let before = server.requests.count
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        #expect(server.requests.count == before)
    }

    @Test func download_withoutNamesBringsEveryDataSet() throws {
        // The script's own table: data set, file in the data folder, official address, MD5, kind.
        let script = try String(contentsOfFile: "\(repository)/data/download.sh", encoding: .utf8)
        let table = script.split(separator: "\n").map { $0.split(separator: "|").map(String.init) }
            .filter { $0.count == 5 && $0[2].contains("://") }
        #expect(table.count >= 10)
        var paths: [String] = []
        var resources: [String: LocalServer.Resource] = [:]
        var sums: [String: [UInt8]] = [:]
        for row in table {
            let name = (row[2] as NSString).lastPathComponent, path = "/\(row[0])/\(name)"
            paths.append(path)
            resources[path] = .init(row[4] == "zip" ? ZipFile(valid).bytes : valid)
            sums[name] = valid
        }
        let server = try LocalServer(resources)
        defer { server.stop() }
        let run = try download([], from: server, sums: sums)
        #expect(run.status == 0, "\(run.output)")
        #expect(server.requests.map(\.path) == paths)
        for row in table { #expect(folder.exists("data/\(row[1])"), "\(row[1])") }
    }

    @Test func download_dataOptionIsBeforeTheVariable() throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        let other = folder.path("other folder")
        let run = try download(["--data", other, "ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 0, "\(run.output)")
        #expect(folder.exists("other folder/ptb/ptb.train.txt.gz"))
        #expect(!folder.exists("data"))
    }

    @Test func download_fileWithoutAChecksumIsNotFetched() throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        var sums = pennTreebankSums
        sums["ptb.valid.txt"] = nil
        let run = try download(["ptb"], from: server, sums: sums)
        #expect(run.status == 1)
        #expect(run.output.contains("has no line for ptb.valid.txt"))
        #expect(server.requests.count == 2)
    }

    @Test(arguments: [["cifar100"], ["--data"], ["--fast", "ptb"]])
    func download_wrongUsageIsRefusedBeforeAnythingIsDone(arguments: [String]) throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        let run = try download(arguments, from: server, sums: pennTreebankSums)
        #expect(run.status == 2)
        #expect(run.output.contains("usage: data/download.sh"))
        #expect(server.requests == [])
    }

    @Test func download_givesUpAtTheFirstServerThatHasNoAddressAndSaysTheWaysOn() throws {
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        // The domain .invalid has no addresses anywhere (RFC 2606).
        let run = try download(["ptb", "mnist"], from: server, sums: pennTreebankSums, mirror: "http://x.invalid")
        #expect(run.status == 1)
        #expect(run.output.components(separatedBy: "downloading").count == 2, "one try: \(run.output)")
        for way in ["HYPERNETWORKS_MIRROR=", "by hand", "make reproduce-ptb"] { #expect(run.output.contains(way)) }
        #expect(run.output.contains("mnist/t10k-labels-idx1-ubyte.gz"), "all that is missing is listed")
    }

    @Test func download_asksAServerThatDoesNotAnswerTwiceAndSaysTheWaysOn() throws {
        let server = try LocalServer(pennTreebank)
        // Nobody listens on its port any more.
        server.stop()
        let run = try download(["ptb"], from: server, sums: pennTreebankSums)
        #expect(run.status == 1)
        #expect(run.output.components(separatedBy: "downloading").count == 3, "two tries: \(run.output)")
        #expect(run.output.components(separatedBy: "not tried").count == 3, "the other texts: \(run.output)")
        for way in ["HYPERNETWORKS_MIRROR=", "by hand", "make reproduce-ptb"] { #expect(run.output.contains(way)) }
    }

    /// The shell takes 08 for a number of base eight that is none, and leaves the loop over the files.
    @Test(arguments: [("08", Int32(1)), ("00", 1), ("x", 2), ("12345", 2)])
    func download_pauseIsADecimalNumber(pause: String, status: Int32) throws {
        let server = try LocalServer(pennTreebank)
        server.stop()
        try folder.writeScript("exit 0", to: "bin/sleep")
        let path = folder.path("bin") + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
        let run = try download(["ptb"], from: server, sums: pennTreebankSums, path: path, pause: pause)
        #expect(run.status == status && !run.output.contains("All there"), "\(run.output)")
    }

    @Test func download_withoutCurlSaysHowToGetIt() throws {
        try FileManager.default.createDirectory(atPath: folder.path("bin"), withIntermediateDirectories: true)
        let server = try LocalServer(pennTreebank)
        defer { server.stop() }
        let run = try download(["ptb"], from: server, sums: pennTreebankSums, path: folder.path("bin"))
        #expect(run.status == 3)
        #expect(run.output.contains("apt-get install curl"))
    }
}
