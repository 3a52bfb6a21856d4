package kernel

import (
	"time"

	"github.com/cilium/ebpf/perf"
	"github.com/cilium/ebpf/ringbuf"
)

// source is where records come from.
type source interface {
	// next returns the next record, which is valid until it is called again.
	// It returns [os.ErrDeadlineExceeded] or [ringbuf.ErrFlushed] when all is
	// read and the deadline is over or Flush was called.
	next() ([]byte, error)
	SetDeadline(time.Time)
	Flush() error
	Close() error
}

func newSource(o *Options, obj *objects, cpus int) (source, error) {
	if o.Buffer == Ring {
		r, err := ringbuf.NewReader(obj.buffer)
		return &ringSource{Reader: r}, err
	}
	each := max(o.BufferBytes/cpus, 4*chunkBytes)
	r, err := perf.NewReaderWithOptions(obj.buffer, each, perf.ReaderOptions{Watermark: each / 4})
	return &perfSource{Reader: r}, err
}

type ringSource struct {
	*ringbuf.Reader
	record ringbuf.Record
}

func (s *ringSource) next() ([]byte, error) {
	err := s.ReadInto(&s.record)
	return s.record.RawSample, err
}

type perfSource struct {
	*perf.Reader
	record perf.Record
}

func (s *perfSource) next() ([]byte, error) {
	for {
		err := s.ReadInto(&s.record)
		// The kernel's half has counted what was lost.
		if err != nil || s.record.LostSamples == 0 {
			return s.record.RawSample, err
		}
	}
}
