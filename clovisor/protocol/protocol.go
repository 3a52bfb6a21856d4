// Package protocol is the contract between the streams of a connection and
// the parsers that find requests and responses in them. The parsers are in
// the folders below; people may add their own.
package protocol

import "time"

// Side says who sent bytes.
type Side uint8

// The sides of a connection.
const (
	Client Side = iota
	Server
)

// Other is the other side.
func (s Side) Other() Side { return 1 - s }

// Chunk is what comes next in one direction of a connection: bytes, and after
// them bytes that are known to have been sent but are not here. For UDP a
// chunk is one datagram.
type Chunk struct {
	From Side
	Time time.Time // when the kernel saw the segment

	// Offset is where Data begins, counted from the first byte of the
	// direction that was seen; Acked is how much of the other direction its
	// sender had received when it sent this, counted the same way. They tell
	// after a loss which response cannot be to which request. 0 for UDP.
	Offset, Acked int64

	Data    []byte // not kept by the parser; may be empty
	Missing int64  // bytes after Data
	Lost    bool   // Missing were wanted and are lost, not left out as not needed
}

// End says how a direction ended.
type End uint8

// The ends.
const (
	Finished End = iota + 1 // FIN: nothing follows from this side
	Reset                   // RST: from either side, ends both
	TimedOut                // nothing was seen for too long
	Evicted                 // no room to follow it any longer
	Stopped                 // the capture ends
)

// A Parser finds the messages of one connection. It is called by one
// goroutine, and calls [Context.Emit] as sessions become complete. It must
// work whatever the cutting of the streams into chunks is, keep memory
// bounded, tell it by [Context.Use], and never panic.
type Parser interface {
	// Data takes the next chunk. It returns how many of the bytes that follow
	// on this side are not needed, only their number: the rest of a body.
	// Forever says that nothing of this side is needed any more. Missing
	// bytes within that number leave the framing as it is; others are a gap,
	// after which the parser looks for the next start of a message.
	Data(*Chunk) (skip int64)

	// End ends a side, or both for every reason but Finished. What is
	// pending and cannot complete any more is emitted.
	End(from Side, how End, at time.Time)
}

// Forever as a number of bytes means all that follow.
const Forever = int64(1) << 62

// Verdict is what the first bytes of a connection say about its protocol.
type Verdict uint8

// The verdicts.
const (
	No Verdict = iota
	Maybe
	Yes
)

// Protocol is a protocol that can be followed.
type Protocol struct {
	// Name is the name that ports are given: "http", "http2", "redis", "dns".
	Name string
	// UDP says that it is spoken over UDP, and not over TCP: a protocol of
	// both has two values of the same name.
	UDP bool
	// Sniff judges the first bytes of a side, at most [SniffBytes] of them.
	// mid says that the connection was running when they were seen. nil: the
	// protocol is used only where a port names it.
	Sniff func(from Side, data []byte, mid bool) Verdict
	// New makes the parser of a connection. mid says that its start was not
	// seen.
	New func(c *Context, mid bool) Parser
}

// SniffBytes is how many bytes of a side Sniff may see at most.
const SniffBytes = 512
