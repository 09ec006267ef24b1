// The examples of the doc comments about pacing, as code that is compiled and run: see IntervalTests, RateLimiterTests and
// RetryTests.

import AsyncIO

enum RateLimiterExample {
    static func run(_ requests: [String], send: (String) async throws -> Void) async throws {
        let limiter = RateLimiter(rate: 100, per: .seconds(1), burst: 10)
        for request in requests {
            try await limiter.acquire()
            try await send(request)
        }
    }
}

enum IntervalExample {
    static func run(report: (LoopInstant) throws -> Void) async throws {
        for try await instant in Interval(every: .seconds(1)) {
            try report(instant)
        }
    }
}

enum RetryExample {
    static func run(fetch: (String) async throws -> String) async throws -> String {
        let page = try await AsyncIO.retry(RetryPolicy(maximumAttempts: 3)) {
            try await fetch("/index.html")
        }
        return page
    }
}
