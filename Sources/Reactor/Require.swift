// How a mistake ends the program: with a sentence, in release builds too, where the standard library's `precondition`
// says nothing.

/// Traps with a sentence that teaches, unless the condition holds.
@inline(__always)
func require(_ condition: Bool, _ sentence: @autoclosure () -> String) {
    if !condition { fault(sentence()) }
}

/// Traps with a sentence.
@inline(never)
func fault(_ sentence: String) -> Never { fatalError(sentence) }
