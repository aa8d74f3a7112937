import Datasets
import Foundation
import Testing

@Suite struct DataFolderTests {
    @Test func dataFolder_optionIsBeforeVariableIsBeforeDefault() {
        func resolve(_ option: String?, _ variable: String?) -> DataFolder {
            let environment = variable.map { ["HYPERNETWORKS_DATA": $0] } ?? [:]
            return DataFolder.resolve(option: option, environment: environment, workingDirectory: "/project")
        }
        #expect(resolve("/option", "/variable") == DataFolder(path: "/option", origin: .option))
        #expect(resolve(nil, "/variable") == DataFolder(path: "/variable", origin: .environment))
        #expect(resolve(nil, nil) == DataFolder(path: "/project/data", origin: .standard))
        // What an unset shell variable leaves behind counts as not given.
        #expect(resolve("", "") == DataFolder(path: "/project/data", origin: .standard))
    }

    @Test func dataFolder_relativePathsAreJoinedToTheWorkingDirectory() {
        let folder = DataFolder.resolve(option: "sets/all", environment: [:], workingDirectory: "/project")
        #expect(folder.path == "/project/sets/all")
    }

    @Test(arguments: ["~/sets", "~"])
    func dataFolder_aTildeIsWhatItIsInThePathOfAnyFile(path: String) {
        let folder = DataFolder.resolve(option: path, environment: [:], workingDirectory: "/project")
        #expect(folder.path == URL(fileURLWithPath: path).path)
    }

    @Test func dataFolder_anApostropheInAPathIsQuotedForTheShell() {
        let folder = DataFolder(path: "/it's data", origin: .option)
        #expect(folder.downloadCommand(for: ["ptb"]) == #"data/download.sh --data '/it'\''s data' ptb"#)
    }
}
