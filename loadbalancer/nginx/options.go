package nginx

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"
)

// Options say how to run nginx. The zero value of each field but Dir works.
type Options struct {
	// Program is nginx's file. Empty: nginx on the path.
	Program string
	// Dir is the driver's own folder: the configuration, the log, sockets and
	// bodies on their way. It is made if it is not there. nginx's workers must
	// be able to read it, and as sockets lie in it, its path has at most
	// 80 bytes.
	Dir string
	// User that workers run as; only root can choose. Empty: the one that
	// nginx was built with.
	User string
	// Workers is the number of worker processes. 0: one a processor.
	Workers int
	// WorkerConnections bounds the connections of one worker, to clients and
	// servers together. 0: 4096.
	WorkerConnections int
	// KeepAlive is how long a client's connection may be idle, in whole
	// seconds. 0: 2 s.
	KeepAlive time.Duration
	// DrainTime is how long a change waits for idle connections: before the
	// reload if nginx is older than 1.27.4, else after it. Less than KeepAlive
	// is faster and promises less, see [Driver.Describe]. 0: KeepAlive.
	DrainTime time.Duration
	// ShutdownTimeout bounds how long an old worker may live for connections
	// that do not end, such as WebSockets; they are cut then. 0: 1 h.
	ShutdownTimeout time.Duration
	// ApplyTimeout bounds a change, beside DrainTime. 0: 20 s.
	ApplyTimeout time.Duration
	// LeaveRunning lets nginx run on when Run ends; the next Run in the same
	// Dir takes it over.
	LeaveRunning bool
	// Logger gets what happens. nil: nothing is logged.
	Logger *slog.Logger
}

// maxDirBytes leaves room for the names of sockets: a path has 108 bytes.
const maxDirBytes = 80

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("nginx: Options.Dir is empty; the driver needs a folder of its own")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("nginx: %w", err)
	}
	if len(dir) > maxDirBytes {
		return o, fmt.Errorf("nginx: Options.Dir %s has more than %d bytes; sockets need a shorter path", dir, maxDirBytes)
	}
	o.Dir = dir
	o.Program = cmp.Or(o.Program, "nginx")
	o.WorkerConnections = cmp.Or(o.WorkerConnections, 4096)
	o.KeepAlive = cmp.Or(o.KeepAlive, 2*time.Second)
	o.DrainTime = cmp.Or(o.DrainTime, o.KeepAlive)
	o.ShutdownTimeout = cmp.Or(o.ShutdownTimeout, time.Hour)
	o.ApplyTimeout = cmp.Or(o.ApplyTimeout, 20*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}
