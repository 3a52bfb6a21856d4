package spark

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/opnfv/clover/visibility"
)

// Options say where Spark's SQL server is and how to call it.
type Options struct {
	// Addr is HOST:PORT of HiveServer2's binary protocol.
	Addr string
	// User and Password are for SASL PLAIN, which the server's settings NONE,
	// LDAP and CUSTOM have in common. "": a user that such a server takes if
	// it asks for none.
	User, Password string
	// TLS is how to encrypt; nil: plain text, which is refused for a Password
	// that would leave this machine.
	TLS *tls.Config
	// Sessions is how many statements run at once; others wait. 0: 4.
	Sessions int
	// MaxRows bounds what a statement may answer. 0: 1,000,000.
	MaxRows int
}

const (
	defaultSessions = 4
	defaultMaxRows  = 1_000_000
)

// DB runs statements in Spark. It implements DB of package visibility/sql;
// its methods may be called concurrently.
type DB struct {
	o     Options
	slots chan struct{} // one for each statement that runs

	mu     sync.Mutex
	idle   []*session
	closed bool
}

// Open returns a DB. It connects when it is used. Errors match
// visibility.ErrInvalid.
func Open(o Options) (*DB, error) {
	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, fmt.Errorf("spark: %w: address %q: want HOST:PORT", visibility.ErrInvalid, o.Addr)
	}
	if ip := net.ParseIP(host); o.Password != "" && o.TLS == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("spark: %w: a password for %s needs TLS", visibility.ErrInvalid, o.Addr)
	}
	o.Sessions, o.MaxRows = cmp.Or(o.Sessions, defaultSessions), cmp.Or(o.MaxRows, defaultMaxRows)
	if o.Sessions < 0 || o.MaxRows < 0 {
		return nil, fmt.Errorf("spark: %w: sessions and rows cannot be negative", visibility.ErrInvalid)
	}
	if o.TLS != nil && o.TLS.ServerName == "" {
		o.TLS = o.TLS.Clone()
		o.TLS.ServerName = host
	}
	return &DB{o: o, slots: make(chan struct{}, o.Sessions)}, nil
}

// Query runs one statement and calls yield for each row. Its values are nil,
// bool, int8, int16, int32, int64, float64, string or []byte; what Spark has
// besides, such as decimals, arrives as text. The row is only valid during the
// call. An error from yield ends the statement and is returned.
//
// When ctx ends, so does the statement in Spark, and the error is that of ctx.
// An error that matches visibility.ErrUnavailable may be retried; one that
// matches visibility.ErrLimit says that there were more than Options.MaxRows;
// an [*Error] is Spark's own word.
func (db *DB) Query(ctx context.Context, statement string, yield func(row []any) error) error {
	select {
	case db.slots <- struct{}{}:
		defer func() { <-db.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		s, reused, err := db.session(ctx)
		if err != nil {
			return err
		}
		op, err := s.execute(ctx, statement)
		if err != nil && s.broken && reused && ctx.Err() == nil {
			s.close() // the server has gone or restarted since
			continue
		}
		if err == nil {
			err = op.rows(ctx, db.o.MaxRows, yield)
			op.close()
		}
		db.release(s)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
}

// session returns one that nobody uses, reused if there is one.
func (db *DB) session(ctx context.Context) (s *session, reused bool, err error) {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil, false, errors.New("spark: closed")
	}
	if n := len(db.idle); n > 0 {
		s = db.idle[n-1]
		db.idle = db.idle[:n-1]
		db.mu.Unlock()
		return s, true, nil
	}
	db.mu.Unlock()
	s, err = dial(ctx, &db.o)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return s, false, err
}

// release keeps a session for the next statement if it still works.
func (db *DB) release(s *session) {
	db.mu.Lock()
	keep := !s.broken && !db.closed
	if keep {
		db.idle = append(db.idle, s)
	}
	db.mu.Unlock()
	if !keep {
		s.close()
	}
}

// Close ends the sessions that are idle, and the others when their statements
// end. It is idempotent.
func (db *DB) Close() error {
	db.mu.Lock()
	idle := db.idle
	db.idle, db.closed = nil, true
	db.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
	return nil
}

// Error is what Spark says against a statement.
type Error struct {
	// Message is Spark's; its first lines are for people.
	Message string
	// SQLState is the class of the error, such as "42703"; "" if Spark names
	// none.
	SQLState string
}

func (e *Error) Error() string { return "spark: " + shortened(e.Message) }

// maxMessage bounds what a message shows; Spark adds whole query plans and
// stacks.
const maxMessage = 500

func shortened(message string) string {
	if len(message) > maxMessage {
		message = message[:maxMessage] + " ..."
	}
	return message
}

// unavailable says that the server cannot be reached.
func unavailable(op, addr string, err error) error {
	return fmt.Errorf("spark: %s %s: %w: %w", op, addr, visibility.ErrUnavailable, err)
}

// Waits between two looks at a statement; the server itself makes a look last
// until the statement ends, up to five seconds.
const (
	firstPoll = 5 * time.Millisecond
	lastPoll  = 500 * time.Millisecond
)
