// What the process holds: its descriptors as the kernel lists them, and the memory that is its own.

import Foundation

struct Sample: CustomStringConvertible {
    let descriptors: Int
    let residentKiB: Int

    static func take() -> Sample {
        Sample(descriptors: openDescriptors, residentKiB: anonymousKiB)
    }

    private static var openDescriptors: Int {
        let folder = FileManager.default.fileExists(atPath: "/proc/self/fd") ? "/proc/self/fd" : "/dev/fd"
        return (try? FileManager.default.contentsOfDirectory(atPath: folder).count) ?? -1
    }

    /// What belongs to this process alone; 0 where the system does not say.
    private static var anonymousKiB: Int {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return 0 }
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }

    var description: String { "\(descriptors) descriptors, \(residentKiB) KiB" }
}
