package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Defaults of a [Source].
const (
	defaultPollInterval = time.Second
	defaultTimeout      = 2 * time.Second
	// slowPoll is how often Redis is read where it tells of changes itself.
	slowPoll = 30 * time.Second
)

// SourceOptions says which layers there are. The zero value has none, and
// gives the defaults once.
type SourceOptions struct {
	// File is the path of a YAML file, such as that of a mounted ConfigMap.
	// Empty: none.
	File string
	// Flags lie over the file.
	Flags Values
	// Redis lies over both. The client stays the caller's. nil: none.
	Redis redis.UniversalClient
	// PollInterval is how often the file is read, and Redis where it does not
	// tell of changes (notify-keyspace-events). 0: 1 s.
	PollInterval time.Duration
	// Timeout bounds one reading of Redis, also the first, before which
	// nothing is handed on. 0: 2 s.
	Timeout time.Duration
	// Logger hears of faults and of Redis going and coming. nil: silence.
	Logger *slog.Logger
}

// SourceStatus says where a configuration comes from.
type SourceStatus struct {
	Config Config    // in force
	Since  time.Time // when it came into force
	// Redis is true while the last reading of Redis worked; Notified while
	// Redis tells of changes, so that they count at once.
	Redis, Notified bool
	// Err is why something newer than Config is not in force: it joins a
	// [*FieldError] for each fault, and errors of reading. nil: all is well.
	Err error
}

// Source follows a configuration in its layers: defaults, a file, flags and
// Redis, each over the one before. Methods may be called concurrently.
type Source struct {
	o     SourceOptions
	flags update

	// Owned by Run.
	file, remote layerState
	fileText     []byte
	generations  map[string]uint64 // by protocol: how often it was published
	published    []string          // protocols since the last reading
	notified     bool

	mu     sync.Mutex
	status SourceStatus
}

// layerState is the last good content of a layer, and what came of the last
// reading.
type layerState struct {
	good   update
	err    error
	logged string // the error that was logged last
}

// NewSource checks the flags; the error joins a [*FieldError] for each fault.
func NewSource(o SourceOptions) (*Source, error) {
	flags, err := o.Flags.layer().read("flags", "")
	if err != nil {
		return nil, err
	}
	if o.PollInterval <= 0 {
		o.PollInterval = defaultPollInterval
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{o: o, flags: flags, generations: map[string]uint64{}}, nil
}

// Status returns the state at this moment.
func (s *Source) Status() SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Run calls apply with the configuration, and again whenever it changes, until
// ctx ends; then it returns nil. Calls come one after another from the
// goroutine of Run. A layer that is wrong or away does not end Run: its last
// good content stays, and Status and the logger say why.
func (s *Source) Run(ctx context.Context, apply func(Config)) error {
	events := make(chan event, 16)
	if s.o.Redis != nil {
		ctx, cancel := context.WithCancel(ctx)
		var listening sync.WaitGroup
		listening.Go(func() { s.listen(ctx, events) })
		defer listening.Wait()
		defer cancel()
	}
	poll := time.NewTicker(s.o.PollInterval)
	defer poll.Stop()
	var remoteRead time.Time
	changed := true // what Redis holds may have changed
	for {
		s.readFile()
		if changed || time.Since(remoteRead) >= s.remoteInterval() {
			s.readRemote(ctx)
			remoteRead = time.Now()
		}
		if ctx.Err() != nil {
			return nil
		}
		s.publish(apply)
		select {
		case <-ctx.Done():
			return nil
		case e := <-events:
			s.take(e)
			for len(events) > 0 { // many changes at once are read once
				s.take(<-events)
			}
			changed = true
		case <-poll.C:
			changed = false
		}
	}
}

// remoteInterval is how often Redis is read without being asked to.
func (s *Source) remoteInterval() time.Duration {
	if s.notified && s.remote.err == nil {
		return max(slowPoll, s.o.PollInterval)
	}
	return 0
}

// publish hands on what the layers add up to, if that is new.
func (s *Source) publish(apply func(Config)) {
	c := Config{}.with(s.file.good).with(s.flags).with(s.remote.good)
	c.Plugins = s.generate(c.Plugins)
	if s.remote.err == nil { // else the file may be on its way
		s.missing(c.Plugins)
	}
	s.mu.Lock()
	fresh := s.status.Since.IsZero() || !reflect.DeepEqual(c, s.status.Config)
	if fresh {
		s.status.Config, s.status.Since = c, time.Now()
	}
	s.status.Redis = s.o.Redis != nil && !unread(s.remote.err)
	s.status.Notified = s.notified
	s.status.Err = errors.Join(s.file.err, s.remote.err)
	s.mu.Unlock()
	if fresh {
		apply(c)
	}
}

// unread tells an error of reading from a fault of what was read.
func unread(err error) bool { return err != nil && !errors.Is(err, ErrInvalid) }

// set takes the result of reading a layer.
func (s *Source) set(l *layerState, name string, u update, err error) {
	if l.err = err; err == nil {
		if l.logged != "" {
			s.o.Logger.Info("config: the source is right again", "source", name)
		}
		l.good, l.logged = u, ""
		return
	}
	if text := err.Error(); text != l.logged {
		l.logged = text
		s.o.Logger.Warn("config: the last good configuration stays in force", "source", name, "error", err)
	}
}

func (s *Source) readFile() {
	if s.o.File == "" {
		return
	}
	text, err := readBounded(s.o.File)
	if err != nil {
		s.fileText = nil
		s.set(&s.file, s.o.File, update{}, fmt.Errorf("config: %w", err))
		return
	}
	if s.fileText != nil && string(text) == string(s.fileText) {
		return
	}
	s.fileText = text
	u, err := readFile(s.o.File, text)
	s.set(&s.file, s.o.File, u, err)
}

// readBounded reads one byte more than a file may have at most.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(fileLimits.Bytes)+1))
	if text == nil {
		text = []byte{}
	}
	return text, err
}
