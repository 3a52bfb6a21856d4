package alertredis

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/ids/alert"
)

// Kind is how EVE is in Redis.
type Kind int

const (
	// List is a list to which the engine adds at the right end (Suricata's mode
	// "rpush"). An event is taken from it after it was read: at least once.
	List Kind = iota
	// ListLeft is a list to which the engine adds at the left end ("lpush",
	// Suricata's default).
	ListLeft
	// Stream is a stream; the event is the value of its first field, or of
	// "event". Nothing is removed, and each is read once.
	Stream
	// Channel is a channel ("publish"). What is published while nobody reads
	// is lost to Clover.
	Channel
)

// SourceOptions says what is read.
type SourceOptions struct {
	Kind Kind
	// Key of the list or stream, or name of the channel; empty is "suricata".
	Key string
	// Name names the source; empty is "redis:" and the key.
	Name string
	// Logger nil is silence.
	Logger *slog.Logger
}

// Source reads EVE from Redis.
type Source struct {
	client redis.UniversalClient
	o      SourceOptions

	records, alerts, other, rejected atomic.Uint64
}

var _ alert.Source = (*Source)(nil)

// NewSource returns a source; the client stays the caller's.
func NewSource(client redis.UniversalClient, o SourceOptions) *Source {
	o.Key = cmp.Or(o.Key, "suricata")
	o.Name = cmp.Or(o.Name, "redis:"+o.Key)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{client: client, o: o}
}

// Name implements alert.Source.
func (s *Source) Name() string { return s.o.Name }

// Stats implements alert.Source.
func (s *Source) Stats() alert.SourceStats {
	return alert.SourceStats{Records: s.records.Load(), Alerts: s.alerts.Load(), Other: s.other.Load(), Rejected: s.rejected.Load()}
}

// wait bounds how long one command waits for an event.
const wait = time.Second

// Run implements alert.Source.
func (s *Source) Run(ctx context.Context, position string, emit alert.Emit) error {
	var err error
	switch s.o.Kind {
	case List:
		err = s.list(ctx, emit, "left", "right")
	case ListLeft:
		err = s.list(ctx, emit, "right", "left")
	case Stream:
		err = s.stream(ctx, cmp.Or(position, "0"), emit)
	case Channel:
		err = s.channel(ctx, emit)
	default:
		return fmt.Errorf("redis: unknown kind %d", s.o.Kind)
	}
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// list moves each event to a list of its own before it is read, and removes
// it from there afterwards, so that a kill between the two loses nothing.
// The oldest event is at the end from.
func (s *Source) list(ctx context.Context, emit alert.Emit, from, to string) error {
	work := s.o.Key + ":clover"
	oldest, remove := int64(0), s.client.LPop
	if from == "right" {
		oldest, remove = -1, s.client.RPop
	}
	for ctx.Err() == nil {
		text, err := s.client.LIndex(ctx, work, oldest).Result()
		if errors.Is(err, redis.Nil) {
			text, err = s.client.BLMove(ctx, s.o.Key, work, from, to, wait).Result()
		}
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return fmt.Errorf("redis: read the list %s: %w", s.o.Key, err)
		}
		if err := s.take(text, s.identity(text), "", emit); err != nil {
			return err
		}
		// Also when ctx has ended meanwhile: it would be read again.
		if err := remove(context.WithoutCancel(ctx), work).Err(); err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("redis: remove from the list %s: %w", work, err)
		}
	}
	return nil
}

func (s *Source) stream(ctx context.Context, position string, emit alert.Emit) error {
	for ctx.Err() == nil {
		streams, err := s.client.XRead(ctx, &redis.XReadArgs{Streams: []string{s.o.Key, position}, Count: 100, Block: wait}).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return fmt.Errorf("redis: read the stream %s: %w", s.o.Key, err)
		}
		for _, st := range streams {
			for _, m := range st.Messages {
				position = m.ID
				if err := s.take(eventOf(m.Values), s.o.Name+":"+m.ID, m.ID, emit); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// eventOf is the event in an entry of a stream.
func eventOf(values map[string]any) string {
	if text, ok := values["event"].(string); ok {
		return text
	}
	for _, v := range values {
		if text, ok := v.(string); ok {
			return text
		}
	}
	return ""
}

func (s *Source) channel(ctx context.Context, emit alert.Emit) error {
	sub := s.client.Subscribe(ctx, s.o.Key)
	defer func() { _ = sub.Close() }()
	// Waiting for a message does not end with ctx.
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	for {
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			return fmt.Errorf("redis: listen to %s: %w", s.o.Key, err)
		}
		if err := s.take(m.Payload, s.identity(m.Payload), "", emit); err != nil {
			return err
		}
	}
}

// identity is that of an event without a place: the event itself, whose time
// is in microseconds.
func (s *Source) identity(text string) string {
	sum := sha256.Sum256([]byte(text))
	return s.o.Name + ":" + hex.EncodeToString(sum[:16])
}

// take reads one event and emits it if it is an alert.
func (s *Source) take(text, id, position string, emit alert.Emit) error {
	s.records.Add(1)
	a, bad := alert.ParseEVE([]byte(text))
	switch {
	case bad != nil:
		s.rejected.Add(1)
		s.o.Logger.Warn("alert: a record is left out", "source", s.o.Name, "error", bad)
	case a == nil:
		s.other.Add(1)
	default:
		s.alerts.Add(1)
		a.ID, a.Source = id, s.o.Name
		return emit(a, position)
	}
	return nil
}
