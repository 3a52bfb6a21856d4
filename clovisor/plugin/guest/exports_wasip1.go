package guest

import (
	"encoding/binary"
	"unsafe"
)

var registered Parser

// Register sets the parser of this plug-in. It is to be called once, from an
// init function.
func Register(p Parser) { registered = p }

// The exported functions are the binary interface, version 1, which package
// plugin describes.

// in is where the host writes arguments, out where it reads results. They are
// kept here so that the collector leaves them alone.
var in, out []byte

//go:wasmexport clovisor_abi
func abi() uint32 { return 1 }

//go:wasmexport clovisor_buffer
func buffer(size uint32) unsafe.Pointer {
	if uint32(cap(in)) < size {
		in = make([]byte, size)
	}
	in = in[:cap(in)]
	return unsafe.Pointer(unsafe.SliceData(in))
}

//go:wasmexport clovisor_parse
func parse(keyBytes, dataBytes, isReq uint32) uint64 {
	data := in[keyBytes : keyBytes+dataBytes]
	rest, tags := registered.Parse(string(in[:keyBytes]), isReq != 0, data)
	out = binary.LittleEndian.AppendUint32(out[:0], uint32(len(rest)))
	count := ^uint32(0) // nil: the message is not complete
	if tags != nil {
		count = uint32(len(tags))
	}
	out = binary.LittleEndian.AppendUint32(out, count)
	for k, v := range tags {
		out = appendText(appendText(out, k), v)
	}
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(out))))<<32 | uint64(len(out))
}

func appendText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

//go:wasmexport clovisor_end
func end(keyBytes uint32) {
	if e, ok := registered.(Ender); ok {
		e.End(string(in[:keyBytes]))
	}
}
