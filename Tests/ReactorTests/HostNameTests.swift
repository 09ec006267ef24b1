// Host names in ASCII: the examples of RFC 3492 and of everyday life, and what cannot be a name.

import Foundation
import TestSupport
import Testing

@testable import Reactor

extension ReactorTests {
    @Suite struct HostNameTests {
        @Test(arguments: [
            ("example.com", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("münchen.de", "xn--mnchen-3ya.de"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
            ("почемужеонинеговорятпорусски", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"),
            ("3年b組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"),
            ("☃.net.", "xn--n3h.net."),
            ("a.\u{301}b", "a.xn--b-wbb"),
            ("", ""),
        ])
        func `names are written in ASCII as the RFC has it`(name: String, ascii: String) throws {
            #expect(try HostName.ascii(name) == ascii)
        }

        @Test(.needs("python3")) func `Python writes them the same`() throws {
            let names = [
                "straßburg".replacing("ß", with: "ss") + "é", "ñandú.ar", "αβγδ.gr", "ไทย.th", "日本語.jp", "é.é.é",
            ]
            let script = "print(','.join(n.encode('idna').decode() for n in sys.argv[1].split(',')))"
            let end = try ForeignProgram.python("import sys\n" + script, names.joined(separator: ",")).finish()
            #expect(end.status == 0, "\(end.errors)")
            let ours = try names.map { try HostName.ascii($0) }.joined(separator: ",")
            #expect(ours == end.output.trimmingCharacters(in: .whitespacesAndNewlines))
        }

        @Test func `a name has 253 bytes at most, and a dot at its end does not count`() throws {
            let longest = String(repeating: "a", count: 253)
            #expect(try HostName.ascii(longest) == longest && HostName.ascii(longest + ".") == longest + ".")
            #expect(throws: ResolverError.self) { try HostName.ascii(longest + "a") }
            #expect(throws: ResolverError.self) { try HostName.ascii("a\0") }
            let error = #expect(throws: ResolverError.self) { try HostName.ascii(String(repeating: "ö", count: 64)) }
            #expect(error?.description.hasSuffix("is too long to be written in ASCII.") == true)
        }
    }
}
