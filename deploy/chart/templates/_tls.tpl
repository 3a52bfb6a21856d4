{{/*
The authority that signs, dict "root" $ "ca" $ca: what the cluster holds, found
as clover-ca in the namespaces of ca.from or by its own name, else a new one.
Its certificate and key are put into $ca; the secret is rendered unless it is
another install's.
*/}}
{{- define "clover.authority" -}}
{{- $ca := .ca }}
{{- $held := dict }}
{{- $others := false }}
{{- range $ca.from }}
{{- if not $held }}
{{- $held = lookup "v1" "Secret" . "clover-ca" }}
{{- $others = and $held (ne $ca.name "clover-ca") }}
{{- end }}
{{- end }}
{{- if and (not $held) (ne $ca.name "clover-ca") }}
{{- $held = lookup "v1" "Secret" $ca.namespace $ca.name }}
{{- end }}
{{- $pair := dict }}
{{- if and $held (hasKey $held "data") }}
{{- $pair = buildCustomCert (index $held.data "tls.crt") (index $held.data "tls.key") }}
{{- else }}
{{- $pair = genCAWithKey (printf "Clover CA of %s" $ca.namespace) 3650 (genPrivateKey "ecdsa") }}
{{- end }}
{{- $_ := set $ca "pair" $pair }}
{{- if not $others }}
apiVersion: v1
kind: Secret
metadata:
  name: {{ $ca.name }}
  namespace: {{ $ca.namespace }}
  labels: {{- include "clover.labels" (dict "root" .root "name" $ca.name "component" $ca.component) | nindent 4 }}
type: kubernetes.io/tls
data:
  tls.crt: {{ $pair.Cert | b64enc }}
  tls.key: {{ $pair.Key | b64enc }}
{{- end }}
{{- end }}

{{/*
The certificate of a service, which is its client certificate too: dict "root"
$ "ca" $ca "name" NAME "namespace" NAMESPACE "component" COMPONENT "hosts" LIST
"ips" LIST, the last two beside the names of the service.
*/}}
{{- define "clover.certificate" -}}
{{- $ca := .ca.pair }}
{{- $name := .name }}
{{- $ns := .namespace }}
{{- $days := int .root.Values.tls.validDays }}
{{- $hosts := concat (list $name (printf "%s.%s" $name $ns) (printf "%s.%s.svc" $name $ns) (printf "%s.%s.svc.cluster.local" $name $ns) "localhost") .hosts }}
{{- $ips := concat (list "127.0.0.1" "::1") .ips }}
{{- $made := printf "%s %s %v %v" (sha256sum $ca.Cert) $name $hosts $ips | sha256sum }}
{{- $held := lookup "v1" "Secret" $ns (printf "%s-tls" $name) }}
{{- $annotations := dict }}
{{- if $held }}{{ $annotations = default dict $held.metadata.annotations }}{{ end }}
{{- $renew := index $annotations "clover.opnfv.org/renew-after" | default "0" | int64 }}
{{- $crt := "" }}
{{- $key := "" }}
{{- if and (eq (index $annotations "clover.opnfv.org/made-for" | default "") $made) (gt $renew (now | unixEpoch | int64)) }}
{{- $crt = index $held.data "tls.crt" }}
{{- $key = index $held.data "tls.key" }}
{{- else }}
{{- $signed := genSignedCertWithKey $name $ips $hosts $days $ca (genPrivateKey "ecdsa") }}
{{- $crt = $signed.Cert | b64enc }}
{{- $key = $signed.Key | b64enc }}
{{- $renew = add (now | unixEpoch | int64) (mul $days 57600) }}
{{- end }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ $name }}-tls
  namespace: {{ $ns }}
  labels: {{- include "clover.labels" (dict "root" .root "name" $name "component" .component) | nindent 4 }}
  annotations:
    clover.opnfv.org/made-for: {{ $made }}
    clover.opnfv.org/renew-after: {{ $renew | toString | quote }}
type: kubernetes.io/tls
data:
  tls.crt: {{ $crt }}
  tls.key: {{ $key }}
  ca.crt: {{ $ca.Cert | b64enc }}
{{- end }}

{{/* The services of the sample that are controlled by gRPC. */}}
{{- define "clover.sampleApps" -}}
- proxy-access-control
- http-lb
- snort-ids
{{- range until 5 }}
- clover-server{{ add1 . }}
{{- end }}
{{- end }}
