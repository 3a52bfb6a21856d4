{{/*
Whether the collector writes its spans for Spark too: where Spark is part of
this, or its claim in the cluster already.
*/}}
{{- define "clover.collectorSpark" -}}
{{- if or .Values.spark.enabled (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "clover-spark") -}}
true
{{- end }}
{{- end }}
