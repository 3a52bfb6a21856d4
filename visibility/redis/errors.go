package visibilityredis

import (
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// remedies say what to do about an answer of Redis.
var remedies = []struct{ prefix, remedy string }{
	{"NOPERM", "give the user the rights that docs/guide-redis.md lists, with ACL SETUSER"},
	{"NOAUTH", "Redis asks for a password: set REDIS_PASSWORD"},
	{"WRONGPASS", "is the user in the URL, and REDIS_PASSWORD, right?"},
	{"MOVED", "this is a Redis Cluster: add ?cluster=true to the URL"},
	{"CROSSSLOT", "this is a Redis Cluster: add ?cluster=true to the URL"},
	{"READONLY", "this is a replica: name the master, or Sentinel with ?master_name=NAME"},
	{"OOM", "Redis is full: raise its maxmemory"},
	{"MISCONF", "Redis cannot save to its disk: see its log"},
}

// explain adds to an error of Redis what to do about it.
func explain(err error) error {
	for _, r := range remedies {
		if redis.HasErrorPrefix(err, r.prefix) {
			return fmt.Errorf("%w\n%s", err, r.remedy)
		}
	}
	return err
}

// firstError returns what made a pipeline fail: not that a key is not there
// or of another type, which is for the caller to see, nor that a transaction
// was given up, but why.
func firstError(cmds []redis.Cmder, err error) error {
	if err == nil || errors.Is(err, redis.Nil) || isWrongType(err) {
		err = nil
	}
	for _, cmd := range cmds {
		e := cmd.Err()
		if e == nil || errors.Is(e, redis.Nil) || isWrongType(e) || redis.HasErrorPrefix(e, "EXECABORT") {
			continue
		}
		return explain(e)
	}
	return explain(err)
}

func isWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

func wrongType(key string, want Kind) error {
	return fmt.Errorf("%s is no %s, and left as it is: move it away with RENAME, or remove it with DEL %s", key, want, key)
}
