// Command clover-cassandra runs one node of Apache Cassandra in a pod: it
// writes the configuration, starts Java, says truly whether CQL is answered,
// and lets the node write all it has to disk before it ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/opnfv/clover/examples/internal/cli"
	"github.com/opnfv/clover/internal/cassandrahome"
)

func main() { cli.Main("clover-cassandra", run) }

const usageText = `Runs one node of Apache Cassandra.

Usage:
  clover-cassandra --data-dir DIR [flags]
  clover-cassandra nodetool ARGS...     asks the node that runs beside it
`

// flags are those of the program.
type flags struct {
	home, java string
	jvm        []string
	dataDir    string
	heapMiB    int
	health     string
	level      string
	config     config
	seeds      []string
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o flags
	f := pflag.NewFlagSet("clover-cassandra", pflag.ContinueOnError)
	f.StringVar(&o.home, "cassandra-home", "/opt/cassandra", "`folder` of Apache Cassandra, whose jars are in lib")
	f.StringVar(&o.java, "java", "java", "`program` that runs it")
	if len(args) > 0 && args[0] == "nodetool" {
		_ = f.Parse(nil) // the defaults
		return o.nodetool(ctx, args[1:], stdout, stderr)
	}
	f.StringSliceVar(&o.jvm, "jvm-arg", nil, "`argument` for Java (may be given again)")
	f.StringVar(&o.dataDir, "data-dir", "", "`directory` of the data")
	f.IntVar(&o.heapMiB, "heap-mib", 512, "heap of Java in `MiB`; half as much is for buffers beside it")
	f.StringVar(&o.config.Cluster, "cluster-name", "clover", "`name` of the cluster, which its nodes compare")
	f.StringVar(&o.config.Name, "name", os.Getenv("POD_NAME"), "`name` of this node, with which its own seed begins")
	f.StringVar(&o.config.Address, "address", os.Getenv("POD_IP"), "`address` at which other nodes and clients reach this one")
	f.StringSliceVar(&o.seeds, "seeds", nil, "`hosts` of the nodes that a new one asks for the others (default: none, it is alone)")
	f.IntVar(&o.config.Port, "port", 9042, "`port` of CQL")
	f.IntVar(&o.config.StoragePort, "storage-port", 7000, "`port` between nodes")
	f.IntVar(&o.config.JMXPort, "jmx-port", 7199, "`port` of nodetool, on loopback")
	f.StringVar(&o.health, "health-addr", "127.0.0.1:9482", "`address` of /healthz and /readyz")
	f.StringVar(&o.level, "log-level", "warn", "of Cassandra: debug, info, warn or error")
	if err := cli.Parse(f, args, stderr, usageText); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	return o.serve(ctx, stdout, stderr)
}

func (o *flags) check() error {
	if o.dataDir == "" {
		return cli.Usagef("--data-dir is needed")
	}
	if net.ParseIP(o.config.Address) == nil {
		return cli.Usagef("--address %q is no IP address: nodes and clients are told it", o.config.Address)
	}
	if o.heapMiB < 128 {
		return cli.Usagef("--heap-mib %d; want 128 or more", o.heapMiB)
	}
	if _, err := cli.Logger(o.level, io.Discard); err != nil {
		return err
	}
	if jars, err := filepath.Glob(filepath.Join(o.home, "lib", "cassandra-all-*.jar")); err != nil || len(jars) == 0 {
		return cli.Usagef("--cassandra-home: %s has no lib/cassandra-all-*.jar", o.home)
	}
	return nil
}

// serve runs the node and answers probes until ctx ends.
func (o *flags) serve(ctx context.Context, stdout, stderr io.Writer) error {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", o.health)
	if err != nil {
		return fmt.Errorf("--health-addr: %w", err)
	}
	p := &probes{address: net.JoinHostPort(o.config.Address, fmt.Sprint(o.config.Port))}
	fmt.Fprintf(stdout, "clover-cassandra begins: CQL %s, health %s\n", p.address, l.Addr())
	return cli.Probed(ctx, l, p.handler(), func(ctx context.Context) error { return o.node(ctx, stderr) })
}

// node runs Java until ctx ends. Java then gets the time to write what is in
// memory to disk, and to tell the other nodes.
func (o *flags) node(ctx context.Context, stderr io.Writer) error {
	var err error
	if o.config.Seeds, err = awaitSeeds(ctx, o.config, o.seeds, net.DefaultResolver.LookupHost, stderr); err != nil {
		return unlessTold(ctx, err)
	}
	dir, err := os.MkdirTemp("", "clover-cassandra-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder in the system's own for such
	for name, text := range map[string]string{"cassandra.yaml": o.config.yaml(), "logback.xml": logback(o.level)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, o.java, o.javaArgs(dir)...)
	cmd.Stdout, cmd.Stderr = stderr, stderr
	stopGently(cmd)
	err = cmd.Run()
	if err == nil {
		err = errors.New("it has ended by itself")
	}
	return unlessTold(ctx, fmt.Errorf("cassandra: %w", err))
}

// unlessTold is err, or nil once the program was told to end.
func unlessTold(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// javaArgs start the node whose configuration is in dir.
func (o *flags) javaArgs(dir string) []string {
	args := append([]string{
		fmt.Sprintf("-Xms%dm", o.heapMiB), fmt.Sprintf("-Xmx%dm", o.heapMiB), fmt.Sprintf("-XX:MaxDirectMemorySize=%dm", o.heapMiB/2),
		"-XX:+ExitOnOutOfMemoryError", "-XX:+PerfDisableSharedMem", "-Djava.awt.headless=true", "-Djava.io.tmpdir=" + dir, "-Djna.tmpdir=" + dir,
		"-Dcassandra.config=file://" + dir + "/cassandra.yaml", "-Dlogback.configurationFile=" + dir + "/logback.xml",
		"-Dcassandra.storagedir=" + o.dataDir, "-Dcassandra-foreground=yes", fmt.Sprintf("-Dcassandra.jmx.local.port=%d", o.config.JMXPort),
	}, cassandrahome.JavaArgs()...)
	if len(o.seeds) == 0 { // there is nobody to hear of
		args = append(args, "-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=1")
	}
	args = append(args, o.jvm...)
	return append(args, "-cp", o.home+"/lib/*", cassandrahome.Daemon)
}

// nodetool runs Cassandra's own tool.
func (o *flags) nodetool(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	all := append([]string{"-Xmx64m", "-XX:TieredStopAtLevel=1"}, cassandrahome.JavaArgs()...)
	all = append(all, "-cp", o.home+"/lib/*", cassandrahome.NodeTool)
	cmd := exec.CommandContext(ctx, o.java, append(all, args...)...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd.Run()
}
