// The programs by which asyncio is taught, each as a subcommand in a file of its own: `swift run examples gather`.

import ArgumentParser
import AsyncIO

@main
struct Examples: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "examples",
        abstract: "Small programs that show what the library does.",
        subcommands: [
            HelloWorld.self, SayAfter.self, CreateTask.self, Gather.self, RunUntilComplete.self,
            ChatRoom.self, KeyValue.self, Proxy.self, Crawler.self, Pipeline.self, RetryingClient.self,
            PortScanner.self, UDPEcho.self, HTTPGet.self, Simulate.self,
        ]
    )
}
