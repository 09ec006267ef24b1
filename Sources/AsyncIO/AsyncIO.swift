// The Task/Future layer. It re-exports the callback layer, so that one import is all that a program needs.

@_exported public import Reactor
