package cassandra

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"

	"github.com/opnfv/clover/visibility"
)

// firstSchema is the oldest version from which steps lead on: 1 was of no
// release, and has spans without their writer in the key.
const firstSchema = 2

// A step brings the tables from the version before to the version to.
//
// Collectors of the version before write on meanwhile, and afterwards until
// they are started again. So a step may only add what they need not know.
// It may be cut off anywhere, and begun again by another process, even before
// the first has noticed: each statement has to say IF NOT EXISTS. Whoever adds
// a step changes tables alike, which new keyspaces are made with.
type step struct {
	to         int
	statements func(o *Options) []string
}

// steps lead from firstSchema to Schema.
var steps = []step{
	{3, func(o *Options) []string { return []string{o.createTable("packs")} }},
}

// allSteps are those of this version, and further ones of a test.
func (o *Options) allSteps() []step { return append(steps[:len(steps):len(steps)], o.laterSteps...) }

// schema is the version that the steps lead to.
func (o *Options) schema() int { return Schema + len(o.laterSteps) }

// schemaTable makes the table with the lock. Its id comes from the keyspace's
// name, so that two that make it at once make the same one.
func schemaTable(keyspace string) string {
	sum := sha256.Sum256([]byte("clover schema_version " + keyspace))
	id := gocql.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // RFC 9562, 5.8
	return "CREATE TABLE IF NOT EXISTS " + keyspace + ".schema_version (name text PRIMARY KEY, version int, holder uuid) WITH id = " + id.String()
}

// schemaWait is how long the lock of another process holds after its last
// sign of life, and twice that is how long all may take.
const schemaWait = 60 * time.Second

// schemaTimeout is how long a statement that makes a table may take at least.
const schemaTimeout = 30 * time.Second

// prepareSchema makes the keyspace and the tables, brings those of an older
// version to this one, or waits for another process that does.
func prepareSchema(ctx context.Context, o Options) error {
	o.Timeout = max(o.Timeout, schemaTimeout) // making a table takes its time
	session, err := connect(o, "")
	if err != nil {
		return err
	}
	m := migration{session: session, o: o, holder: gocql.TimeUUID()}
	version, err := m.version(ctx)
	if err == nil && version < o.schema() {
		err = m.run(ctx)
	}
	return errors.Join(err, closeSession(session))
}

type migration struct {
	session *gocql.Session
	o       Options
	holder  gocql.UUID
}

// version returns that of the tables, 0 if there are none. It refuses one
// that this program does not know.
func (m *migration) version(ctx context.Context) (version int, err error) {
	var name string
	err = m.session.Query("SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'schema_version'",
		strings.ToLower(m.o.Keyspace)).ScanContext(ctx, &name)
	if err == nil {
		err = m.session.Query("SELECT version FROM "+m.o.Keyspace+".schema_version WHERE name = 'tables'").ScanContext(ctx, &version)
	}
	switch {
	case errors.Is(err, gocql.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, failure(ctx, err)
	case version > m.o.schema():
		return 0, fmt.Errorf("%w: keyspace %s has schema %d, this version knows up to %d: use a later Clover or another keyspace",
			visibility.ErrUnsupported, m.o.Keyspace, version, m.o.schema())
	case version < firstSchema:
		return 0, fmt.Errorf("%w: keyspace %s has schema %d, which was of no release and cannot be taken over: use another keyspace",
			visibility.ErrUnsupported, m.o.Keyspace, version)
	}
	return version, nil
}

// run brings the schema to this version under a lock.
func (m *migration) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*schemaWait)
	defer cancel()
	if err := m.ddl(ctx, "CREATE KEYSPACE IF NOT EXISTS "+m.o.Keyspace+" WITH replication = "+m.o.Replication); err != nil {
		return err
	}
	if err := m.ddl(ctx, schemaTable(m.o.Keyspace)); err != nil {
		return err
	}
	for {
		locked, err := m.lock(ctx)
		if err != nil {
			return err
		}
		if locked {
			err := m.migrate(ctx)
			if err = errors.Join(err, m.unlock(ctx)); !errors.Is(err, errLockLost) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another process has been making the schema for long: %w", visibility.ErrUnavailable)
		case <-time.After(100 * time.Millisecond):
		}
		if version, err := m.version(ctx); err != nil || version == m.o.schema() {
			return err
		}
	}
}

// ddl carries out a statement that changes the schema.
func (m *migration) ddl(ctx context.Context, cql string) error {
	if err := m.session.Query(cql).ExecContext(ctx); err != nil {
		return failure(ctx, err)
	}
	return failure(ctx, m.session.AwaitSchemaAgreement(ctx))
}

// lock takes the lock, which ends by itself should this process die.
func (m *migration) lock(ctx context.Context) (bool, error) {
	var holder gocql.UUID
	was := map[string]any{}
	applied, err := m.session.Query("INSERT INTO "+m.o.Keyspace+".schema_version (name, holder) VALUES ('lock', ?) IF NOT EXISTS USING TTL ?",
		m.holder, m.o.lockSeconds()).MapScanCASContext(ctx, was)
	if err != nil {
		return false, failure(ctx, err)
	}
	holder, _ = was["holder"].(gocql.UUID)
	return applied || holder == m.holder, nil
}

func (o *Options) lockSeconds() int { return int(o.lockTime.Seconds()) }

// errLockLost: a step took so long that the lock has ended.
var errLockLost = errors.New("another process goes on with the schema")

// hold keeps the lock for another while.
func (m *migration) hold(ctx context.Context) error {
	held, err := m.session.Query("UPDATE "+m.o.Keyspace+".schema_version USING TTL ? SET holder = ? WHERE name = 'lock' IF holder = ?",
		m.o.lockSeconds(), m.holder, m.holder).MapScanCASContext(ctx, map[string]any{})
	if err == nil && !held {
		return errLockLost
	}
	return failure(ctx, err)
}

// unlock gives the lock to whoever waits, also when ctx has ended.
func (m *migration) unlock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWait)
	defer cancel()
	_, err := m.session.Query("DELETE FROM "+m.o.Keyspace+".schema_version WHERE name = 'lock' IF holder = ?", m.holder).
		MapScanCASContext(ctx, map[string]any{})
	return failure(ctx, err)
}

// migrate makes what is missing, and says so when it is there.
func (m *migration) migrate(ctx context.Context) error {
	version, err := m.version(ctx)
	if err != nil {
		return err
	}
	if version == 0 {
		if err := m.create(ctx); err != nil {
			return err
		}
		version = Schema
	}
	for _, st := range m.o.allSteps() {
		if st.to <= version {
			continue
		}
		m.o.Logger.Info("store: change the schema", "keyspace", m.o.Keyspace, "from", st.to-1, "to", st.to)
		for _, cql := range st.statements(&m.o) {
			if err := m.hold(ctx); err != nil {
				return err
			}
			if err := m.ddl(ctx, cql); err != nil {
				return fmt.Errorf("schema %d: %w", st.to, err)
			}
		}
		if err := m.raise(ctx, st.to); err != nil {
			return err
		}
	}
	return nil
}

// create makes the tables as this version has them.
func (m *migration) create(ctx context.Context) error {
	for _, name := range tableOrder {
		if err := m.hold(ctx); err != nil {
			return err
		}
		if err := m.ddl(ctx, m.o.createTable(name)); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	_, err := m.session.Query("INSERT INTO "+m.o.Keyspace+".meta (name, value) VALUES ('shards', ?) IF NOT EXISTS", m.o.Shards).
		MapScanCASContext(ctx, map[string]any{})
	if err != nil {
		return failure(ctx, err)
	}
	_, err = m.session.Query("INSERT INTO "+m.o.Keyspace+".schema_version (name, version) VALUES ('tables', ?) IF NOT EXISTS", Schema).
		MapScanCASContext(ctx, map[string]any{})
	return failure(ctx, err)
}

// raise sets the version, unless a process that went on in this one's place
// has set it already, perhaps to a later one.
func (m *migration) raise(ctx context.Context, to int) error {
	_, err := m.session.Query("UPDATE "+m.o.Keyspace+".schema_version SET version = ? WHERE name = 'tables' IF version = ?", to, to-1).
		MapScanCASContext(ctx, map[string]any{})
	return failure(ctx, err)
}
