{{/*
The agents that the controller steers, as a list of dicts "flag" FLAG "name"
NAME "address" HOST:PORT "ours" whether it is a service of the sample.
*/}}
{{- define "clover.agents" -}}
{{- $ns := .Values.sdc.namespace }}
{{- range list
  (dict "flag" "balancer" "names" .Values.controller.agents.balancers "port" 50054)
  (dict "flag" "web-server" "names" .Values.controller.agents.servers "port" 50054)
  (dict "flag" "proxy" "names" .Values.controller.agents.proxies "port" 50054)
  (dict "flag" "ids" "names" .Values.controller.agents.ids "port" 50052)
}}
{{- $kind := . }}
{{- range .names }}
{{- if contains "=" . }}
- {flag: {{ $kind.flag }}, name: {{ splitList "=" . | first }}, address: {{ splitList "=" . | last | quote }}, ours: false}
{{- else }}
- {flag: {{ $kind.flag }}, name: {{ . }}.{{ $ns }}, address: "{{ . }}.{{ $ns }}.svc:{{ $kind.port }}", ours: true}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The flags that name them, and how they are reached. */}}
{{- define "clover.agentArgs" -}}
{{- range include "clover.agents" . | fromYamlArray }}
- {{ printf "--%s=%s=%s" .flag .name .address | quote }}
{{- end }}
{{- if and .Values.controller.agents.tls (not .Values.sdc.istio.enabled) }}
- --agent-ca-file=/etc/clover/tls/ca.crt
- --agent-cert-file=/etc/clover/tls/tls.crt
- --agent-key-file=/etc/clover/tls/tls.key
{{- end }}
- --jmeter-master=clover-jmeter-master.{{ .Values.validation.namespace }}.svc:50054
- --jmeter-ca-file=/etc/clover/tls/ca.crt
- --jmeter-cert-file=/etc/clover/tls/tls.crt
- --jmeter-key-file=/etc/clover/tls/tls.key
{{- with .Values.controller.spinnaker.halyard }}
- {{ printf "--halyard=%s" . | quote }}
{{- end }}
{{- with .Values.controller.spinnaker.gate }}
- {{ printf "--gate=%s" . | quote }}
{{- end }}
{{- end }}

{{/* Lets the controller reach them. */}}
{{- define "clover.agentEgress" -}}
{{- $sample := false }}
{{- $ports := list }}
{{- range include "clover.agents" . | fromYamlArray }}
{{- if .ours }}
{{- $sample = true }}
{{- else }}
{{- $ports = append $ports (splitList ":" .address | last) }}
{{- end }}
{{- end }}
{{- if $sample }}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .Values.sdc.namespace }}}
      podSelector:
        matchLabels: {app.kubernetes.io/component: sdc}
  ports:
    - {port: 50052}
    - {port: 50054}
{{- end }}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .Values.validation.namespace }}}
      podSelector:
        matchLabels: {app: clover-jmeter-master}
  ports:
    - {port: 50054}
{{- range list .Values.controller.spinnaker.halyard .Values.controller.spinnaker.gate }}
{{- if . }}
{{- $url := urlParse . }}
{{- $ports = append $ports (regexFind "[0-9]+$" $url.host | default (eq $url.scheme "https" | ternary "443" "80")) }}
{{- end }}
{{- end }}
{{- range $ports | uniq }}
- ports:
    - {port: {{ . }}}
{{- end }}
{{- end }}
