// swift-tools-version: 6.2
// The package: a callback reactor over libuv, the Task/Future layer on it, and the tools for testing both.
//
// Every Swift target checks memory safety strictly. Only `Reactor` may contain unsafe code, each use with its reason;
// everywhere else the compiler's word about it is an error. Warnings are errors in all of them.

import PackageDescription

let common: [SwiftSetting] = [
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableExperimentalFeature("Lifetimes"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

/// For every target that must not contain unsafe code.
let safe: [SwiftSetting] = common + [.treatWarning("StrictMemorySafety", as: .error)]

let package = Package(
    name: "swift-asyncio",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Reactor", targets: ["Reactor"]),
        .library(name: "AsyncIO", targets: ["AsyncIO"]),
        .library(name: "AsyncIOTesting", targets: ["AsyncIOTesting"]),
        .executable(name: "echo-server", targets: ["echo-server"]),
        .executable(name: "examples", targets: ["examples"]),
    ],
    dependencies: [
        // For the example programs only: the libraries depend on nothing but libuv.
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.5.0")
    ],
    targets: [
        .systemLibrary(
            name: "CLibUV",
            path: "Modules/CLibUV",
            pkgConfig: "libuv",
            providers: [.apt(["libuv1-dev"]), .brew(["libuv"])]
        ),
        .target(name: "CReactor", dependencies: ["CLibUV"]),
        .target(
            name: "Reactor",
            dependencies: ["CLibUV", "CReactor"],
            swiftSettings: common + [.treatWarning("StrictMemorySafety", as: .warning)]
        ),
        .target(name: "AsyncIO", dependencies: ["Reactor"], swiftSettings: safe),
        .target(name: "AsyncIOTesting", dependencies: ["Reactor", "AsyncIO"], swiftSettings: safe),
        .executableTarget(
            name: "echo-server",
            dependencies: [
                "AsyncIO",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: safe
        ),
        .executableTarget(
            name: "examples",
            dependencies: [
                "AsyncIO", "AsyncIOTesting",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: safe
        ),
        .testTarget(
            name: "ReactorTests",
            dependencies: ["Reactor", "AsyncIO", "AsyncIOTesting", "TestSupport"],
            swiftSettings: common
        ),
        .testTarget(
            name: "AsyncIOTests",
            dependencies: ["AsyncIO", "AsyncIOTesting", "TestSupport", "FuzzChecks", "examples", "run-fixture"],
            swiftSettings: common
        ),
        // What the test targets share, which run in one process.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: common),
        // Programs that tests run, as the main thread and its signals cannot be tested from within the test runner.
        .executableTarget(
            name: "run-fixture",
            dependencies: ["AsyncIO"],
            path: "Tests/RunFixture",
            swiftSettings: safe
        ),
        // Checks of inputs of any bytes: a test replays those that are kept, and the fuzzer looks for others.
        .target(
            name: "FuzzChecks",
            dependencies: ["AsyncIO", "AsyncIOTesting"],
            path: "Tests/Fuzz/Checks",
            swiftSettings: common
        ),
        // Calls to libuv and the C library that fail when they are told to, and what fails then: by one command.
        .target(name: "CTorture", dependencies: ["CLibUV"], path: "Tests/Torture/CTorture"),
        .executableTarget(
            name: "torture",
            dependencies: [
                "AsyncIO", "CTorture",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Torture/torture",
            swiftSettings: safe
        ),
        // Hours of faults, by one command: see its own words.
        .executableTarget(
            name: "soak",
            dependencies: [
                "AsyncIO",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Soak",
            swiftSettings: safe
        ),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)

// The fuzzer has the `main` of libFuzzer, which is there only in a build for it: see .ci/fuzz.
if Context.environment["ASYNCIO_FUZZ"] == "1" {
    package.targets.append(
        .executableTarget(
            name: "fuzzer",
            dependencies: ["AsyncIO", "AsyncIOTesting", "FuzzChecks"],
            path: "Tests/Fuzz/Fuzzer",
            swiftSettings: common
        )
    )
}
