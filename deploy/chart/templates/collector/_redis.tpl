{{/*
Where the collector's Redis is: as told, or the datastore's, if it is part of
this or in the cluster already. Nothing: there is none.
*/}}
{{- define "clover.collectorRedis" -}}
{{- if .Values.collector.redis.address }}
{{- .Values.collector.redis.address }}
{{- else }}
{{- $held := dict }}
{{- if not .Values.datastore.enabled }}
{{- $held = lookup "v1" "Service" .Release.Namespace "redis" }}
{{- end }}
{{- if or .Values.datastore.enabled (eq (dig "metadata" "labels" "app.kubernetes.io/component" "" ($held | default dict)) "datastore") -}}
redis.{{ .Release.Namespace }}.svc:6379
{{- end }}
{{- end }}
{{- end }}
{{/*
Who counts for Redis, as flags; nothing: the store.
*/}}
{{- define "clover.collectorRedisResults" -}}
{{- if eq .Values.collector.redis.results "spark" }}
{{- if not (include "clover.collectorSpark" .) }}
{{- fail (printf "collector.redis.results: it is spark, and namespace %s has none; make it with spark.enabled=true (cloverctl: create system spark)" .Release.Namespace) }}
{{- end -}}
- --redis-results=spark
{{- end }}
{{- end }}
