// An HTTP/1.1 client: a request in one piece, an answer that a reader takes apart, and one deadline for all of it. How
// an answer is read is in HTTPResponse.swift.

import ArgumentParser
import AsyncIO

struct HTTPGet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "http-get",
        abstract: "Fetches a page. Try `python3 -m http.server`, and then `http-get http://127.0.0.1:8000/`."
    )

    @Argument(help: "The page, as http://host:port/path.", transform: { try HTTPAddress($0) })
    var page: HTTPAddress

    @Option(help: "How many seconds it may take.")
    var patience = 30

    func run() throws {
        try AsyncIO.run {
            let response = try await Self.fetch(page, within: .seconds(patience))
            Terminal.writeLine("\(response.status) \(response.reason), \(response.body.count) bytes")
            Terminal.writeLine(String(decoding: response.body, as: UTF8.self))
        }
    }

    /// Fetches a page, or says why not: an answer that tells to look elsewhere is an error, one of "not found" is not.
    static func fetch(_ page: HTTPAddress, within patience: Duration) async throws -> HTTPResponse {
        let response = try await withTimeout(patience) {
            try await TCPConnection.withConnection(host: page.endpoint.host, port: page.endpoint.port) { connection in
                // `Connection: close`: the server ends the connection after its answer.
                try await connection.write(
                    "GET \(page.path) HTTP/1.1\r\nHost: \(page.authority)\r\nAccept: */*\r\nConnection: close\r\n\r\n"
                )
                return try await HTTPResponse.read(from: connection.reader)
            }
        }
        if (300..<400).contains(response.status), let place = response.headers["location"] {
            throw HTTPError("\(response.status): the page is at '\(place)'. Redirects are not followed.")
        }
        return response
    }
}

/// Where a page is.
struct HTTPAddress: Sendable {
    /// As the server is told: the host, and the port if one was named.
    let authority: String
    let endpoint: Endpoint
    let path: String

    init(_ text: String) throws {
        if text.lowercased().hasPrefix("https://") {
            throw HTTPError("'\(text)': this program does not encrypt, so that it can fetch http:// pages only.")
        }
        // A blank or a line end would begin something else in the request.
        guard text.lowercased().hasPrefix("http://"), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw HTTPError("'\(text)' is no address of the form http://host:port/path, in ASCII and without blanks.")
        }
        let rest = text.dropFirst("http://".count).prefix { $0 != "#" }
        authority = String(rest.prefix { $0 != "/" && $0 != "?" })
        guard !authority.contains("@"),
            let endpoint = Endpoint(argument: authority) ?? Endpoint(argument: authority + ":80")
        else { throw HTTPError("'\(authority)' is no host, nor a host and a port.") }
        self.endpoint = endpoint
        let path = rest.dropFirst(authority.count)
        self.path = path.hasPrefix("/") ? String(path) : "/\(path)"
    }
}
