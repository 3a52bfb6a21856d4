package clovisor

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/opnfv/clover/clovisor/protocol"
)

var workloadLabels = []string{"namespace", "pod", "interface", "protocol"}

func describeMetric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("clovisor_"+name, help, labels, nil)
}

var (
	packetsDesc     = describeMetric("packets_total", "Packets that were followed.", workloadLabels...)
	bytesDesc       = describeMetric("bytes_total", "Bytes of payload in them.", workloadLabels...)
	connectionsDesc = describeMetric("connections_total", "Connections seen, and exchanges over UDP.", workloadLabels...)
	beganDesc       = describeMetric("sessions_began_total", "Sessions that began.", workloadLabels...)
	openDesc        = describeMetric("sessions_open", "Sessions that are not over.", workloadLabels...)
	sessionsDesc    = describeMetric("sessions_total", "Sessions that are over, by what became of them.", append(workloadLabels[:4:4], "outcome")...)
	droppedDesc     = describeMetric("dropped_packets_total", "Packets that the capture saw and could not hand on.", append(workloadLabels[:4:4], "reason")...)
	refusedDesc     = describeMetric("refused_packets_total", "Packets that were seen and that their receiver drops.", append(workloadLabels[:4:4], "reason")...)
	lostDesc        = describeMetric("lost_bytes_total", "Bytes that were wanted and never seen.", workloadLabels...)
	completeDesc    = describeMetric("completeness_ratio", "Share of the sessions that are over which is whole.", workloadLabels...)

	spansDesc        = describeMetric("spans_exported_total", "Spans that the receiver has acknowledged.")
	spansWaitingDesc = describeMetric("spans_waiting", "Spans that wait to be sent.")
	spansDroppedDesc = describeMetric("spans_dropped_total", "Spans that were lost, by reason.", "reason")

	targetsDesc     = describeMetric("targets", "Interfaces that are captured from.")
	problemsDesc    = describeMetric("problems", "Workloads that were to be traced and are not.")
	followedDesc    = describeMetric("connections_followed", "Connections that are followed now.")
	memoryDesc      = describeMetric("followed_bytes", "Memory that streams and messages take now.")
	seenPacketsDesc = describeMetric("seen_packets_total", "Packets that passed the interfaces, whatever they were.")
)

var allDescs = []*prometheus.Desc{
	packetsDesc, bytesDesc, connectionsDesc, beganDesc, openDesc, sessionsDesc, droppedDesc, refusedDesc, lostDesc, completeDesc,
	spansDesc, spansWaitingDesc, spansDroppedDesc, targetsDesc, problemsDesc, followedDesc, memoryDesc, seenPacketsDesc,
}

// Describe implements [prometheus.Collector].
func (t *Tracer) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range allDescs {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]: the ledger as metrics.
func (t *Tracer) Collect(ch chan<- prometheus.Metric) {
	l := t.Ledger()
	for i := range l.Entries {
		collectEntry(ch, &l.Entries[i])
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	count(spansDesc, float64(l.Spans.Exported))
	gauge(spansWaitingDesc, float64(l.Spans.Waiting))
	for reason, n := range l.Spans.Dropped {
		count(spansDroppedDesc, float64(n), reason)
	}
	gauge(problemsDesc, float64(len(l.Problems)))
	gauge(targetsDesc, float64(t.targets.attached()))
	if stats, err := t.capture.Stats(); err == nil {
		seen := stats.Detached.Packets
		for _, c := range stats.Targets {
			seen += c.Packets
		}
		count(seenPacketsDesc, float64(seen))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.engine != nil {
		gauge(followedDesc, float64(t.engine.Connections()))
		gauge(memoryDesc, float64(t.engine.MemoryBytes()))
	}
}

func collectEntry(ch chan<- prometheus.Metric, e *Entry) {
	labels := []string{e.Namespace, e.Pod, e.Interface, e.Protocol}
	count := func(d *prometheus.Desc, n int64, more ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), append(labels[:4:4], more...)...)
	}
	count(packetsDesc, e.Packets)
	count(bytesDesc, e.Bytes)
	count(connectionsDesc, e.Connections)
	count(beganDesc, e.Sessions)
	count(lostDesc, e.LostBytes)
	// All of them, so that a rate is known from the first one on.
	for _, o := range protocol.Outcomes() {
		count(sessionsDesc, e.Outcomes[o], string(o))
	}
	for reason, n := range e.Dropped {
		count(droppedDesc, n, reason)
	}
	for reason, n := range e.Refused {
		count(refusedDesc, n, reason)
	}
	for d, v := range map[*prometheus.Desc]float64{openDesc: float64(e.Open), completeDesc: e.Completeness / 100} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
}
