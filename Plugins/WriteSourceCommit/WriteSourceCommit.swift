import PackagePlugin

/// Writes the commit that is built into the target that it serves, before every build.
@main struct WriteSourceCommit: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let project = context.package.directoryURL, folder = context.pluginWorkDirectoryURL
        return [
            .prebuildCommand(
                displayName: "Writing the commit of the sources", executable: .init(filePath: "/bin/sh"),
                arguments: [
                    project.appending(path: "Plugins/WriteSourceCommit/write.sh").path, project.path,
                    folder.appending(path: "FoundCommit.swift").path,
                ], outputFilesDirectory: folder)
        ]
    }
}
