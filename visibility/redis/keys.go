package visibilityredis

import "slices"

// Keys of the configuration: sets of names.
const (
	ServicesKey       = "visibility_services" // tracked, with '_' for '-'
	MetricPrefixesKey = "metric_prefixes"
	MetricSuffixesKey = "metric_suffixes"
	CustomMetricsKey  = "custom_metrics"
)

// Keys of results. Those that end in _z are sorted sets, which count spans;
// the others are sets, but for the counts, which are strings.
const (
	DiscoveredKey       = "tracing_services"
	URLsKey             = "span_urls"
	URLCountsKey        = "span_urls_z"
	UserAgentsKey       = "span_user_agent"
	UserAgentCountsKey  = "span_user_agent_z"
	NodesKey            = "span_node_id"
	NodeCountsKey       = "span_node_id_z"
	OperationsKey       = "span_operation_name"
	UpstreamClustersKey = "span_upstream_cluster"
	StatusCodesKey      = "span_status_code"
	StatusURLCountsKey  = "span_status_codes_z" // "CODE, URL"
	NodeURLCountsKey    = "span_node_url_z"     // "NODE, URL"
	TracesKey           = "trace_count"
	SpansKey            = "span_count"
	MetricsKey          = "metric_count"
	// MetricPrefix and the name of a metric are the key of a list of its last
	// values, oldest first.
	MetricPrefix = "metrics_"
)

// Fields of the hash of a tracked service, whose key is its name with '_'.
const (
	AvgField = "avg_rt"
	MinField = "min_rt"
	MaxField = "max_rt"
)

// Clover's own keys.
const (
	// StampKey is a hash that is written together with the results: when
	// ("written"), how many values were left out by limits ("left_out"), since
	// when the figures of another engine lack something ("behind_since"), if
	// they do, and on Redis Cluster the refresh under way ("writing").
	StampKey = "clover:visibility:results"
)

// agreementKey is a string beside a set of the configuration, in the same
// slot: the ID of the state that both sides agreed on last.
func agreementKey(set string) string { return "clover:visibility:config:{" + set + "}" }

// Kind is the type of a key, as Redis' TYPE calls it.
type Kind string

// The kinds in use.
const (
	Hash      Kind = "hash"
	List      Kind = "list"
	Set       Kind = "set"
	SortedSet Kind = "zset"
	String    Kind = "string"
)

// Key is a key with all that it holds. Without Values it is not there.
type Key struct {
	Name string
	Kind Kind
	// Values are the members; of a hash, each field before its value.
	Values []string
	Counts []int64 // of a sorted set, by the index of Values
}

// reserved are the keys that no service may have.
var reserved = []string{
	ServicesKey, MetricPrefixesKey, MetricSuffixesKey, CustomMetricsKey,
	DiscoveredKey, URLsKey, URLCountsKey, UserAgentsKey, UserAgentCountsKey, NodesKey, NodeCountsKey,
	OperationsKey, UpstreamClustersKey, StatusCodesKey, StatusURLCountsKey, NodeURLCountsKey,
	TracesKey, SpansKey, MetricsKey,
	// Those of other parts of Clover.
	"snort_events", "clovisor_labels", "clovisor_egress_match", "clovisor_jaeger_collector",
	"clovisor_jaeger_agent", "clovisor_proto_cfg", "clovisor_proto_plugin_cfg_chan",
}

func isReserved(key string) bool { return slices.Contains(reserved, key) }
