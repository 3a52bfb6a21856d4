// Package plugin adds parsers to Clovisor: as Go values in a binary of one's
// own, or as WebAssembly modules that are loaded while Clovisor runs.
//
// A [Parser] is called with the bytes of one direction of a connection, in
// order and without gaps but those that the capture lost. It returns what it
// did not use, which must be the end of what it was given, and tags. Tags that
// are nil say that no message has ended yet. Any other tags, also without an
// entry, say that a message ends where the rest begins. The rest comes again,
// at once if something was used, else with the bytes that follow: each time, or,
// where a message comes in very small pieces, when there are an eighth more,
// the other side answers or the connection ends. So what a parser is given grows
// with the message and not with its square.
// Clovisor pairs the n-th request of a connection with its n-th response, and
// makes one session of both and their tags. It keeps up to [MaxMessageBytes]
// for a parser that waits for more.
//
// [Host] runs parsers by the name of their protocol. One that panics, traps,
// takes too long, or returns what makes no sense is stopped and told by
// [Host.Status]; nothing else is stopped by that. A module that takes more than
// its share of the time ([Options]) rests now and then. A module that is loaded in
// the place of another takes over its connections at their next byte.
//
// # WebAssembly
//
// Package guest makes a module of a Go package. In other languages a module
// is a reactor of WASI preview 1 (it exports memory, and _initialize if it
// needs to be set up) with these functions, all numbers unsigned:
//
//   - clovisor_abi() i32: 1.
//   - clovisor_buffer(size i32) i32: an address with that much room, which the
//     host fills before the next call.
//   - clovisor_parse(key i32, data i32, request i32) i64: parses what is in the
//     buffer, a session key of so many bytes and data of so many after it;
//     request is 1 for the client's bytes, else 0. It returns the address of
//     the result in the upper and its length in the lower 32 bits. The result
//     is little endian: the length of the rest (32 bits), the number of tags
//     (32 bits; all bits set for nil), and for each tag the length (32 bits)
//     and bytes of key and value.
//   - clovisor_end(key i32), if there is one: the connection with the key in
//     the buffer has ended.
//
// A module has the clock, random numbers, and a standard error of which the
// last is told when it fails. It has no files, no network, no environment.
package plugin

import (
	"errors"
	"fmt"
)

// Parser finds messages in the bytes of a connection.
//
// sessionKey stands for the connection; nothing else is known of it. isReq
// says that the client sent the data. data must not be kept. What rest and
// tags mean is said above. Calls come one after another.
type Parser interface {
	Parse(sessionKey string, isReq bool, data []byte) (rest []byte, tags map[string]string)
}

// Ender is a [Parser] that wants to know when a connection ends, to forget
// what it keeps of it.
type Ender interface {
	End(sessionKey string)
}

// Bounds of what a parser gets and gives.
const (
	// MaxMessageBytes is how much of a message that has not ended is kept. A
	// parser that does not use any of that much is given what follows it.
	MaxMessageBytes = 64 << 10
	maxTags         = 64
	maxResultBytes  = 64 << 10
	maxModuleBytes  = 16 << 20
)

// Errors to match with errors.Is.
var (
	// ErrNative says that a file is a native plug-in.
	ErrNative = errors.New("native plug-ins (.so) are not supported: they fit only the very binary that they were built with, " +
		"and a fault in one would end Clovisor; build the parser as WebAssembly: " +
		"GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o NAME.wasm, with package clovisor/plugin/guest")
	// ErrModule says that a file is no module for Clovisor.
	ErrModule = errors.New("no plug-in of Clovisor")
	// ErrTooSlow says that a module could not be compiled in time.
	ErrTooSlow = errors.New("the module takes too long to compile")
	// ErrStopped says that a plug-in was stopped since it did not work.
	ErrStopped = errors.New("the plug-in is stopped")
	// ErrUnknown says that there is no plug-in for a protocol.
	ErrUnknown = errors.New("there is no plug-in for the protocol")
)

// Error is what is wrong with one plug-in.
type Error struct {
	Op       string // "load" or "run"
	Protocol string
	Path     string // empty: it is part of the binary
	Err      error
}

// Error returns "plug-in PROTOCOL (PATH): OP: CAUSE".
func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("plug-in %s: %s: %v", e.Protocol, e.Op, e.Err)
	}
	return fmt.Sprintf("plug-in %s (%s): %s: %v", e.Protocol, e.Path, e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// result is what one call came to.
type result struct {
	used     int // bytes of the data
	tags     map[string]string
	complete bool
}

// runner is a parser that runs, however it is made. Its calls come one after
// another, and none after an error.
type runner interface {
	parse(key string, isReq bool, data []byte) (result, error)
	end(key string) error
	memory() int64
	close()
}

// check holds a result to the contract.
func (r result) check(data []byte) error {
	if r.used < 0 || r.used > len(data) {
		return fmt.Errorf("the rest is longer than the %d bytes it was given", len(data))
	}
	if r.complete && r.used == 0 {
		return errors.New("a message of no bytes")
	}
	if len(r.tags) > maxTags {
		return fmt.Errorf("%d tags; at most %d", len(r.tags), maxTags)
	}
	return nil
}

// native runs a Parser that is part of the binary.
type native struct{ p Parser }

func (n native) parse(key string, isReq bool, data []byte) (r result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panicked: %v", p)
		}
	}()
	rest, tags := n.p.Parse(key, isReq, data)
	return result{used: len(data) - len(rest), tags: tags, complete: tags != nil}, nil
}

func (n native) end(key string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panicked: %v", p)
		}
	}()
	if e, ok := n.p.(Ender); ok {
		e.End(key)
	}
	return nil
}

func (native) memory() int64 { return 0 }
func (native) close()        {}
