// What the tests of groups share.

import AsyncIO

/// Waits for ever, notes that it was cancelled, and throws that.
func noting(
    _ log: Recorder<String>,
    _ name: String,
    _ before: () throws -> Void = {}
) async throws {
    do { try await AsyncIO.sleep(for: .seconds(3_600)) } catch {
        log.append(name)
        try before()
        throw error
    }
}

func names(_ error: (any Error)?) -> [String]? {
    (error as? TaskGroupError)?.errors.map { ($0 as? Refusal)?.name ?? "\($0)" }
}
