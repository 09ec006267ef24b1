// Where the figures were taken. They mean little without it.

internal import CMeasure
internal import CPeers
#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

struct Machine: Codable {
    let processor: String
    let cores: Int
    let system: String
    let libuv: String
    let swift: String

    static func current() throws -> Machine {
        Machine(
            processor: try field("model name", of: "/proc/cpuinfo") ?? "unknown processor",
            cores: Int(try check(measure_core_count(), "sched_getaffinity")),
            system: "Linux " + (try contents(of: "/proc/sys/kernel/osrelease")),
            libuv: unsafe String(cString: peer_libuv_version()),
            swift: compiler
        )
    }

    /// One line to stand above the tables.
    var sentence: String {
        "\(processor), \(cores) \(cores == 1 ? "core" : "cores"), \(system), libuv \(libuv), Swift \(swift)."
            + (cores == 1 ? " Server and client shared the core." : "")
    }

    private static var compiler: String {
        #if compiler(>=6.4)
        "6.4 or later"
        #elseif compiler(>=6.3)
        "6.3"
        #else
        "6.2"
        #endif
    }

    private static func contents(of path: String) throws -> String {
        let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        return String(text.prefix { !$0.isNewline })
    }

    /// What stands behind the colon of the first line that begins so.
    private static func field(_ name: String, of path: String) throws -> String? {
        let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name) }
        guard let line, let colon = line.firstIndex(of: ":") else { return nil }
        return line[line.index(after: colon)...].drop { $0.isWhitespace }.description
    }
}
