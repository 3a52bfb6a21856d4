package config

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// What Clovisor reads in Redis: the keys and the channel that users know.
const (
	LabelsKey          = "clovisor_labels"                // list
	EgressMatchKey     = "clovisor_egress_match"          // list
	JaegerCollectorKey = "clovisor_jaeger_collector"      // string
	JaegerAgentKey     = "clovisor_jaeger_agent"          // string
	ProtoCfgKey        = "clovisor_proto_cfg"             // hash: protocol to file
	PluginChannel      = "clovisor_proto_plugin_cfg_chan" // message: protocol
)

const (
	redisPrefix = "clovisor_"
	// keyspace is the channel on which Redis tells of changes, if it does.
	keyspace = "__keyspace@*__:" + redisPrefix + "*"

	// Whoever may write to Redis may not fill Clovisor's memory.
	maxKeyBytes   = 1 << 20 // of a key, as Redis counts them
	maxValueBytes = 4096    // of a string that is read
)

// listen forwards what Redis tells until ctx ends: changes of keys, plug-ins
// published, and each time that it begins to tell. The client reconnects by
// itself.
func (s *Source) listen(ctx context.Context, events chan<- event) {
	sub := s.o.Redis.PSubscribe(ctx, PluginChannel, keyspace)
	defer func() { _ = sub.Close() }()
	told := sub.ChannelWithSubscriptions()
	for {
		var e event
		select {
		case <-ctx.Done():
			return
		case m, ok := <-told:
			if !ok {
				return
			}
			if m, ok := m.(*redis.Message); ok && m.Channel == PluginChannel {
				e = event{published: true, protocol: m.Payload}
			}
		}
		select {
		case <-ctx.Done():
			return
		case events <- e:
		}
	}
}

// event is that something in Redis may have changed.
type event struct {
	published bool // a plug-in's protocol was, and the plug-in is to be loaded again
	protocol  string
}

// take notes which plug-in is to be loaded again, whichever layer names it.
func (s *Source) take(e event) {
	if !e.published {
		return
	}
	if err := checkProtocol(e.protocol); err != nil {
		s.o.Logger.Warn("config: a message is ignored", "channel", PluginChannel, "error", err)
		return
	}
	if _, known := s.generations[e.protocol]; known || len(s.generations) < MaxEntries {
		s.generations[e.protocol]++
		if !slices.Contains(s.published, e.protocol) { // while Redis cannot be read, they wait
			s.published = append(s.published, e.protocol)
		}
	}
}

// generate gives plug-ins their generations. The list is that of a layer, which
// has to stay as it is.
func (s *Source) generate(plugins []Plugin) []Plugin {
	plugins = slices.Clone(plugins)
	for i := range plugins {
		plugins[i].Generation = s.generations[plugins[i].Protocol]
	}
	return plugins
}

// missing tells of plug-ins that were published but are in no layer, and
// forgets them: their names may be anything.
func (s *Source) missing(plugins []Plugin) {
	for _, name := range s.published {
		if !slices.ContainsFunc(plugins, func(p Plugin) bool { return p.Protocol == name }) {
			delete(s.generations, name)
			s.o.Logger.Warn("config: a plug-in was published that has no file", "protocol", name,
				"remedy", fmt.Sprintf("HSET %s %s \"FILE\", then publish again", ProtoCfgKey, name))
		}
	}
	s.published = nil
}

// readRemote reads Redis.
func (s *Source) readRemote(ctx context.Context) {
	if s.o.Redis == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	l, err := s.fetch(ctx)
	if ctx.Err() != nil && err == nil {
		err = ctx.Err()
	}
	var u update
	switch {
	case unread(err):
		s.notified = false
		err = fmt.Errorf("config: read Redis: %w", err)
	case err == nil:
		u, err = l.read("redis", redisPrefix)
	}
	s.set(&s.remote, "redis", u, err)
}

// tooLarge finds keys that are not to be read. Where the user may not ask for
// sizes (MEMORY USAGE), there are none.
func (s *Source) tooLarge(ctx context.Context) error {
	f := faults{source: "redis"}
	keys := []string{LabelsKey, EgressMatchKey, ProtoCfgKey} // of strings only the beginning is read
	sizes, err := s.o.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.MemoryUsage(ctx, key, 0)
		}
		return nil
	})
	if _, refused := errors.AsType[redis.Error](err); err != nil && !refused {
		return err
	}
	for i, key := range keys {
		if n, err := sizes[i].(*redis.IntCmd).Result(); err == nil && n > maxKeyBytes {
			f.add(FieldError{Key: key, Index: -1, Msg: fmt.Sprintf("takes %d bytes; want at most %d: DEL %s, then set it anew", n, maxKeyBytes, key)})
		}
	}
	return f.err()
}

// fetch reads all keys at one moment. The error matches ErrInvalid where a
// key is of the wrong type or too large.
func (s *Source) fetch(ctx context.Context) (layer, error) {
	if err := s.tooLarge(ctx); err != nil {
		return nil, err
	}
	tx := s.o.Redis.TxPipeline()
	labels := tx.LRange(ctx, LabelsKey, 0, MaxEntries)
	egress := tx.LRange(ctx, EgressMatchKey, 0, MaxEntries)
	collector := tx.GetRange(ctx, JaegerCollectorKey, 0, maxValueBytes)
	agent := tx.GetRange(ctx, JaegerAgentKey, 0, maxValueBytes)
	plugins := tx.HGetAll(ctx, ProtoCfgKey)
	if _, err := tx.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) && !isWrongType(err) {
		return nil, err
	}
	s.notified = s.tells(ctx)
	l, f := layer{}, faults{source: "redis"}
	for _, list := range []*redis.StringSliceCmd{labels, egress} {
		key := list.Args()[1].(string)
		if f.wrongType(key, list.Err(), "a list", `LPUSH `+key+` "…"`) {
			continue
		}
		for _, text := range list.Val() {
			name := strings.TrimPrefix(key, redisPrefix)
			l[name] = append(l[name], item{text: text})
		}
	}
	for _, value := range []*redis.StringCmd{collector, agent} {
		key := value.Args()[1].(string)
		if !f.wrongType(key, value.Err(), "a string", `SET `+key+` "HOST:PORT"`) && value.Val() != "" {
			l[strings.TrimPrefix(key, redisPrefix)] = []item{{text: value.Val()}}
		}
	}
	if !f.wrongType(ProtoCfgKey, plugins.Err(), "a hash", `HSET `+ProtoCfgKey+` PROTOCOL "FILE"`) {
		l.addMap(strings.TrimPrefix(ProtoCfgKey, redisPrefix), plugins.Val())
	}
	return l, f.err()
}

// tells reports whether Redis tells of changes to lists, strings and hashes.
// Where it may not be asked it counts as one that does not.
func (s *Source) tells(ctx context.Context) bool {
	const name = "notify-keyspace-events"
	got, err := s.o.Redis.ConfigGet(ctx, name).Result()
	events := got[name]
	return err == nil && strings.Contains(events, "K") &&
		(strings.Contains(events, "A") || containsAll(events, "l$hg"))
}

// containsAll reports whether every letter is in the text.
func containsAll(text, letters string) bool {
	for _, r := range letters {
		if !strings.ContainsRune(text, r) {
			return false
		}
	}
	return true
}

// wrongType adds a fault if a key holds something else than it is to.
func (f *faults) wrongType(key string, err error, want, command string) bool {
	if !isWrongType(err) {
		return false
	}
	f.add(FieldError{Key: key, Index: -1, Msg: fmt.Sprintf("want %s: DEL %s, then %s", want, key, command)})
	return true
}

func isWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }
