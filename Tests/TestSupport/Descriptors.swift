// How many descriptors this process has open, as the kernel tells it, and how many it may have.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// How many descriptors this process has open, with the one that counts them; -1 where the system does not say.
///
/// Without Linux's timers: we have none, and Dispatch makes one when its threads are kept waiting, as they may be at any time.
public func openDescriptors() -> Int {
    #if os(Linux)
    let path = "/proc/self/fd"
    #else
    let path = "/dev/fd"
    #endif
    guard let directory = unsafe opendir(path) else { return -1 }
    defer { unsafe closedir(directory) }
    var count = 0
    while let entry = unsafe readdir(directory) {
        if unsafe !isTimer(entry, in: dirfd(directory)) { count += 1 }
    }
    return count
}

/// Whether an entry of the list of descriptors is one of Linux's timers.
private func isTimer(_ entry: UnsafeMutablePointer<dirent>, in directory: CInt) -> Bool {
    let expected = "anon_inode:[timerfd]"
    return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { target in
        let name = unsafe UnsafeRawPointer(entry) + MemoryLayout<dirent>.offset(of: \.d_name)!
        let length = unsafe readlinkat(
            directory,
            name.assumingMemoryBound(to: CChar.self),
            target.baseAddress!,
            target.count
        )
        guard length == expected.utf8.count else { return false }
        return unsafe zip(target, expected.utf8).allSatisfy { UInt8(bitPattern: $0) == $1 }
    }
}

/// How many bytes of memory this process has had at most so far.
public func largestResidentSize() -> Int {
    var usage = rusage()
    #if canImport(Glibc)
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    #else
    unsafe getrusage(RUSAGE_SELF, &usage)
    #endif
    #if os(Linux)
    return Int(usage.ru_maxrss) * 1_024
    #else
    return Int(usage.ru_maxrss)
    #endif
}

/// Sets how many descriptors this process may have open, and returns how many it might.
///
/// For tests in a process of their own: others would fail for want of descriptors.
@discardableResult
public func limitDescriptors(to count: UInt) -> UInt {
    #if canImport(Glibc)
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    let resource = RLIMIT_NOFILE
    #endif
    var limit = rlimit()
    unsafe getrlimit(resource, &limit)
    let previous = UInt(limit.rlim_cur)
    limit.rlim_cur = rlim_t(count)
    unsafe setrlimit(resource, &limit)
    return previous
}
