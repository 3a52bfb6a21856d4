// Package images builds the container images of Clover, without Docker and
// without a registry: Go programs and Debian packages become OCI images that
// are byte for byte the same when they are built again from the same sources.
//
// An image holds its program, the shared libraries that the program names
// (for a Go program none), a user, and the certificates of the public CAs.
// There is no shell and no package manager in it.
package images

import (
	"fmt"
	"slices"
	"strings"
)

// UserID is the user and the group that programs run as.
const UserID = 65532

// Image says what an image is made of: Package, Debian, or both, and JMeter,
// Cassandra or Spark beside them.
type Image struct {
	// Name is the image's name without registry and tag.
	Name string
	// Title and Description are for its labels.
	Title, Description string
	// Package is the main package of a Go program, as in
	// ./examples/clover-controller. It is what the image starts.
	Package string
	// Program is the name of the program; empty means that of the image.
	Program string
	// Args are the first arguments of what the image starts.
	Args []string
	// Debian is the program of a Debian package; without Package the image
	// starts it.
	Debian *Debian
	// JMeter puts the home folder of Apache JMeter at [JMeterHome].
	JMeter bool
	// Cassandra puts the jars of Apache Cassandra at [CassandraHome].
	Cassandra bool
	// Spark puts the jars of Apache Spark at [SparkHome].
	Spark bool
	// Links are other names of the program: symbolic links to it.
	Links []string
	// Ports are what it listens on by default.
	Ports []int
}

// Debian is a program that Debian maintains. In its paths {arch} stands for the
// architecture.
type Debian struct {
	// Package is the name of the package.
	Package string
	// Programs are paths in it; the first is the one that is started.
	Programs []string
	// Libraries are names of shared libraries that no file names, because what
	// asks for them is unpacked while it runs.
	Libraries []string
	// Folders are taken whole, with the libraries that their files name.
	Folders []string
	// Without are paths below Folders that are left out.
	Without []string
	// Links are symbolic links, by their paths.
	Links map[string]string
}

// For returns d for one architecture.
func (d Debian) For(arch string) Debian {
	fill := strings.NewReplacer("{arch}", arch).Replace
	all := func(paths []string) []string {
		var out []string
		for _, p := range paths {
			out = append(out, fill(p))
		}
		return out
	}
	links := map[string]string{}
	for name, target := range d.Links {
		links[fill(name)] = fill(target)
	}
	return Debian{Package: d.Package, Programs: all(d.Programs), Libraries: d.Libraries, Folders: all(d.Folders), Without: all(d.Without), Links: links}
}

// java is the Java that runs JMeter, Cassandra and Spark: what needs no display.
var java = &Debian{
	Package:  "openjdk-17-jre-headless",
	Programs: []string{"/usr/lib/jvm/java-17-openjdk-{arch}/bin/java"},
	// For compression and the network: jars hold them for any system.
	Libraries: []string{"libdl.so.2", "libm.so.6", "libpthread.so.0", "librt.so.1"},
	Folders:   []string{"/usr/lib/jvm/java-17-openjdk-{arch}", "/etc/java-17-openjdk"},
	// For compilers, heaps of more than 32 GiB, sound and smart cards.
	Without: []string{
		"/usr/lib/jvm/java-17-openjdk-{arch}/lib/ct.sym", "/usr/lib/jvm/java-17-openjdk-{arch}/lib/server/classes_nocoops.jsa",
		"/usr/lib/jvm/java-17-openjdk-{arch}/lib/libjsound.so", "/usr/lib/jvm/java-17-openjdk-{arch}/lib/libj2pcsc.so",
	},
	Links: map[string]string{"/usr/local/bin/java": "/usr/lib/jvm/java-17-openjdk-{arch}/bin/java"},
}

// All lists the images of a release.
func All() []Image {
	return []Image{
		{
			Name: "clover-controller", Title: "Clover controller", Package: "./examples/clover-controller",
			Description: "REST, gRPC and the dashboard of Clover", Ports: []int{8443, 50054},
		},
		{
			Name: "clover-collector", Title: "Clover collector", Package: "./examples/clover-collector",
			Description: "Reads traces and metrics of a mesh, takes OTLP, stores both", Ports: []int{4317, 4318, 50054},
		},
		{
			Name: "cloverctl", Title: "cloverctl", Package: "./examples/cloverctl",
			Description: "The command line of Clover",
		},
		{
			Name: "clovisor", Title: "Clovisor", Package: "./examples/clovisor",
			Description: "Session traces from the kernel of a node", Ports: []int{9466},
			// By which kubectl cp brings plug-ins into the container.
			Debian: &Debian{Package: "tar", Programs: []string{"/bin/tar"}},
		},
		{
			Name: "clover-sdc", Title: "Clover sample", Package: "./examples/sdc",
			Description: "The services of the SDC sample: proxy, load balancer, server, IDS", Ports: []int{9180, 50054},
		},
		{
			Name: "clover-sdc-nginx", Title: "Clover sample with nginx", Package: "./examples/sdc",
			Description: "The services of the SDC sample with nginx as Debian packages it", Ports: []int{9180, 50054},
			Debian: &Debian{Package: "nginx", Programs: []string{"/usr/sbin/nginx"}},
		},
		{
			Name: "clover-jmeter-master", Title: "Clover JMeter master", Package: "./examples/clover-jmeter", Program: "clover-jmeter", Args: []string{"master"},
			Description: "Keeps test plans, runs them and keeps their results", Ports: []int{50054},
			Debian: java, JMeter: true,
		},
		{
			Name: "clover-jmeter-slave", Title: "Clover JMeter slave", Package: "./examples/clover-jmeter", Program: "clover-jmeter", Args: []string{"slave"},
			Description: "Runs test plans for a JMeter master", Ports: []int{1099},
			Debian: java, JMeter: true,
		},
		{
			Name: "clover-cassandra", Title: "Cassandra for Clover", Package: "./examples/clover-cassandra",
			Description: "Apache Cassandra, for several collectors", Ports: []int{7000, 9042},
			Debian: java, Cassandra: true,
		},
		{
			Name: "clover-spark", Title: "Spark for Clover", Package: "./examples/clover-spark",
			Description: "Apache Spark: drivers, executors, a SQL server", Ports: []int{10000},
			Debian: java, Spark: true,
			// Hadoop and Spark run them.
			Links: []string{"/usr/local/bin/chmod", "/usr/local/bin/rm", "/bin/bash"},
		},
		{
			Name: "clover-spark-submit", Title: "Clover Spark submit", Package: "./examples/clover-spark-submit",
			Description: "Has Spark analyse spans again and again",
		},
		{
			Name: "clover-redis", Title: "Redis for Clover",
			Description: "Redis as Debian packages it", Ports: []int{6379},
			Debian: &Debian{Package: "redis-server", Programs: []string{"/usr/bin/redis-server", "/usr/bin/redis-cli"}},
		},
	}
}

// Find returns the images of those names, all of them for none.
func Find(names ...string) ([]Image, error) {
	all := All()
	if len(names) == 0 {
		return all, nil
	}
	var found []Image
	for _, name := range names {
		i := slices.IndexFunc(all, func(i Image) bool { return i.Name == name })
		if i < 0 {
			var known []string
			for _, i := range all {
				known = append(known, i.Name)
			}
			return nil, fmt.Errorf("images: there is no image %q; there are %s", name, strings.Join(known, ", "))
		}
		found = append(found, all[i])
	}
	return found, nil
}
