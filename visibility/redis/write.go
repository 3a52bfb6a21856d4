package visibilityredis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// write replaces the results of the refresh before. Keys of another type are
// somebody else's: they stay, and are told.
func (s *Syncer) write(ctx context.Context, c Contents, stamp string) (faults []error, err error) {
	keys, faults, err := s.owned(ctx, append(slices.Clone(c.Keys), s.gone(c.Keys)...))
	if err != nil {
		return nil, err
	}
	fields := Key{Name: StampKey, Kind: Hash, Values: []string{"written", stamp, "left_out", strconv.Itoa(c.LeftOut)}}
	if !s.late.since.IsZero() {
		fields.Values = append(fields.Values, "behind_since", s.late.since.UTC().Format(time.RFC3339))
	}
	if s.cluster {
		err = s.replaceEach(ctx, keys, fields)
	} else {
		err = s.replaceAll(ctx, append(keys, fields))
	}
	if err != nil {
		return nil, fmt.Errorf("write results: %w", err)
	}
	return faults, nil
}

// gone are the keys that were written before and are no more.
func (s *Syncer) gone(keys []Key) (gone []Key) {
	for _, k := range s.written {
		if !slices.ContainsFunc(keys, func(n Key) bool { return n.Name == k.Name }) {
			gone = append(gone, Key{Name: k.Name, Kind: k.Kind})
		}
	}
	return gone
}

// owned leaves out the keys that hold something else.
func (s *Syncer) owned(ctx context.Context, keys []Key) (owned []Key, faults []error, err error) {
	p := s.client.Pipeline()
	kinds := make([]*redis.StatusCmd, len(keys))
	for i, k := range keys {
		kinds[i] = p.Type(ctx, k.Name)
	}
	cmds, err := p.Exec(ctx)
	if err := firstError(cmds, err); err != nil {
		return nil, nil, fmt.Errorf("write results: %w", err)
	}
	for i, k := range keys {
		if kind := kinds[i].Val(); kind == "none" || kind == string(k.Kind) {
			owned = append(owned, k)
		} else if len(k.Values) > 0 {
			faults = append(faults, wrongType(k.Name, k.Kind))
		}
	}
	return owned, faults, nil
}

// replaceAll replaces all keys at one moment.
func (s *Syncer) replaceAll(ctx context.Context, keys []Key) error {
	cmds, err := s.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, k := range keys {
			p.Del(ctx, k.Name)
			fill(ctx, p, k, s.o.Expire)
		}
		return nil
	})
	return firstError(cmds, err)
}

// replaceEach replaces each key as a whole: it is written under another name
// in the same slot, and then renamed. All are written before the first is
// renamed. A transaction over the keys of several slots is not to be had, so
// the stamp has the field "writing" while they are renamed.
func (s *Syncer) replaceEach(ctx context.Context, keys []Key, stamp Key) error {
	p := s.client.Pipeline()
	for _, k := range keys {
		if len(k.Values) > 0 {
			name := k.Name
			k.Name = inSlotOf(name)
			p.Del(ctx, k.Name)
			fill(ctx, p, k, s.o.Expire)
		}
	}
	p.HSet(ctx, StampKey, "writing", stamp.Values[1])
	cmds, err := p.Exec(ctx)
	if err := firstError(cmds, err); err != nil {
		return err
	}
	p = s.client.Pipeline()
	for _, k := range keys {
		if len(k.Values) > 0 {
			p.Rename(ctx, inSlotOf(k.Name), k.Name)
		} else {
			p.Del(ctx, k.Name)
		}
	}
	if cmds, err = p.Exec(ctx); err != nil {
		return firstError(cmds, err)
	}
	return s.replaceAll(ctx, []Key{stamp})
}

// inSlotOf returns another key of the same slot.
func inSlotOf(key string) string { return "{" + key + "}:clover" }

// fill writes a key that is not there.
func fill(ctx context.Context, p redis.Pipeliner, k Key, expire time.Duration) {
	if len(k.Values) == 0 {
		return
	}
	switch k.Kind {
	case Hash:
		p.HSet(ctx, k.Name, k.Values)
	case List:
		p.RPush(ctx, k.Name, k.Values)
	case Set:
		p.SAdd(ctx, k.Name, k.Values)
	case SortedSet:
		members := make([]redis.Z, len(k.Values))
		for i, v := range k.Values {
			members[i] = redis.Z{Member: v, Score: float64(k.Counts[i])}
		}
		p.ZAdd(ctx, k.Name, members...)
	case String:
		p.Set(ctx, k.Name, k.Values[0], 0)
	}
	p.PExpire(ctx, k.Name, expire)
}
