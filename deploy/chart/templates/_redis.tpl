{{/*
What tells a client of Redis of the secret that is at /etc/clover/redis: a map
with tlsSecret or caSecret.
*/}}
{{- define "clover.redisFiles" -}}
{{- if .tlsSecret -}}
- --redis-ca-file=/etc/clover/redis/ca.crt
- --redis-cert-file=/etc/clover/redis/tls.crt
- --redis-key-file=/etc/clover/redis/tls.key
{{- else if .caSecret -}}
- --redis-ca-file=/etc/clover/redis/ca.crt
{{- end }}
{{- end }}

{{/* The passwords of a client of Redis, from the secret of that name. */}}
{{- define "clover.redisPasswords" -}}
- name: REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: password}}
- name: REDIS_SENTINEL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: sentinel-username, optional: true}}
- name: REDIS_SENTINEL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .secret }}, key: sentinel-password, optional: true}}
{{- end }}

{{/*
Redis: dict "root" $ "component" COMPONENT "namespace" NAMESPACE, and "secret"
for a secret with a password that it asks for.
*/}}
{{- define "clover.redis" -}}
{{- $ := .root }}
{{- $values := $.Values.datastore }}
{{- $id := dict "root" $ "name" "redis" "component" .component }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: redis
  namespace: {{ .namespace }}
  labels: {{- include "clover.labels" $id | nindent 4 }}
spec:
  replicas: 1
  revisionHistoryLimit: 3
  strategy: {type: Recreate}
  selector:
    matchLabels: {{- include "clover.selector" $id | nindent 6 }}
  template:
    metadata:
      labels: {{- include "clover.labels" $id | nindent 8 }}
    spec:
      serviceAccountName: redis
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 30
      {{- include "clover.podSecurity" $ | nindent 6 }}
      containers:
        - name: redis
          image: {{ $values.image.name | default (include "clover.image" (dict "root" $ "name" "clover-redis")) }}
          imagePullPolicy: {{ $.Values.image.pullPolicy }}
          command: [redis-server]
          args:
            - --port
            - "6379"
            - --protected-mode
            - "no"
            - --dir
            - /data
            - --maxmemory
            # The other half is for the copy that is being saved.
            - {{ div (include "clover.mebibytes" $values.resources.limits.memory | int64) 2 }}mb
            {{- with get . "secret" }}
            - --requirepass
            - $(REDISCLI_AUTH)
          env:
            - name: REDISCLI_AUTH # for redis-cli in the pod, too
              valueFrom: {secretKeyRef: {name: {{ . }}, key: password}}
            {{- end }}
          ports:
            - {name: redis, containerPort: 6379}
          startupProbe:
            tcpSocket: {port: redis}
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            tcpSocket: {port: redis}
            periodSeconds: 10
            timeoutSeconds: 5
          readinessProbe:
            tcpSocket: {port: redis}
            periodSeconds: 5
            timeoutSeconds: 5
          resources: {{- toYaml $values.resources | nindent 12 }}
          {{- include "clover.containerSecurity" $ | nindent 10 }}
          volumeMounts:
            - {name: data, mountPath: /data}
      volumes:
        - name: data
          emptyDir: {sizeLimit: 1Gi}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: redis
  namespace: {{ .namespace }}
  labels: {{- include "clover.labels" $id | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: redis
  namespace: {{ .namespace }}
  labels: {{- include "clover.labels" $id | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "clover.selector" $id | nindent 6 }}
---
apiVersion: v1
kind: Service
metadata:
  name: redis
  namespace: {{ .namespace }}
  labels: {{- include "clover.labels" $id | nindent 4 }}
spec:
  type: ClusterIP
  selector: {{- include "clover.selector" $id | nindent 4 }}
  ports:
    - {name: redis, port: 6379, targetPort: redis}
{{- end }}
