{{/* Lets names be looked up. */}}
{{- define "clover.dnsEgress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}
