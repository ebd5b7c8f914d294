{{- /* A service of ours, whole: (dict "root" $ "name" "accounts" "facts" … "values" …) */ -}}
{{- define "usher.workload" -}}
{{- $root := .root -}}
{{- $full := printf "%s-%s" (include "usher.fullname" $root) .name -}}
{{- $about := dict "root" $root "component" .name "name" $full -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "usher.metadata" $about | nindent 2 }}
  {{- with .values.serviceAccountAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
---
apiVersion: v1
kind: Service
metadata:
  {{- include "usher.metadata" $about | nindent 2 }}
  {{- with $root.Values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: ClusterIP
  {{- with $root.Values.service.trafficDistribution }}
  trafficDistribution: {{ . }}
  {{- end }}
  ports:
    - name: grpc
      port: {{ .facts.grpc }}
      targetPort: grpc
      appProtocol: {{ $root.Values.service.appProtocol }}
    - name: admin
      port: {{ .facts.admin }}
      targetPort: admin
      appProtocol: http
  selector:
    {{- include "usher.selector" $about | nindent 4 }}
---
# Its name resolves to the pods themselves, for clients that balance.
apiVersion: v1
kind: Service
metadata:
  {{- include "usher.metadata" (mustMerge (dict "name" (printf "%s-headless" $full)) $about) | nindent 2 }}
spec:
  type: ClusterIP
  clusterIP: None
  publishNotReadyAddresses: false
  ports:
    - name: grpc
      port: {{ .facts.grpc }}
      targetPort: grpc
      appProtocol: {{ $root.Values.service.appProtocol }}
  selector:
    {{- include "usher.selector" $about | nindent 4 }}
---
{{- $isSqlite := eq $root.Values.database.mode "sqlite" }}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "usher.metadata" $about | nindent 2 }}
spec:
  {{- if not (include "usher.autoscaled" .values) }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  minReadySeconds: {{ .values.minReadySeconds }}
  progressDeadlineSeconds: 900
  strategy:
    {{- if $isSqlite }}
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: {{ .values.maxSurge }}
    {{- end }}
  selector:
    matchLabels:
      {{- include "usher.selector" $about | nindent 6 }}
  template:
    {{- include "usher.servicePod" (mustMerge (dict "about" $about) .) | nindent 4 }}
{{- if $isSqlite }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "usher.metadata" (mustMerge (dict "name" (printf "%s-data" $full)) $about) | nindent 2 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  {{- include "usher.claim" $root.Values.database.sqlite | nindent 2 }}
{{- end }}
{{- if gt (int (include "usher.fewest" .values)) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "usher.metadata" $about | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "usher.selector" $about | nindent 6 }}
{{- end }}
{{- include "usher.autoscaler" (mustMerge (dict "about" $about) .) }}
{{- end -}}

{{- define "usher.servicePod" -}}
{{- $root := .root -}}
{{- $isSqlite := eq $root.Values.database.mode "sqlite" -}}
metadata:
  labels:
    {{- include "usher.selector" .about | nindent 4 }}
    {{- with mustMergeOverwrite (dict) $root.Values.commonLabels .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- mustMerge (dict) .values.podAnnotations (dict "kubectl.kubernetes.io/default-container" .name) | toYaml | nindent 4 }}
spec:
  serviceAccountName: {{ .about.name }}
  {{- include "usher.podSecurity" (dict "root" $root "user" (include "usher.ownUser" $root)) | nindent 2 }}
  terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
  {{- with include "usher.placement" (dict "root" $root "component" .name "place" .values "revisions" true) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if and (not $isSqlite) (ne $root.Values.migrations.mode "external") }}
  initContainers:
    - name: {{ ternary "migrate" "migrated" (eq $root.Values.migrations.mode "initContainer") }}
      {{- include "usher.ownImage" $root | nindent 6 }}
      {{- if eq $root.Values.migrations.mode "initContainer" }}
      args: [migrate, --service, {{ .name }}, --wait, {{ $root.Values.migrations.wait }}]
      {{- else }}
      args: [migrate, status, --service, {{ .name }}, --wait, {{ $root.Values.migrations.wait }}]
      {{- end }}
      env:
        - name: USHER_DATABASE_URL_FILE
          value: /etc/usher/database-url
      {{- include "usher.containerSecurity" . | nindent 6 }}
      resources:
        {{- toYaml $root.Values.migrations.resources | nindent 8 }}
      volumeMounts:
        - name: secrets
          mountPath: /etc/usher
          readOnly: true
  {{- end }}
  containers:
    - name: {{ .name }}
      {{- include "usher.ownImage" $root | nindent 6 }}
      args: [{{ .name }}]
      env:
        {{- $env := include "usher.serviceEnv" . | fromYaml }}
        {{- $extra := tpl (toYaml .values.extraEnv) $root | fromYamlArray }}
        {{- include "usher.env" (dict "env" $env "extra" $extra) | nindent 8 }}
      {{- with .values.extraEnvFrom }}
      envFrom:
        {{- tpl (toYaml .) $root | nindent 8 }}
      {{- end }}
      ports:
        - name: grpc
          containerPort: {{ .facts.grpc }}
        - name: admin
          containerPort: {{ .facts.admin }}
      {{- /* Started: it listens. Alive: its loop turns; depends on nothing. Ready: its own database takes writes. */}}
      startupProbe:
        httpGet: {path: /startupz, port: admin}
        {{- toYaml .values.probes.startup | nindent 8 }}
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        {{- toYaml .values.probes.liveness | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        {{- toYaml .values.probes.readiness | nindent 8 }}
      lifecycle:
        preStop:
          # Until nobody is sent here any more; only then it is told to stop.
          sleep:
            seconds: {{ .values.preStopSeconds }}
      {{- include "usher.containerSecurity" . | nindent 6 }}
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      volumeMounts:
        - name: secrets
          mountPath: /etc/usher
          readOnly: true
        {{- if $isSqlite }}
        - name: data
          mountPath: /data
        {{- end }}
        {{- with .values.extraVolumeMounts }}
        {{- tpl (toYaml .) $root | nindent 8 }}
        {{- end }}
  volumes:
    - name: secrets
      {{- include "usher.secretFiles" (include "usher.serviceFiles" . | fromYaml).files | nindent 6 }}
    {{- if $isSqlite }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ .about.name }}-data
    {{- end }}
    {{- with .values.extraVolumes }}
    {{- tpl (toYaml .) $root | nindent 4 }}
    {{- end }}
{{- end -}}

{{- /* A volume of its own: (dict "size" "1Gi" "storageClass" "") */ -}}
{{- define "usher.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end -}}
