// The answers that the example reads from servers: the same comes of the same bytes however they are cut, also if that
// is an error. HTTPResponse.swift is the example's own file.

import AsyncIO

enum HTTPResponseCheck {
    static func run(_ input: inout FuzzInput, on loop: isolated EventLoop) async throws {
        let sizes = (0..<1 + input.roll(4)).map { _ in 1 + input.roll(64) }
        let bytes = input.remainder()
        let whole = await outcome(bytes, [max(1, bytes.count)], on: loop)
        let cut = await outcome(bytes, sizes, on: loop)
        if whole != cut { throw FuzzFailure("in pieces of \(sizes): \(cut)\nin one: \(whole)") }
        if whole.contains("CancellationError") { throw FuzzFailure("\(whole)") }
    }

    private static func outcome(_ bytes: [UInt8], _ sizes: [Int], on loop: isolated EventLoop) async -> String {
        do {
            let response = try await HTTPResponse.read(from: StreamReader(PieceSource(bytes, sizes)))
            let headers = response.headers.sorted { $0.key < $1.key }
            return "\(response.status) \(response.reason) \(headers) \(response.body)"
        } catch {
            return "\(error)"
        }
    }
}

/// Delivers bytes in pieces of these sizes, again and again, and then the end.
private final class PieceSource: ByteSource {
    private let bytes: Bytes
    private let sizes: [Int]
    private var place = 0
    private var reads = 0

    init(_ bytes: [UInt8], _ sizes: [Int]) { (self.bytes, self.sizes) = (Bytes(bytes), sizes) }

    func read() async throws -> Bytes? {
        guard place < bytes.count else { return nil }
        let end = min(bytes.count, place + sizes[reads % sizes.count])
        defer { place = end }
        reads += 1
        return bytes[place..<end]
    }
}
