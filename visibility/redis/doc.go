// Package visibilityredis keeps results and configuration in Redis, under the
// keys that users have known since 2019, beside any store and collector.
//
// A [Syncer] writes the results anew at every refresh, so that readers never
// find half of one, and follows the sets of the configuration in both
// directions: what an old client adds or removes is obeyed, and what was
// changed elsewhere shows in Redis. [Results] is what is written, as a value.
package visibilityredis
