// Package clover is the map of Clover: libraries with which people see,
// test, steer and protect a service mesh.
//
// # See
//
//   - [github.com/opnfv/clover/tracing]: one span model for every tracer's
//     dialect; the client of Jaeger; OTLP in and out.
//   - [github.com/opnfv/clover/monitoring]: the client of Prometheus; the
//     metric names of Envoy and Istio, those of 2019 too.
//   - [github.com/opnfv/clover/visibility]: the collector, the contract of
//     stores, statistics, the service graph and the ledger that says what an
//     answer is based on.
//   - [github.com/opnfv/clover/visibility/spool]: keeps on disk what a store
//     cannot take now, and brings it there in order.
//   - [github.com/opnfv/clover/visibility/embedded]: the default store, one
//     directory on disk.
//   - [github.com/opnfv/clover/visibility/redis]: results and configuration in
//     Redis, under the keys that users know.
//   - [github.com/opnfv/clover/visibility/lease]: services shared among the
//     collectors of one store.
//   - [github.com/opnfv/clover/visibility/cassandra]: the store that several
//     collectors share, on Apache Cassandra.
//   - [github.com/opnfv/clover/visibility/spark]: statements run by an Apache
//     Spark, for visibility/sql.
//   - [github.com/opnfv/clover/visibility/spark/job]: Spark's jobs that sum up
//     spans again and again, and what they have found.
//   - [github.com/opnfv/clover/visibility/spark/job/pods]: those jobs in pods of
//     Kubernetes.
//   - [github.com/opnfv/clover/visibility/parquet]: spans as Parquet files,
//     written from any store and read into any.
//   - [github.com/opnfv/clover/visibility/parquet/s3]: those files in S3.
//   - [github.com/opnfv/clover/visibility/sql]: the same questions as SQL, for
//     DuckDB and Spark.
//   - [github.com/opnfv/clover/visibility/engine]: who answers a question, the
//     store or Spark, and why.
//   - [github.com/opnfv/clover/visibility/sql/sqltest]: holds that an engine
//     answers as visibility.Analytics does.
//   - [github.com/opnfv/clover/visibility/storetest]: the suite that every
//     store passes, and a reference store for tests.
//   - [github.com/opnfv/clover/clovisor]: session traces from the kernel, by
//     the packages below it.
//   - [github.com/opnfv/clover/clovisor/target]: which interfaces to trace, and
//     what their ports speak; [github.com/opnfv/clover/clovisor/target/kubernetes]:
//     those of a node's pods.
//   - [github.com/opnfv/clover/clovisor/kernel]: segments of chosen ports from
//     network interfaces, by programs in the Linux kernel.
//   - [github.com/opnfv/clover/api/server]: the gRPC and REST services.
//   - [github.com/opnfv/clover/api/server/dashboard]: serves the dashboard's files.
//   - [github.com/opnfv/clover/web]: the dashboard, as files to serve.
//   - [github.com/opnfv/clover/api/agent]: the agents beside load balancers,
//     proxies, web servers and intrusion detection engines.
//   - [github.com/opnfv/clover/api/server/kubesource]: which services of a
//     cluster requests may name.
//   - [github.com/opnfv/clover/clovisor/config]: what Clovisor traces, from
//     flags, a file and Redis, followed while it runs.
//   - [github.com/opnfv/clover/clovisor/export]: sessions as spans that join
//     the mesh's traces, and as lines.
//   - [github.com/opnfv/clover/clovisor/packet]: what a capture hands on;
//     frames, pcap and pcapng read and written.
//   - [github.com/opnfv/clover/clovisor/protocol]: the contract of parsers;
//     [github.com/opnfv/clover/clovisor/protocol/http1] and its neighbours are
//     the built-in ones.
//   - [github.com/opnfv/clover/clovisor/session]: segments in, sessions out,
//     and the ledger that accounts for all of them.
//   - [github.com/opnfv/clover/clovisor/sessiontest]: traffic of which it is
//     known what must come out.
//   - [github.com/opnfv/clover/clovisor/plugin]: parsers of one's own, in Go or
//     as WebAssembly modules that are loaded live.
//   - [github.com/opnfv/clover/clovisor/plugin/guest]: makes such a module.
//
// # Test
//
//   - [github.com/opnfv/clover/jmeter]: load tests as values: read from YAML and
//     from JMeter's files, written as these, judged by criteria.
//   - [github.com/opnfv/clover/jmeter/jtl]: JMeter's result files.
//   - [github.com/opnfv/clover/jmeter/builtin]: plans run without a JVM.
//   - [github.com/opnfv/clover/jmeter/process]: plans run by the real JMeter.
//   - [github.com/opnfv/clover/jmeter/master]: plans run on behalf of others, one
//     at a time: plans, runs and results kept in a folder; which targets they may
//     have.
//   - [github.com/opnfv/clover/api/loadtest]: such a master by gRPC;
//     [github.com/opnfv/clover/api/server/loadtests]: the load test area of the API.
//   - [github.com/opnfv/clover/jmeter/report]: the outcome as table, JSON, CSV,
//     JUnit's XML and HTML; two runs compared.
//   - [github.com/opnfv/clover/jmeter/runnertest]: the suite that every runner
//     passes.
//
// # Steer
//
//   - [github.com/opnfv/clover/mesh]: Istio's resources as typed values that
//     are checked, applied, and waited for until the proxies have them.
//   - [github.com/opnfv/clover/loadbalancer]: what a load balancer does as one
//     value; drivers that change a real one while it runs; the agent.
//   - [github.com/opnfv/clover/loadbalancer/proxy]: the built-in reverse proxy.
//   - [github.com/opnfv/clover/loadbalancer/nginx]: nginx, tested, replaced,
//     reloaded and verified.
//   - [github.com/opnfv/clover/loadbalancer/nginx/conf]: nginx's configuration
//     language, written and read.
//   - [github.com/opnfv/clover/loadbalancer/envoy]: Envoy, over xDS.
//   - [github.com/opnfv/clover/loadbalancer/drivertest]: the suite that every
//     driver passes, under load.
//
// # Deliver
//
//   - [github.com/opnfv/clover/spinnaker]: accounts of providers, their files,
//     kubeconfigs that are checked, secrets that do not print.
//   - [github.com/opnfv/clover/spinnaker/halyard]: the client of Halyard's daemon.
//   - [github.com/opnfv/clover/spinnaker/gate]: the client of Gate: accounts,
//     pipelines, executions.
//   - [github.com/opnfv/clover/spinnaker/pipeline]: pipelines as values, checked
//     before they run.
//   - [github.com/opnfv/clover/spinnaker/artifact]: Helm charts packaged, and
//     stored where pipelines fetch them.
//   - [github.com/opnfv/clover/api/server/delivery]: the delivery area of the API.
//   - [github.com/opnfv/clover/deploy/spinnaker]: the manifests of a Spinnaker.
//   - [github.com/opnfv/clover/spinnaker/spinnakertest]: stand-ins of Spinnaker's
//     servers for tests, with state and faults.
//
// # Protect
//
//   - [github.com/opnfv/clover/ids]: rules of Suricata, Snort 2 and Snort 3:
//     read, changed, checked, translated, compared.
//   - [github.com/opnfv/clover/ids/starter]: rules to begin with.
//   - [github.com/opnfv/clover/ids/source]: rule files from folders and by
//     HTTPS, checked before use.
//   - [github.com/opnfv/clover/ids/engine]: Suricata and Snort 3: rules changed
//     while they run, tested before and counted after; start, stop, statistics.
//   - [github.com/opnfv/clover/ids/alert]: alerts of EVE, unified2 and
//     alert_json as one type, spooled on disk and delivered at least once.
//   - [github.com/opnfv/clover/ids/alert/redis]: alerts in Redis under the keys
//     that users know, and EVE from Redis.
//   - [github.com/opnfv/clover/ids/blocklist]: who is kept out after alerts,
//     by a policy, for how long.
//
// # Install
//
//   - [github.com/opnfv/clover/deploy]: the Helm chart, and the manifests that
//     come from it.
//   - [github.com/opnfv/clover/deploy/images]: container images, built without
//     Docker.
//
// # Programs
//
// The folder examples holds the programs that assemble the libraries:
// standalone (everything in one process), cloverctl (the command line),
// clover-collector and clover-controller (the two halves as they run in a
// cluster), clover-jmeter (master and slaves of load tests), clovisor (session
// traces from the kernel), clover-spark-submit (Spark's jobs, again and again),
// clover-spark (Spark in a container), sdc (the services of the sample), and
// deliver (a chart deployed by Spinnaker).
//
// # Rules that hold everywhere
//
// A long-running type has Run(ctx) error, which blocks, ends with ctx and
// owns every goroutine it starts. Options are plain structs whose zero value
// works. Errors are typed and classified: match them with errors.Is and the
// sentinels of each package. Queues, bodies, rows and label values are
// bounded, and what goes over a bound is counted in the ledger.
package clover
