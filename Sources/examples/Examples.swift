// The programs by which asyncio is taught, each as a subcommand.

import ArgumentParser
import AsyncIO

@main
struct Examples: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "examples",
        abstract: "Small programs that show what the library does."
    )
}
