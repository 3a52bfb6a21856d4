{{/*
What tells the collector of its store, as arguments. What cannot work is said
here, before anything is applied.
*/}}
{{- define "clover.collectorStore" -}}
{{- $values := .Values.collector }}
{{- $cassandra := $values.cassandra }}
{{- $pods := int .Values.cassandra.pods }}
{{- $bytes := div (mul (include "clover.mebibytes" $values.storage.size | int64) 1048576 4) 5 }}
{{- $held := lookup "apps/v1" "StatefulSet" .Release.Namespace "clover-collector" | default dict }}
{{- $before := dig "metadata" "annotations" "clover.opnfv.org/store" "" $held }}
{{- if and $before (ne $before $values.store) }}
{{- fail (printf "collector.store: the collector in namespace %s keeps its data in the store %s; keep it so with collector.store=%s (cloverctl: --store %s), or remove it first with 'cloverctl delete system collector'" .Release.Namespace $before $before $before) }}
{{- end }}
{{- if eq $values.store "embedded" }}
{{- if gt (int $values.replicas) 1 }}
{{- fail (printf "collector.replicas: %d collectors need a store that they share, and the embedded one is of one process; choose collector.store=cassandra (cloverctl: --store cassandra), or one collector" (int $values.replicas)) }}
{{- end -}}
- --data-dir=/data/store
- --max-bytes={{ $bytes }}
{{- else }}
{{- $hosts := $cassandra.hosts }}
{{- if not $hosts }}
{{- if .Values.cassandra.enabled }}
{{- else if lookup "v1" "Service" .Release.Namespace "cassandra" }}
{{- $live := lookup "apps/v1" "StatefulSet" .Release.Namespace "cassandra" | default dict }}
{{- $pods = int (dig "spec" "replicas" $pods $live) }}
{{- else }}
{{- fail (printf "collector.store: it is cassandra, and namespace %s has none; let the chart make one with cassandra.enabled=true (cloverctl: create system visibility --store cassandra), or name another in collector.cassandra.hosts" .Release.Namespace) }}
{{- end }}
{{- range until $pods }}
{{- $hosts = append $hosts (printf "cassandra-%d.cassandra.%s.svc" . $.Release.Namespace) }}
{{- end }}
{{- end -}}
- --store=cassandra
- --cassandra-hosts={{ join "," $hosts }}
- --cassandra-writer=$(POD_NAME)
- --await-store=10m
# What comes while Cassandra is away waits there.
- --data-dir=/data/store
- --spool-bytes={{ $bytes }}
{{- $datacenter := $cassandra.datacenter | default (ternary "" "datacenter1" (gt (len $cassandra.hosts) 0)) }}
{{- with $datacenter }}
- --cassandra-datacenter={{ . }}
{{- end }}
{{- with $cassandra.replication | default (ternary "" (printf "{'class': 'NetworkTopologyStrategy', 'datacenter1': %d}" $pods) (gt (len $cassandra.hosts) 0)) }}
- {{ printf "--cassandra-replication=%s" . | quote }}
{{- end }}
{{- with $cassandra.secret }}
- --cassandra-user=$(CASSANDRA_USER)
- --cassandra-password-file=/etc/clover/cassandra/password
{{- end }}
{{- with $cassandra.tlsSecret }}
- --cassandra-ca-file=/etc/clover/cassandra-tls/ca.crt
- --cassandra-cert-file=/etc/clover/cassandra-tls/tls.crt
- --cassandra-key-file=/etc/clover/cassandra-tls/tls.key
{{- end }}
{{- end }}
{{- end }}
