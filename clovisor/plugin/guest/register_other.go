//go:build !wasip1

package guest

// Register sets the parser of a plug-in; outside of WebAssembly there is none.
func Register(Parser) {}
