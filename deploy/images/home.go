package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/opnfv/clover/internal/cassandrahome"
	"github.com/opnfv/clover/internal/jmeterhome"
	"github.com/opnfv/clover/internal/sparkhome"
)

// Where the programs in Java are in the images that have them.
const (
	JMeterHome    = "/opt/jmeter"
	CassandraHome = "/opt/cassandra"
	SparkHome     = "/opt/spark"
)

// home is the home folder of a program in Java.
type home struct {
	title, version string
	given          string // "": it is fetched
	inside         string // where it is in the image
	has            string // a file without which it is none
	fetch          func(ctx context.Context, dir string) error
}

// homes are those that an image holds.
func (o Options) homes(i Image) []home {
	var list []home
	if i.JMeter {
		list = append(list, home{
			title: "JMeter", version: jmeterhome.Version, given: o.JMeter, inside: JMeterHome,
			has: "bin/ApacheJMeter.jar", fetch: jmeterhome.Fetch,
		})
	}
	if i.Cassandra {
		list = append(list, home{
			title: "Cassandra", version: cassandrahome.Version, given: o.Cassandra, inside: CassandraHome,
			has: "lib/cassandra-all-" + cassandrahome.Version + ".jar", fetch: cassandrahome.Fetch,
		})
	}
	if i.Spark {
		list = append(list, home{
			title: "Spark", version: sparkhome.Version, given: o.Spark, inside: SparkHome,
			has:   "jars/spark-core_2.12-" + sparkhome.Version + ".jar",
			fetch: func(ctx context.Context, dir string) error { return sparkhome.Fetch(ctx, dir, o.say) },
		})
	}
	return list
}

// files are those of the folder, by their paths in the image.
func (h home) files(ctx context.Context, o Options) (map[string]File, error) {
	dir := h.given
	if dir == "" {
		dir = filepath.Join(o.Cache, strings.ToLower(h.title)+"-"+h.version)
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		o.say("fetching Apache %s %s ...", h.title, h.version)
		if err := intoFolder(dir, func(part string) error { return h.fetch(ctx, part) }); err != nil {
			return nil, fmt.Errorf("images: %s: %w", h.title, err)
		}
	}
	files, err := folder(dir, h.inside)
	if err != nil {
		return nil, fmt.Errorf("images: %s: %w", h.title, err)
	}
	if _, ok := files[h.inside+"/"+h.has]; !ok {
		return nil, fmt.Errorf("images: %s is no home folder of %s: it has no %s", dir, h.title, h.has)
	}
	// The scripts with which people start them need a shell.
	maps.DeleteFunc(files, func(name string, _ File) bool {
		return name == h.inside+"/bin/"+strings.ToLower(h.title) || h.inside == SparkHome && !strings.HasPrefix(name, SparkHome+"/jars/")
	})
	if h.inside == JMeterHome {
		files[JMeterHome+"/lib/junit/.keep"] = File{Mode: 0o644} // JMeter complains without that folder
	}
	return files, nil
}
