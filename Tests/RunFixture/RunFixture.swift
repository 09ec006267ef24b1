// Small programs for RunTests: each case is one run of a process, as its main thread and its signals are what is tested.

import AsyncIO

@main
struct RunFixture {
    static func main() throws {
        try AsyncIO.run {}
    }
}
