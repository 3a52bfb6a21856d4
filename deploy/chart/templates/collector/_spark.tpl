{{/*
Whether the collector writes its spans for Spark too: where Spark is part of
this, or in the cluster already.
*/}}
{{- define "clover.collectorSpark" -}}
{{- if or .Values.spark.enabled (lookup "apps/v1" "Deployment" .Release.Namespace "clover-spark-submit") -}}
true
{{- end }}
{{- end }}
