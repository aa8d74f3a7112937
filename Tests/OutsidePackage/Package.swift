// swift-tools-version: 6.2
// A package of somebody else's that uses this one by a tagged git address; `run.sh` fills in the address.
import PackageDescription

let package = Package(
    name: "example",
    platforms: [.macOS(.v15)],
    dependencies: [.package(url: "@URL@", exact: "@VERSION@")],
    targets: [
        .executableTarget(name: "example", dependencies: [.product(name: "HyperNetworks", package: "hypernetworks")])
    ]
)
