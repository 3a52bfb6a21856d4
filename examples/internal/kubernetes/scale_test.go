package kubernetes

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/opnfv/clover/internal/testutil"
	"github.com/opnfv/clover/internal/testutil/images"
)

// TestScale types the guide's chapter 3.4 for a mesh that outgrows one
// process, with every part of the guide: Cassandra, three collectors, Redis,
// and Spark's jobs in pods. All of them count what was sent. What fails under
// them is tried by make test-kubernetes-cassandra and test-kubernetes-spark.
func TestScale(t *testing.T) {
	k := newKit(t)
	k.load("clover-cassandra", "clover-spark-submit", "clover-spark")
	before, start := k.objects(), time.Now()
	k.startJaeger()
	k.startPrometheus()
	k.types("cloverctl create system datastore -t test", "Creating datastore services\n", `Created service "redis"`)
	k.types("cloverctl create system spark -t test --set spark.interval.fast=1s", "Creating spark services\n",
		`Created serviceaccount "clover-spark"`, lines(`Created deployment "clover-spark-submit".`, "Image: opnfv/clover-spark-submit:test"))
	k.installCassandra("1")
	k.guideConfiguration("clover-collector-")
	services := []string{"proxy-access-control", "clover-server1", "clover-server2", "clover-server3"}
	sent := k.sendTally(services...)
	k.redisHolds(sent, services...)
	k.jobCounts(sent)
	k.says("cloverctl get visibility", "trace_count", fmt.Sprint(sent), "http://clover-server3:9180/")
	const spark = cloverNamespace + ":clover-spark"
	granted := rights{spark: k.granted()[spark]}
	if len(granted[spark]) == 0 {
		k.Errorf("%s may do nothing", spark)
	}
	k.holdsRights(start, granted)
	k.types("cloverctl clear visibility", k.greeting()+"Cleared visibility data: ", fmt.Sprintf("%d spans", sent))
	k.eventually(func() (bool, string) {
		got := k.counts("service", "")
		return len(got) == 0, fmt.Sprintf("cleared, and there is %v", got)
	})
	k.redisHolds(0)
	k.types("cloverctl stop visibility", "Stopped collector on pid: clover-collector-")
	k.scaleDelete()
	k.isAsBefore(before)
}

// load puts images of Clover into the cluster.
func (k *kit) load(names ...string) {
	k.Helper()
	for _, a := range images.Clover(k, repository, names...) {
		k.cluster.LoadImage(k, a.File)
	}
}

// sendTally sends spans of services, each by a connection of its own, so to
// any of the collectors, waits until they are counted, and returns how many
// there are. They lie in one minute, which is over: a job that sees them all
// has one file to read.
func (k *kit) sendTally(services ...string) (sent int) {
	k.Helper()
	otlp, at := k.nodePort(cloverNamespace, "clover-collector", 4317), time.Now().Truncate(time.Minute).Add(-150*time.Second)
	var senders []*sender
	for _, name := range services {
		s := k.newSender(otlp, name)
		s.at = at
		for range 3 {
			k.check(s.send(20))
		}
		senders = append(senders, s)
	}
	for _, s := range senders {
		s.isCounted()
		sent += int(s.acked.Load())
	}
	return sent
}

// redisHolds waits until Redis has so many spans, of which each is a trace,
// under the keys of 2019, and a share of them for each of these services,
// which the configuration names.
func (k *kit) redisHolds(want int, services ...string) {
	k.Helper()
	c := redis.NewClient(&redis.Options{Addr: k.nodePort(cloverNamespace, "redis", 6379), ContextTimeoutEnabled: true})
	defer func() {
		k.check(c.Close())
		k.check(k.api.CoreV1().Services(cloverNamespace).Delete(k.Context(), "test-redis", metav1.DeleteOptions{}))
	}()
	k.eventually(func() (bool, string) {
		counts, err := c.MGet(k.Context(), "span_count", "trace_count").Result()
		got, all := fmt.Sprintf("%v %v", counts, err), fmt.Sprintf("[%d %d] <nil>", want, want)
		for _, name := range services {
			key := strings.ReplaceAll(name, "-", "_")
			times, timesErr := c.HMGet(k.Context(), key, "avg_rt", "max_rt").Result()
			spans, spansErr := c.ZScore(k.Context(), "span_urls_z", "http://"+name+":9180/").Result()
			got += fmt.Sprintf(", %s %v %v %v %v", key, times, timesErr, spans, spansErr)
			all += fmt.Sprintf(", %s [1.00 1.00] <nil> %d <nil>", key, want/len(services))
		}
		return got == all, fmt.Sprintf("Redis has %s, want %s\n%s", got, all, k.run("cloverctl get visibility status").all())
	})
}

// jobCounts waits until a job has found so many spans, by a driver and an
// executor that are called as in the guide, of which nothing is left.
func (k *kit) jobCounts(want int) {
	k.Helper()
	start, found := time.Now(), regexp.MustCompile(fmt.Sprintf(`(?m)^(clover-spark(?:-fast)?) ([0-9a-f]{32}) ok: .* %d spans, .*`, want))
	var job []string
	testutil.Eventually(k, javaLimit, func() (bool, string) {
		text := k.submitted()
		job = found.FindStringSubmatch(text)
		return job != nil, fmt.Sprintf("no job has found %d spans: %s\n%s", want, text, k.podStates(cloverNamespace))
	})
	k.Logf("counted after %s: %s", time.Since(start).Round(time.Second), job[0])
	for _, pod := range []string{"driver", "exec-1"} {
		name := fmt.Sprintf("%s-%s-%s", job[1], job[2], pod)
		k.eventually(func() (bool, string) {
			events, err := k.api.CoreV1().Events(cloverNamespace).List(k.Context(), metav1.ListOptions{FieldSelector: "reason=Started,involvedObject.name=" + name})
			k.check(err)
			return len(events.Items) > 0, "no pod " + name + " was started"
		})
	}
	k.eventually(func() (bool, string) {
		pods, err := k.api.CoreV1().Pods(cloverNamespace).List(k.Context(), metav1.ListOptions{LabelSelector: "app=clover-spark"})
		k.check(err)
		return len(pods.Items) == 0, k.podStates(cloverNamespace)
	})
}

// scaleDelete removes all that TestScale has created.
func (k *kit) scaleDelete() {
	k.Helper()
	k.types("cloverctl delete system spark", "Deleting spark services\n", `Deleted deployment "clover-spark-submit".`)
	k.types("cloverctl delete system visibility", "Deleting visibility services\n", `Deleted statefulset "cassandra".`,
		`Deleted statefulset "clover-collector".`, `Deleted persistentvolumeclaim "clover-spark"`)
	k.types("cloverctl delete system datastore", "Deleting datastore services\n", `Deleted service "redis"`)
	k.check(k.api.CoreV1().Services(cloverNamespace).Delete(k.Context(), "test-clover-collector", metav1.DeleteOptions{}))
	k.types("cloverctl delete system controller nodeport")
	k.types("cloverctl delete system controller")
	k.check(k.api.CoreV1().Namespaces().Delete(k.Context(), jaegerNamespace, metav1.DeleteOptions{}))
}
