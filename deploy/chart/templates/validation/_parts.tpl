{{/* What both programs are told of where they run: the limits of a container. */}}
{{- define "clover.jmeterEnv" -}}
- {name: TMPDIR, value: /tmp}
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
# The other half is for what the JVM has besides its heap, and for Clover.
- name: JDK_JAVA_OPTIONS
  value: >-
    -Xmx{{ div (include "clover.mebibytes" .limits.memory | int64) 2 }}m -XX:+UseSerialGC
    -Djava.awt.headless=true -Djava.util.prefs.userRoot=/tmp
{{- end }}

{{/* The labels and annotations of a pod: dict "root" $ "id" $id. */}}
{{- define "clover.jmeterMetadata" -}}
labels:
  {{- include "clover.labels" .id | nindent 2 }}
  # In a mesh, all that comes in (gRPC and RMI) is by mutual TLS already, and RMI
  # calls back at ports that nobody has declared: it does not pass the sidecar,
  # and other sidecars do not encrypt it again. What goes out, the requests of
  # the tests, does pass it.
  security.istio.io/tlsMode: disabled
  {{- with .root.Values.validation.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  traffic.sidecar.istio.io/includeInboundPorts: ""
  {{- with .root.Values.validation.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
