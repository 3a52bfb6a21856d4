package visibilityredis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/opnfv/clover/visibility"
)

// stateAgreement is the name of the store's state that holds the agreement.
const stateAgreement = "redis.config"

// agreement is what a set held when the store and Redis had the same. Both
// keep its ID; only if these are equal can a name that one side lacks have
// been removed from it. So a Redis that was flushed or restored, and a store
// that is new, take nothing away.
type agreement struct {
	ID    string   `json:"id"` // "": nothing is agreed
	Names []string `json:"names"`
}

// agreements are those of all sets, by key.
type agreements map[string]agreement

// heldSet is what Redis holds of a set.
type heldSet struct {
	*configSet
	members   []string // all of them
	names     []string // those that can be obeyed
	agreement string   // ID
}

// follow makes the collector's configuration and that of Redis the same, by
// what each side has changed since they were. It returns the stamp of the
// results that Redis holds.
func (s *Syncer) follow(ctx context.Context) (written string, faults []error, err error) {
	sets, written, faults, err := s.read(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("read configuration: %w", err)
	}
	agreed, err := s.agreements(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("store: %w", err)
	}
	ours := s.config.Config()
	wanted := make([][]string, len(sets))
	var change visibility.ConfigUpdate
	changed := false
	for i := range sets {
		set := &sets[i]
		var before []string
		if a := agreed[set.key]; a.ID != "" && a.ID == set.agreement {
			before = a.Names
		}
		list := *set.list(&ours)
		wanted[i] = set.merge(list, set.names, before)
		if !slices.Equal(wanted[i], list) {
			*set.change(&change) = wanted[i]
			changed = true
		}
	}
	if changed {
		_, err := s.config.Update(ctx, change)
		if errors.Is(err, visibility.ErrInvalid) {
			fault := fmt.Errorf("the sets of the configuration cannot be obeyed as they are: %w; take out what is too much, e.g. SREM %s NAME", err, ServicesKey)
			return written, append(faults, fault), nil
		}
		if err != nil {
			return "", nil, err
		}
		s.o.Logger.Info("redis: configuration changed", slog.Any("services", change.Services), slog.Any("metric_prefixes", change.MetricPrefixes),
			slog.Any("metric_suffixes", change.MetricSuffixes), slog.Any("custom_metrics", change.CustomMetrics))
	}
	return written, faults, s.agree(ctx, sets, wanted, agreed)
}

// read reads the sets of the configuration, and the stamp of the results.
// What cannot be obeyed is left as it is, and told.
func (s *Syncer) read(ctx context.Context) (sets []heldSet, written string, faults []error, err error) {
	p := s.client.Pipeline()
	var sizes [len(configSets)]*redis.IntCmd
	for i := range configSets {
		sizes[i] = p.SCard(ctx, configSets[i].key)
	}
	stamp := p.HGet(ctx, StampKey, "written")
	cmds, err := p.Exec(ctx)
	if err := firstError(cmds, err); err != nil {
		return nil, "", nil, err
	}
	p = s.client.Pipeline()
	var members []*redis.StringSliceCmd
	var ids []*redis.StringCmd
	for i := range configSets {
		set := &configSets[i]
		switch n := sizes[i].Val(); {
		case isWrongType(sizes[i].Err()):
			faults = append(faults, wrongType(set.key, Set))
		case n > visibility.MaxConfigList:
			faults = append(faults, fmt.Errorf("%s has %d members, of which at most %d can be obeyed: take some out with SREM", set.key, n, visibility.MaxConfigList))
		default:
			// The ID comes last: if it is still that of the agreement, the
			// members were not lost before they were read.
			sets = append(sets, heldSet{configSet: set})
			members, ids = append(members, p.SMembers(ctx, set.key)), append(ids, p.Get(ctx, agreementKey(set.key)))
		}
	}
	cmds, err = p.Exec(ctx)
	if err := firstError(cmds, err); err != nil {
		return nil, "", nil, err
	}
	for i := range sets {
		var bad []error
		sets[i].members, sets[i].agreement = members[i].Val(), ids[i].Val()
		sets[i].names, bad = sets[i].obeyed(sets[i].members)
		faults = append(faults, bad...)
	}
	return sets, stamp.Val(), faults, nil
}

// maxNamed bounds the members that are named in an error.
const maxNamed = 3

// obeyed are the members that can be part of a configuration.
func (s *configSet) obeyed(members []string) (valid []string, faults []error) {
	valid = []string{}
	bad := 0
	for _, name := range slices.Sorted(slices.Values(members)) {
		err := s.check(name)
		if err == nil {
			valid = append(valid, name)
			continue
		}
		if bad++; bad <= maxNamed {
			faults = append(faults, fmt.Errorf("%s: %w; take it out with SREM %s %q", s.key, err, s.key, clip(name)))
		}
	}
	if bad > maxNamed {
		faults = append(faults, fmt.Errorf("%s: %d more members are not names either", s.key, bad-maxNamed))
	}
	return valid, faults
}

// agree writes what both sides have now, if that is new to one of them. It
// may fail after any step: then both have the same without an agreement, which
// takes nothing away. The end of Run does not cut it off, so that what is
// removed while nothing runs is known as removed later.
func (s *Syncer) agree(ctx context.Context, sets []heldSet, wanted [][]string, agreed agreements) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Timeout)
	defer cancel()
	changed := false
	for i := range sets {
		set := &sets[i]
		before := agreed[set.key]
		add, remove := set.edits(set.names, wanted[i])
		if len(add)+len(remove) == 0 && before.ID != "" && before.ID == set.agreement && set.equal(before.Names, wanted[i]) {
			continue
		}
		next := agreement{ID: rand.Text(), Names: wanted[i]}
		switch err := s.edit(ctx, set, next.ID, add, remove); {
		case errors.Is(err, redis.TxFailedErr):
			continue // it was changed meanwhile; the next refresh looks again
		case err != nil:
			return fmt.Errorf("write configuration: %w", err)
		}
		agreed[set.key] = next
		changed = true
	}
	if !changed {
		return nil
	}
	text, err := json.Marshal(agreed)
	if err == nil {
		err = s.store.SetState(ctx, stateAgreement, text)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// edit changes a set that is as it was read, and gives it the ID of an
// agreement. Else it returns redis.TxFailedErr.
func (s *Syncer) edit(ctx context.Context, set *heldSet, id string, add, remove []string) error {
	idKey := agreementKey(set.key)
	return s.client.Watch(ctx, func(tx *redis.Tx) error {
		members, err := tx.SMembers(ctx, set.key).Result()
		if err != nil {
			return explain(err)
		}
		now, err := tx.Get(ctx, idKey).Result()
		switch {
		case isWrongType(err):
			return wrongType(idKey, String)
		case err != nil && !errors.Is(err, redis.Nil):
			return explain(err)
		case now != set.agreement || !sameMembers(members, set.members):
			return redis.TxFailedErr
		}
		cmds, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			if len(add) > 0 {
				p.SAdd(ctx, set.key, add)
			}
			if len(remove) > 0 {
				p.SRem(ctx, set.key, remove)
			}
			p.Set(ctx, idKey, id, 0)
			return nil
		})
		if errors.Is(err, redis.TxFailedErr) {
			return err
		}
		return firstError(cmds, err)
	}, set.key, idKey)
}

func sameMembers(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// agreements reads the store's.
func (s *Syncer) agreements(ctx context.Context) (agreements, error) {
	a := agreements{}
	text, err := s.store.State(ctx, stateAgreement)
	if errors.Is(err, visibility.ErrNotFound) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	return a, err
}

// clip keeps a member from flooding an error.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:77], "") + "..."
	}
	return s
}
