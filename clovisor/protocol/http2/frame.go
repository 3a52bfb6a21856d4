package http2

import (
	"encoding/binary"

	"github.com/opnfv/clover/clovisor/protocol"
)

// Frame types (RFC 9113, 6).
const (
	frameData         = 0
	frameHeaders      = 1
	framePriority     = 2
	frameReset        = 3
	frameSettings     = 4
	framePushPromise  = 5
	framePing         = 6
	frameGoAway       = 7
	frameWindow       = 8
	frameContinuation = 9
)

// Flags of frames.
const (
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	headerBytes = 9
	maxBlock    = 64 << 10 // of a header block that is kept
)

// frame is a frame's header.
type frame struct {
	length uint32
	kind   uint8
	flags  uint8
	stream uint32
}

func parseFrame(b []byte) frame {
	return frame{
		length: uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]), kind: b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & 0x7FFFFFFF,
	}
}

// valid reports whether a frame can be one of a connection whose streams are
// numbered up to newest.
func (f frame) valid(newest uint32) bool {
	if f.length > 16384 || f.stream > newest {
		return false
	}
	switch f.kind {
	case frameData:
		return f.stream != 0 && f.flags&^(flagEndStream|flagPadded) == 0
	case frameHeaders:
		return f.stream != 0 && f.length > 0 && f.flags&^(flagEndStream|flagEndHeaders|flagPadded|flagPriority) == 0
	case frameReset, frameWindow:
		return f.length == 4 && f.flags == 0 && (f.stream != 0 || f.kind == frameWindow)
	case frameSettings:
		return f.stream == 0 && f.length%6 == 0 && f.length < 120 && f.flags&^1 == 0
	case framePing:
		return f.stream == 0 && f.length == 8 && f.flags&^1 == 0
	case frameGoAway:
		return f.stream == 0 && f.length >= 8
	}
	return false
}

// plausible reports whether data begins with a frame, and goes on with frames.
func plausible(data []byte, newest uint32) bool {
	for n := 0; ; n++ {
		if len(data) < headerBytes {
			return n > 0
		}
		if data[5]&0x80 != 0 || !parseFrame(data).valid(newest) {
			return false
		}
		size := headerBytes + int(parseFrame(data).length)
		if size >= len(data) {
			return true
		}
		data = data[size:]
	}
}

// begin begins a frame.
func (p *Parser) begin(h *half, c *protocol.Chunk, f frame) {
	h.frame = f
	if h.inBlock && (f.kind != frameContinuation || f.stream != h.blockFrame.stream) {
		p.dropBlock(h) // no other frame may come between: the block is broken
		h.decoder.forget()
	}
	switch f.kind {
	case frameData:
		h.remain, h.pad = int64(f.length), 0
		if f.flags&flagPadded != 0 && f.length > 0 {
			h.state = inPadding
			return
		}
		p.content(h, c)
	case frameHeaders, framePushPromise, frameContinuation, frameReset, frameGoAway:
		if f.length > maxBlock {
			h.tooLong = f.kind == frameHeaders || f.kind == framePushPromise || f.kind == frameContinuation
			if h.tooLong {
				p.dropBlock(h)
				h.decoder.forget()
			}
			h.state, h.remain = inSkip, int64(f.length)
			return
		}
		h.state = inPayload
		if f.length == 0 {
			h.state = inHeader
			p.payload(h, c, nil)
		}
	default:
		if f.length > 0 {
			h.state, h.remain = inSkip, int64(f.length)
		}
	}
}

// content begins the content of DATA, whose padding is known.
func (p *Parser) content(h *half, c *protocol.Chunk) {
	h.pad = min(h.pad, h.remain)
	h.remain -= h.pad
	h.state = inData
	if s := p.streams[h.frame.stream]; s != nil {
		s.message(c.From).Touch(c.Time)
	}
	if h.remain == 0 {
		p.dataEnd(h, c)
	}
}

// payload takes the payload of a frame that is read as a whole.
func (p *Parser) payload(h *half, c *protocol.Chunk, b []byte) {
	f := h.frame
	switch f.kind {
	case frameReset:
		if s := p.streams[f.stream]; s != nil && len(b) == 4 {
			p.reset(s, binary.BigEndian.Uint32(b))
		}
		return
	case frameGoAway:
		if len(b) >= 8 && c.From == protocol.Server {
			p.goAway(binary.BigEndian.Uint32(b) & 0x7FFFFFFF)
		}
		return
	case frameContinuation:
		if !h.inBlock {
			p.ctx.Undecoded += int64(len(b))
			return
		}
	default:
		h.inBlock, h.blockFrame, h.blockBytes, h.blockFirst, h.blockAt = true, f, 0, c.Time, h.at
		b = fragment(f, b)
	}
	h.blockBytes += int64(f.length) + headerBytes
	if f.flags&flagEndHeaders != 0 && len(h.block) == 0 {
		p.headers(h, c, b)
		p.dropBlock(h)
		return
	}
	if len(h.block)+len(b) > maxBlock {
		p.dropBlock(h)
		h.decoder.forget()
		return
	}
	before := cap(h.block)
	h.block = append(h.block, b...)
	p.ctx.Use(cap(h.block) - before)
	if f.flags&flagEndHeaders != 0 {
		p.headers(h, c, h.block)
		p.dropBlock(h)
	}
}

// fragment takes padding and priority off the payload of HEADERS.
func fragment(f frame, b []byte) []byte {
	if f.flags&flagPadded != 0 {
		if len(b) == 0 || int(b[0]) >= len(b) {
			return nil
		}
		b = b[1 : len(b)-int(b[0])]
	}
	if f.kind == frameHeaders && f.flags&flagPriority != 0 {
		b = b[min(5, len(b)):]
	}
	return b
}

// dropBlock forgets the header block that was put together.
func (p *Parser) dropBlock(h *half) {
	p.ctx.Use(-cap(h.block))
	h.block, h.inBlock = nil, false
}
