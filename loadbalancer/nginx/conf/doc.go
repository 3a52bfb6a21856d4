// Package conf writes and reads nginx's configuration language.
//
// A configuration is a list of [Directive] values. [Encode] turns it into
// text, quoting whatever needs it, so that no value can end its statement,
// open a block or start a comment; what the language cannot express is
// refused. [Parse] reads text by the rules of nginx's own reader, which
// includes are not followed by. For every tree that Encode accepts,
// Parse(Encode(tree)) is the same tree.
//
// The package knows words and blocks, not what a directive means: a "$" in a
// value is a variable to the directives that look for one, and no quoting
// changes that. Who puts other people's data into such a directive must
// refuse the "$" first.
package conf
