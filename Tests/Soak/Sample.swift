// What the process holds: its descriptors as the kernel lists them, and the memory that is its own.

import Foundation

struct Sample: CustomStringConvertible {
    let descriptors: Int
    let residentKiB: Int

    static func take() -> Sample {
        Sample(descriptors: openDescriptors, residentKiB: anonymousKiB)
    }

    /// Without Linux's timers: we have none, and Dispatch makes one when its threads are kept waiting, as they may be at any
    /// time.
    private static var openDescriptors: Int {
        let files = FileManager.default
        let folder = files.fileExists(atPath: "/proc/self/fd") ? "/proc/self/fd" : "/dev/fd"
        guard let all = try? files.contentsOfDirectory(atPath: folder) else { return -1 }
        let timers = all.filter {
            (try? files.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")) == "anon_inode:[timerfd]"
        }
        return all.count - timers.count
    }

    /// What belongs to this process alone; 0 where the system does not say.
    private static var anonymousKiB: Int {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return 0 }
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }

    var description: String { "\(descriptors) descriptors, \(residentKiB) KiB" }
}
