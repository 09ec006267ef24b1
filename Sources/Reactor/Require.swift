// How a mistake ends the program: with a sentence, in release builds too, where the standard library's `precondition`
// says nothing.

/// Traps with a sentence that teaches, unless the condition holds.
@inlinable
@inline(__always)
package func require(_ condition: Bool, _ sentence: @autoclosure () -> String) {
    if !condition { fault(sentence()) }
}

/// Traps with a sentence.
@usableFromInline
@inline(never)
package func fault(_ sentence: String) -> Never { fatalError(sentence) }
