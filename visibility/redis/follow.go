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

// agreement is the configuration that the store and Redis had in common when
// they were last compared. Both keep its ID; only if these are equal can a
// name that one side lacks have been removed from it. So a Redis that was
// flushed or restored, and a store that is new, take nothing away.
type agreement struct {
	ID   string              `json:"id"`
	Sets map[string][]string `json:"sets"` // by key
}

// remote is what Redis holds of the configuration.
type remote struct {
	sets      map[string][]string // by key, of those that can be obeyed
	agreement string              // ID
	written   string              // stamp of the results
}

// follow makes the collector's configuration and that of Redis the same, by
// what each side has changed since they were. It returns the stamp of the
// results that Redis holds.
func (s *Syncer) follow(ctx context.Context) (written string, faults []error, err error) {
	theirs, faults, err := s.remote(ctx)
	if err != nil {
		return "", nil, err
	}
	agreed, err := s.agreement(ctx)
	if err != nil {
		return "", nil, err
	}
	if agreed.ID == "" || agreed.ID != theirs.agreement {
		agreed = agreement{}
	}
	ours := s.config.Config()
	wanted := map[string][]string{}
	var change visibility.ConfigUpdate
	changed := false
	for i := range configSets {
		set := &configSets[i]
		held, ok := theirs.sets[set.key]
		if !ok {
			continue
		}
		list := *set.list(&ours)
		wanted[set.key] = set.merge(list, held, agreed.Sets[set.key])
		if !slices.Equal(wanted[set.key], list) {
			*set.change(&change) = wanted[set.key]
			changed = true
		}
	}
	if changed {
		if _, err := s.config.Update(ctx, change); err != nil {
			if errors.Is(err, visibility.ErrInvalid) {
				fault := fmt.Errorf("the sets of the configuration cannot be obeyed as they are: %w; take out what is too much, e.g. SREM %s NAME", err, ServicesKey)
				return theirs.written, append(faults, fault), nil
			}
			return "", nil, err
		}
		s.o.Logger.Info("redis: configuration changed", slog.Any("wanted", wanted))
	}
	return theirs.written, faults, s.agree(ctx, theirs, agreed, wanted)
}

// remote reads Redis. What cannot be obeyed is left as it is, and told.
func (s *Syncer) remote(ctx context.Context) (r remote, faults []error, err error) {
	r.sets = map[string][]string{}
	p := s.client.Pipeline()
	var sizes [len(configSets)]*redis.IntCmd
	for i := range configSets {
		sizes[i] = p.SCard(ctx, configSets[i].key)
	}
	id, written := p.Get(ctx, agreementKey), p.HGet(ctx, StampKey, "written")
	cmds, err := p.Exec(ctx)
	if err := firstError(cmds, err); err != nil {
		return r, nil, fmt.Errorf("read configuration: %w", err)
	}
	if r.agreement, r.written = id.Val(), written.Val(); isWrongType(written.Err()) {
		r.written = "" // write tells of it
	}
	if isWrongType(id.Err()) {
		return r, nil, wrongType(agreementKey, String)
	}
	members := map[int]*redis.StringSliceCmd{}
	p = s.client.Pipeline()
	for i := range configSets {
		key := configSets[i].key
		switch n := sizes[i].Val(); {
		case isWrongType(sizes[i].Err()):
			faults = append(faults, wrongType(key, Set))
		case n > visibility.MaxConfigList:
			faults = append(faults, fmt.Errorf("%s has %d members, of which at most %d can be obeyed: take some out with SREM", key, n, visibility.MaxConfigList))
		default:
			members[i] = p.SMembers(ctx, key)
		}
	}
	cmds, err = p.Exec(ctx)
	if err := firstError(cmds, err); err != nil {
		return r, nil, fmt.Errorf("read configuration: %w", err)
	}
	for i, cmd := range members {
		valid, bad := configSets[i].obeyed(cmd.Val())
		r.sets[configSets[i].key] = valid
		faults = append(faults, bad...)
	}
	return r, faults, nil
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

// agree writes what both sides have now, if that is new to one of them. Its
// steps may end after any of them: then both have the same without an
// agreement, which takes nothing away.
func (s *Syncer) agree(ctx context.Context, theirs remote, before agreement, wanted map[string][]string) error {
	next := agreement{ID: before.ID, Sets: map[string][]string{}}
	p := s.client.Pipeline()
	for i := range configSets {
		set := &configSets[i]
		names, ok := wanted[set.key]
		if !ok { // it could not be read, so nothing is agreed anew
			next.Sets[set.key] = before.Sets[set.key]
			continue
		}
		next.Sets[set.key] = names
		add, remove := set.edits(theirs.sets[set.key], names)
		if len(add) > 0 {
			p.SAdd(ctx, set.key, add)
		}
		if len(remove) > 0 {
			p.SRem(ctx, set.key, remove)
		}
		if !set.equal(before.Sets[set.key], names) {
			next.ID = ""
		}
	}
	if cmds, err := p.Exec(ctx); err != nil {
		return fmt.Errorf("write configuration: %w", firstError(cmds, err))
	}
	if next.ID != "" {
		return nil
	}
	next.ID = rand.Text()
	if err := s.client.Set(ctx, agreementKey, next.ID, 0).Err(); err != nil {
		return fmt.Errorf("write configuration: %w", explain(err))
	}
	text, err := json.Marshal(next)
	if err == nil {
		err = s.store.SetState(ctx, stateAgreement, text)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// agreement reads the store's.
func (s *Syncer) agreement(ctx context.Context) (a agreement, err error) {
	text, err := s.store.State(ctx, stateAgreement)
	if errors.Is(err, visibility.ErrNotFound) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		return a, fmt.Errorf("store: %w", err)
	}
	return a, nil
}

// clip keeps a member from flooding an error.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:77], "") + "..."
	}
	return s
}
