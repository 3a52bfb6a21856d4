# `make test` installs what the tests need by itself and says what it does.
# Everything built or fetched goes to $(CACHE), keyed by version.

CACHE ?= $(or $(CLOVER_CACHE),$(HOME)/.cache/clover)
GO    ?= go
BENCH ?= .

.PHONY: help test test-kubernetes unit lint bench bench-clovisor-kernel bench-clovisor-sessions load-clovisor-kernel bench-ids bench-jmeter bench-loadbalancer load-loadbalancer generate check-generate fuzz crash build clean \
	images chart cluster-up cluster-down cluster-status

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

build: ## build the programs into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./examples/...

test: ## all tests with the race detector, against the real components
	sh internal/tools/test.sh

test-kubernetes: ## Clover as a whole, installed into a real cluster
	CLOVER_TEST_REQUIRE=kubernetes $(GO) test -count=1 -v ./examples/internal/kubernetes/...

.PHONY: test-kubernetes-cassandra
test-kubernetes-cassandra: ## three collectors with Cassandra in PODS (1) pods, in a real cluster
	CLOVER_CASSANDRA_PODS=$(or $(PODS),1) CLOVER_TEST_REQUIRE=kubernetes $(GO) test -run 'TestCassandra$$' -count=1 -v -timeout 40m ./examples/internal/kubernetes

.PHONY: test-kubernetes-spark
test-kubernetes-spark: ## Spark's jobs in pods, with EXECUTORS (1) each, in a real cluster
	CLOVER_SPARK_EXECUTORS=$(or $(EXECUTORS),1) CLOVER_TEST_REQUIRE=kubernetes $(GO) test -run 'TestSpark$$' -count=1 -v -timeout 40m ./examples/internal/kubernetes

unit: ## only what needs no other program
	$(GO) test -short ./...

lint: ## the linters, built once
	sh internal/tools/lint/run.sh

generate: ## write the generated code again
	$(GO) generate ./...

check-generate: generate ## fail if the committed generated code differs
	@git diff --exit-code -- api clovisor/kernel/bpf || { echo "generated code differs: run 'make generate' and commit"; exit 1; }

.PHONY: web web-access web-check web-pictures web-speed
web: ## build the dashboard: web/dist from its source
	$(GO) run ./internal/tools/web build

web-check: ## types, style and tests of the dashboard's source
	$(GO) run ./internal/tools/web check test

web-pictures: ## the pictures of the guide, by the test that compares the views with the API
	mkdir -p bin/pictures
	CLOVER_PICTURES=$(CURDIR)/bin/pictures $(GO) test -count=1 -run 'TestEachView/views' -timeout 20m ./examples/internal/dashboard
	cd bin/pictures && cp overview-dark.png overview-light.png graph-dark.png trace-dark.png latency-dark.png movers-dark.png telephone.png ../../docs/pictures

web-access: ## each view of the dashboard by keyboard, and magnified
	CLOVER_STRICT=1 $(GO) test -count=1 -run 'TestEachView/access' -v -timeout 20m ./examples/internal/dashboard

web-speed: ## how quick the dashboard is, also with SPANS (10,000,000) spans behind it
	CLOVER_STRICT=1 CLOVER_SPANS=$(or $(SPANS),10000000) $(GO) test -count=1 -run 'TestSpeed' -v -timeout 60m ./examples/internal/dashboard

bench: ## the benchmarks, beside a peer where there is one
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

.PHONY: bench-clovisor-sessions
bench-clovisor-sessions: ## sessions from packets beside net/http, on one core
	GOMAXPROCS=1 $(GO) test -run '^$$' -bench . -benchmem ./clovisor/session

bench-loadbalancer: ## the built-in proxy beside nginx, under the same load
	$(GO) test -run '^$$' -bench BesideNginx -benchtime $(or $(ROUNDS),5)x ./loadbalancer/proxy

load-loadbalancer: ## each driver changed CHANGES times (1,000) under load
	CLOVER_LB_CHANGES=$(or $(CHANGES),1000) $(GO) test -p 1 -run 'Conformance/Load' -count=1 -v ./loadbalancer/proxy ./loadbalancer/envoy
	CLOVER_LB_CHANGES=$(or $(CHANGES),1000) $(GO) test -run 'Conformance/.*/Load' -count=1 -v -timeout 60m ./loadbalancer/nginx

.PHONY: bench-clovisor
bench-clovisor: bench-clovisor-sessions bench-clovisor-kernel ## what tracing costs a real nginx, traced and untraced in turns, and each part
	$(GO) test -run '^$$' -bench . ./clovisor/export
	$(GO) test -run '^$$' -bench Traced -benchtime $(or $(ROUNDS),5)x -timeout 30m ./examples/clovisor

bench-clovisor-kernel: ## what Clovisor's programs cost in the kernel, by its own statistics
	$(GO) test -run '^$$' -bench . -benchtime $(or $(ROUNDS),50)x ./clovisor/kernel

.PHONY: load-clovisor
load-clovisor: ## sessions of PODS (500) pods at once through the whole of Clovisor
	CLOVER_CLOVISOR_PODS=$(or $(PODS),500) $(GO) test -run ManyPods -count=1 -v ./clovisor

load-clovisor-kernel: ## Clovisor attached to TARGETS (500) interfaces
	CLOVER_KERNEL_TARGETS=$(or $(TARGETS),500) $(GO) test -run ManyTargets -count=1 -v ./clovisor/kernel

bench-jmeter: ## the built-in load generator beside JMeter and wrk, and its schedule
	$(GO) test -run '^$$' -bench . -timeout 10m ./jmeter/...

bench-ids: ## the rule parser beside gonids, on one core
	cd internal/bench/ids && GOMAXPROCS=1 $(GO) test -run '^$$' -bench . -benchmem .

.PHONY: bench-scale
bench-scale: ## Cassandra: writes beside bare inserts, one writer beside three, questions over SPANS (10,000,000: half an hour, 8 GiB of disk)
	$(GO) test -run '^$$' -bench Beside -benchtime $(or $(ROUNDS),3)x -timeout 20m ./visibility/cassandra
	CLOVER_SPANS=$(or $(SPANS),10000000) $(GO) test -run 'TestScale$$' -count=1 -v -timeout 3h ./visibility/cassandra

.PHONY: faults-cassandra
faults-cassandra: ## Cassandra restarted, slow, full, changed under it, one of three nodes gone: minutes, 2 GiB
	CLOVER_TEST_REQUIRE=all CLOVER_FAULTS=1 $(GO) test -run 'Outages$(if $(FAULT),/$(FAULT))' -count=1 -v -timeout 60m ./visibility/cassandra

.PHONY: sizes-cassandra
sizes-cassandra: ## rows of Cassandra's partitions after SPANS (1,000,000) of a mesh, and a question over all
	CLOVER_SPANS=$(or $(SPANS),1000000) $(GO) test -run Partitions -count=1 -v -timeout 60m ./visibility/cassandra

.PHONY: differential
differential: ## QUERIES (5000) random questions to visibility.Analytics and to DuckDB
	CLOVER_DIFFERENTIAL=$(or $(QUERIES),5000) $(GO) test -run AnswersAs -count=1 -v -timeout 60m ./visibility/sql

.PHONY: differential-spark
differential-spark: ## QUERIES (2000) random questions to Spark and the embedded store
	CLOVER_QUERIES=$(or $(QUERIES),2000) $(GO) test -run 'TestServer/questions' -count=1 -v -timeout 120m ./visibility/spark

.PHONY: differential-spark-cassandra
differential-spark-cassandra: ## QUERIES (1000) random questions to Spark over Cassandra's tables and to the store
	CLOVER_QUERIES=$(or $(QUERIES),1000) $(GO) test -run 'TestServer/cassandra' -count=1 -v -timeout 240m ./visibility/spark

.PHONY: engines-spark
engines-spark: ## cloverctl's --engine with a collector and a real Spark SQL server
	CLOVER_SPARK=1 $(GO) test -run TestSpark -count=1 -v -timeout 60m ./examples/cloverctl/internal/command

fuzz: ## each fuzz target for FUZZTIME (20s)
	sh internal/tools/fuzz.sh $(or $(FUZZTIME),20s)

crash: ## kill the store while it writes, CRASHES times (50)
	CLOVER_CRASHES=$(or $(CRASHES),50) $(GO) test -run Crash -count=1 -v -timeout 30m ./visibility/embedded

.PHONY: bench-spark
bench-spark: ## a fast job over a million new spans beside a full one over FILES (10) million more
	CLOVER_SPARK_FILES=$(or $(FILES),10) $(GO) test -run '^$$' -bench FastBesideFull -benchtime $(or $(ROUNDS),5)x -timeout 60m ./visibility/spark/job

.PHONY: bench-spark-cassandra
bench-spark-cassandra: ## Spark over SPANS (50,000) in Cassandra's tables beside Parquet files, and the connector alone
	CLOVER_SPANS=$(or $(SPANS),50000) $(GO) test -run '^$$' -bench CassandraBesideParquet -benchtime $(or $(ROUNDS),5)x -timeout 60m ./visibility/spark

.PHONY: spark-s3
spark-s3: ## Spark and its jobs read S3, with 280 MB of Hadoop for it
	CLOVER_TEST_REQUIRE=all CLOVER_SPARK_S3=1 $(GO) test -run SparkReadsS3 -count=1 -v -timeout 60m ./visibility/spark/job

.PHONY: bench-latency
bench-latency: ## from a request in the mesh to its count in Redis, by the store and by Spark's jobs, REQUESTS (100) each
	$(GO) test -run '^$$' -bench RequestToRedis -benchtime $(or $(REQUESTS),100)x -timeout 60m ./examples/internal/e2e

.PHONY: crash-spark
crash-spark: ## kill the driver of a Spark job while it writes, KILLS times (3)
	CLOVER_SPARK_KILLS=$(or $(KILLS),3) $(GO) test -run SparkKilled -count=1 -v -timeout 60m ./visibility/spark/job

.PHONY: kill-collectors
kill-collectors: ## three collectors on Cassandra under load, killed one after the other, KILLS times (9)
	CLOVER_COLLECTOR_KILLS=$(or $(KILLS),9) $(GO) test -run KilledCollectors -count=1 -v -timeout 30m ./examples/clover-collector

.PHONY: simulate-scale
simulate-scale: ## COLLECTORS (100) sharing SERVICES (1000) with SPANS (1000000) a second, in virtual time
	CLOVER_SIMULATE_SERVICES=$(or $(SERVICES),1000) CLOVER_SIMULATE_COLLECTORS=$(or $(COLLECTORS),100) CLOVER_SIMULATE_SPANS=$(or $(SPANS),1000000) \
		CLOVER_SIMULATE_INTERVAL=$(or $(INTERVAL),2) $(GO) test -run SimulatedScale -count=1 -v -timeout 60m ./visibility/lease

cluster-up: ## make a Kubernetes cluster to try things in, and print its KUBECONFIG
	@$(GO) run ./internal/testutil/cluster/testcluster up

cluster-down: ## remove it, and what tests that were killed have left
	@$(GO) run ./internal/testutil/cluster/testcluster down

cluster-status: ## list the clusters that are up
	@$(GO) run ./internal/testutil/cluster/testcluster status

images: ## the container images, multi-arch, into bin/images
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(GO) run ./internal/tools/images \
		-tag $(or $(TAG),dev) -registry $(or $(REGISTRY),opnfv) -revision $$(git rev-parse HEAD)

chart: ## the Helm chart as an archive, into bin
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(GO) -C internal/testutil/helmbin tool helm package \
		$(CURDIR)/deploy/chart --destination $(CURDIR)/bin $(if $(TAG),--version $(TAG) --app-version $(TAG))

clean: ## remove what make built here
	rm -rf bin
