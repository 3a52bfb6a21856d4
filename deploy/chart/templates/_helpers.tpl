{{/* The image of a program of Clover: dict "root" $ "name" "clover-controller". */}}
{{- define "clover.image" -}}
{{ .root.Values.image.registry }}/{{ .name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The labels that pods are selected by: dict "root" $ "name" NAME "component" COMPONENT. */}}
{{- define "clover.selector" -}}
app: {{ .name }}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "clover.labels" -}}
{{ include "clover.selector" . }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: clover
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* The name of a cluster-wide object: with the namespace, if that is not the usual one. */}}
{{- define "clover.clusterName" -}}
{{- if eq .root.Release.Namespace "clover-system" -}}
{{ .name }}
{{- else -}}
{{ .name }}-{{ .root.Release.Namespace }}
{{- end -}}
{{- end }}

{{/* What every pod is held to: the restricted Pod Security Standard. */}}
{{- define "clover.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every container is held to. */}}
{{- define "clover.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* A quantity such as 512Mi or 10Gi in MiB. */}}
{{- define "clover.mebibytes" -}}
{{- if hasSuffix "Gi" . -}}
{{ mul (trimSuffix "Gi" . | int64) 1024 }}
{{- else -}}
{{ trimSuffix "Mi" . }}
{{- end -}}
{{- end }}

{{/* What Go's garbage collector aims at: nine tenths of the memory limit. */}}
{{- define "clover.goMemoryLimit" -}}
- name: GOMEMLIMIT
  value: {{ div (mul (include "clover.mebibytes" .limits.memory | int64) 9) 10 }}MiB
{{- end }}

{{/* Tells Prometheus where the metrics of a pod are. */}}
{{- define "clover.scrape" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ . | quote }}
prometheus.io/path: /metrics
{{- end }}
