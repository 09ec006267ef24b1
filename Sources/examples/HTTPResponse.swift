// An answer in HTTP/1.1, read with a connection's reader: lines for the head, and a body whose end is told in one of
// three ways. Whatever the server sends, what is kept of it is bounded.

import AsyncIO
import Foundation

/// What a server answered.
struct HTTPResponse: Sendable {
    /// How long a line, how many headers and how many bytes of a body are taken.
    static let longestLine = 8_192, mostHeaders = 100, largestBody = 16 << 20

    var status: Int
    var reason: String
    /// By their names in lowercase.
    var headers: [String: String] = [:]
    var body: [UInt8] = []

    /// Reads the head, and the body in the way that the head says.
    static func read(from reader: StreamReader) async throws -> HTTPResponse {
        reader.limit = longestLine
        var response = try await readHead(from: reader)
        // "Wait a moment" and the like come before the answer itself.
        while (100..<200).contains(response.status) { response = try await readHead(from: reader) }
        if response.status == 204 || response.status == 304 { return response }
        if let coding = response.headers["transfer-encoding"] {
            guard coding.lowercased() == "chunked" else {
                throw HTTPError("The transfer coding '\(coding)' is unknown.")
            }
            response.body = try await readChunks(from: reader)
        } else if let length = response.headers["content-length"] {
            let count = try size(length, radix: 10)
            response.body = Array(try await reader.read(exactly: count))
        } else {
            response.body = Array(try await reader.readToEnd(limit: largestBody))
        }
        return response
    }

    private static func readHead(from reader: StreamReader) async throws -> HTTPResponse {
        let line = try await readLine(from: reader)
        let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]), (100..<600).contains(status)
        else { throw HTTPError("That is no HTTP/1.1: '\(line.prefix(80))'.") }
        let reason = words.count == 3 ? String(words[2]) : ""
        return HTTPResponse(status: status, reason: reason, headers: try await readHeaders(from: reader))
    }

    private static func readHeaders(from reader: StreamReader) async throws -> [String: String] {
        var headers: [String: String] = [:]
        for _ in 0...mostHeaders {
            let line = try await readLine(from: reader)
            if line.isEmpty { return headers }
            let name = line.prefix { $0 != ":" }
            guard !name.isEmpty, name.count < line.count, !name.contains(where: \.isWhitespace) else {
                throw HTTPError("That is no header: '\(line.prefix(80))'.")
            }
            let value = line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
            // A header that comes twice is a list; two lengths are none, and are refused.
            headers.merge([name.lowercased(): value]) { "\($0), \($1)" }
        }
        throw HTTPError("There are more than \(mostHeaders) headers.")
    }

    private static func readChunks(from reader: StreamReader) async throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            let line = try await readLine(from: reader)
            let count = try size(line.prefix { $0 != ";" && $0 != " " }, radix: 16, after: body.count)
            if count == 0 { break }
            body += try await reader.read(exactly: count)
            guard try await readLine(from: reader).isEmpty else { throw HTTPError("A chunk is longer than it says.") }
        }
        _ = try await readHeaders(from: reader)
        return body
    }

    /// A line, which must be there.
    private static func readLine(from reader: StreamReader) async throws -> String {
        guard let line = try await reader.readTextLine() else { throw HTTPError("The answer ends too early.") }
        return line
    }

    /// A size in digits, checked before anything is read for it.
    private static func size(_ digits: some StringProtocol, radix: Int, after count: Int = 0) throws -> Int {
        guard digits.first?.isHexDigit == true, let size = Int(digits, radix: radix) else {
            throw HTTPError("'\(digits.prefix(80))' is no size.")
        }
        guard size <= largestBody - count else {
            throw HTTPError("A body of more than \(largestBody) bytes is refused.")
        }
        return size
    }
}

/// Why there is no page.
struct HTTPError: Error, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
