// swift-tools-version: 6.2
// The benchmarks: a package of its own, so that nobody who uses the library downloads its competitors.
//
// One executable is everything: it starts itself again as each server and each client, so that they are processes of
// their own. The peers in C and the load generator are C targets; they, and what reads /proc, make this Linux only.

import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        // Named, because a package found by path is otherwise called after its folder, and a clone's can be any.
        .package(name: "swift-asyncio", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.80.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibUVBench",
            pkgConfig: "libuv",
            providers: [.apt(["libuv1-dev"]), .brew(["libuv"])]
        ),
        .target(name: "CMeasure", cSettings: [.treatAllWarnings(as: .error)]),
        .target(name: "CLoad", dependencies: ["CMeasure"], cSettings: [.treatAllWarnings(as: .error)]),
        .target(
            name: "CPeers",
            dependencies: ["CLibUVBench", "CMeasure"],
            cSettings: [.treatAllWarnings(as: .error)]
        ),
        .executableTarget(
            name: "bench",
            dependencies: [
                "CLoad",
                "CMeasure",
                "CPeers",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "AsyncIO", package: "swift-asyncio"),
                .product(name: "Reactor", package: "swift-asyncio"),
            ],
            swiftSettings: strict
        ),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11
)
