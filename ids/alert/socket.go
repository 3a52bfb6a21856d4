package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxDatagram is more than a unix socket carries by default.
const maxDatagram = 1 << 20

// SocketOptions says how a unix socket is listened at.
type SocketOptions struct {
	// Name names the source; empty is the path.
	Name string
	// Datagram takes datagrams; as a rule it is a stream.
	Datagram bool
	// Logger nil is silence.
	Logger *slog.Logger
}

// Socket listens at a unix socket for EVE. What an engine sends while nobody
// listens is lost to both; a [File] is for those who cannot have that.
type Socket struct {
	sourceStats
	path  string
	o     SocketOptions
	epoch string
	seq   atomic.Uint64
}

var _ Source = (*Socket)(nil)

// NewSocket listens at the path, at which a socket that nobody listens at any
// more may be.
func NewSocket(path string, o SocketOptions) *Socket {
	o.Name = cmp.Or(o.Name, path)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Socket{path: path, o: o, epoch: strconv.FormatInt(time.Now().UnixNano(), 36)}
}

// Name implements Source.
func (s *Socket) Name() string { return s.o.Name }

// Run implements Source. The position has no meaning: nothing is sent again.
func (s *Socket) Run(ctx context.Context, _ string, emit Emit) error {
	if err := s.removeOld(ctx); err != nil {
		return err
	}
	var mu sync.Mutex
	one := func(a *Alert) error {
		mu.Lock()
		defer mu.Unlock()
		a.Source = s.o.Name
		a.ID = s.o.Name + ":" + s.epoch + ":" + strconv.FormatUint(s.seq.Add(1), 10)
		return emit(a, "")
	}
	if s.o.Datagram {
		return s.datagrams(ctx, one)
	}
	return s.streams(ctx, one)
}

// removeOld removes a socket that a process has left behind, but not one at
// which somebody listens.
func (s *Socket) removeOld(ctx context.Context) error {
	network := "unix"
	if s.o.Datagram {
		network = "unixgram"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, s.path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("alert: %s: somebody listens there already", s.path)
	}
	if info, err := os.Lstat(s.path); err == nil && info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("alert: %s: there is something that is no socket", s.path)
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Socket) datagrams(ctx context.Context, one func(*Alert) error) error {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "unixgram", s.path)
	if err != nil {
		return fmt.Errorf("alert: listen: %w", err)
	}
	defer func() { _ = os.Remove(s.path) }()
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	buf := make([]byte, maxDatagram)
	format := EVE()
	for {
		n, _, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("alert: read from %s: %w", s.path, err)
		}
		data := buf[:n]
		if n == 0 || data[n-1] != '\n' {
			data = append(data, '\n')
		}
		if _, err := s.take(format, data, one); err != nil {
			return err
		}
	}
}

// streams takes connections, of which an engine makes a new one after each
// that breaks.
func (s *Socket) streams(ctx context.Context, one func(*Alert) error) error {
	l, err := new(net.ListenConfig).Listen(ctx, "unix", s.path)
	if err != nil {
		return fmt.Errorf("alert: listen: %w", err)
	}
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel(nil)
	for {
		conn, err := l.Accept()
		switch {
		case outer.Err() != nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("alert: accept at %s: %w", s.path, err)
		}
		readers.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			defer func() { _ = conn.Close() }()
			if err := s.stream(conn, one); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
}

// stream reads one connection to its end. Only an error of emit is returned.
func (s *Socket) stream(conn io.Reader, one func(*Alert) error) error {
	format := EVE()
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := conn.Read(chunk)
		buf = append(buf, chunk[:n]...)
		taken, emitErr := s.take(format, buf, one)
		if emitErr != nil {
			return emitErr
		}
		buf = append(buf[:0], buf[taken:]...)
		if len(buf) > MaxRecordBytes {
			s.records.Add(1)
			s.rejected.Add(1)
			buf = buf[:0]
		}
		if err != nil {
			if len(buf) > 0 {
				s.truncated.Add(1)
			}
			return nil
		}
	}
}

// take takes the whole lines and returns how many bytes they have.
func (s *Socket) take(format Format, data []byte, one func(*Alert) error) (int, error) {
	taken := 0
	for {
		n, a, err := format.Next(data[taken:])
		if n == 0 {
			return taken, nil
		}
		taken += n
		s.records.Add(1)
		switch {
		case err != nil:
			s.rejected.Add(1)
			s.o.Logger.Warn("alert: a record is left out", "source", s.o.Name, "error", err)
		case a == nil:
			s.other.Add(1)
		default:
			s.alerts.Add(1)
			if err := one(a); err != nil {
				return taken, err
			}
		}
	}
}
