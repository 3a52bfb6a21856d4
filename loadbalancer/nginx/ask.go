package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// askLimit bounds one question to a worker.
const askLimit = 10 * time.Second

// answer is what a worker says of itself.
type answer struct {
	generation int
	process    int
	drains     bool
}

// ask asks a worker behind a door.
func (dr *Driver) ask(ctx context.Context, door string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", dr.file(door))
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = conn.Close() }()
	if end, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(end); err != nil {
			return answer{}, err
		}
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return answer{}, err
	}
	text, err := io.ReadAll(io.LimitReader(conn, 4096))
	if err != nil {
		return answer{}, err
	}
	_, body, _ := strings.Cut(string(text), "\r\n\r\n")
	var a answer
	if _, err := fmt.Sscanf(body, "generation %d process %d", &a.generation, &a.process); err != nil {
		return answer{}, fmt.Errorf("a worker answers %q", text)
	}
	a.drains = strings.HasSuffix(body, " drains")
	return a, nil
}

// refused reports whether nobody accepts connections behind a door.
func (dr *Driver) refused(ctx context.Context, door string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", dr.file(door))
	if err == nil {
		_ = conn.Close()
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist)
}

// maxLogBytes is from where on the log is begun anew, and maxWordsBytes how
// much of it an error quotes.
const (
	maxLogBytes   = 16 << 20
	maxWordsBytes = 4096
)

func (dr *Driver) logSize() (int64, error) {
	info, err := os.Stat(dr.file(logFile))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// boundLog begins the log anew when it is long; one old part is kept.
func (dr *Driver) boundLog() error {
	size, err := dr.logSize()
	if err != nil || size < maxLogBytes {
		return err
	}
	if err := os.Rename(dr.file(logFile), dr.file(logFile+".1")); err != nil {
		return err
	}
	return dr.master.signal(reopenSignal)
}

// emergencies returns the lines of the log from an offset on in which nginx
// says that it cannot go on.
func (dr *Driver) emergencies(from int64) string {
	if from < 0 {
		return ""
	}
	f, err := os.Open(dr.file(logFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return ""
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return ""
	}
	var out bytes.Buffer
	for line := range bytes.Lines(data) {
		if bytes.Contains(line, []byte(" [emerg] ")) && out.Len()+len(line) < maxWordsBytes {
			out.Write(line)
		}
	}
	return out.String()
}
