{{- /* Where KEDA asks NATS how much waits: (a service) */ -}}
{{- define "usher.natsMonitoring" -}}
{{- if .values.autoscaling.keda.natsMonitoring -}}
{{ tpl .values.autoscaling.keda.natsMonitoring .root }}
{{- else if eq .root.Values.nats.mode "bundled" -}}
{{ include "usher.fullname" .root }}-nats-headless.{{ .root.Release.Namespace }}.svc:8222
{{- end -}}
{{- end -}}

{{- /* Who decides on the number of replicas, if not the values: (a service, with "about") */ -}}
{{- define "usher.autoscaler" -}}
{{- $hpa := .values.autoscaling.hpa -}}
{{- $keda := .values.autoscaling.keda -}}
{{- if $hpa.enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "usher.metadata" .about | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ .about.name }}
  minReplicas: {{ $hpa.minReplicas }}
  maxReplicas: {{ $hpa.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $hpa.cpu }}
  {{- with $hpa.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- if $keda.enabled }}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "usher.metadata" .about | nindent 2 }}
spec:
  scaleTargetRef:
    name: {{ .about.name }}
  minReplicaCount: {{ $keda.minReplicas }}
  maxReplicaCount: {{ $keda.maxReplicas }}
  pollingInterval: {{ $keda.pollingInterval }}
  cooldownPeriod: {{ $keda.cooldownPeriod }}
  # What cannot be measured is no reason to have few.
  fallback:
    failureThreshold: 3
    replicas: {{ $keda.fallbackReplicas }}
  triggers:
    {{- with .facts.lag }}
    - type: nats-jetstream
      metadata:
        # Each server by its own name: only the leader of a durable counts right.
        natsServerMonitoringEndpoint: {{ include "usher.natsMonitoring" $ | quote }}
        account: {{ $keda.natsAccount | quote }}
        stream: {{ .stream }}
        consumer: {{ .consumer }}
        lagThreshold: {{ $keda.threshold | quote }}
    {{- end }}
    {{- with .facts.due }}
    - type: prometheus
      metadata:
        serverAddress: {{ $keda.prometheus | quote }}
        # Each replica counts the same table.
        query: {{ printf . $.root.Release.Namespace | quote }}
        threshold: {{ $keda.threshold | quote }}
    {{- end }}
    {{- with $keda.triggers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}
