// Package guest turns a parser into a plug-in of Clovisor: a WebAssembly
// module that Clovisor loads while it runs. A plug-in is a main package that
// registers its parser:
//
//	func init() { guest.Register(parser{}) }
//
//	func main() {}
//
// built as a reactor of WASI with the Go that everybody has:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o NAME.wasm .
//
// On other systems Register does nothing, so that plug-ins can be tested as any
// package. What is called when is said at
// package plugin, whose Parser this one is.
package guest

// NoResponse is the tag of a request that gets no response, with any value:
// a command of memcached with "noreply", say. Without it the next response
// would be taken for its.
const NoResponse = "clovisor.no_response"

// Parser is the interface of plug-ins; see package plugin.
type Parser interface {
	Parse(sessionKey string, isReq bool, data []byte) (rest []byte, tags map[string]string)
}

// Ender is a Parser that wants to know when a connection ends.
type Ender interface {
	End(sessionKey string)
}
