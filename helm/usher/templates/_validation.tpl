{{- /* What no schema can see: settings that are right alone and wrong together. All of it is told at once.
→ [messages] */ -}}
{{- define "usher.problems" -}}
{{- range $name, $facts := include "usher.services" . | fromYaml }}
{{- $values := include "usher.values" (dict "root" $ "name" $name) | fromYaml }}
{{- $about := dict "v" $.Values "at" (printf "services.%s" $name) "facts" $facts "values" $values }}
{{- include "usher.problemsOfScaling" $about }}
{{- include "usher.problemsOfService" $about }}
{{- end }}
{{- include "usher.problemsOfNats" .Values }}
{{- include "usher.problemsOfMail" .Values }}
{{- include "usher.problemsOfTheRest" . }}
{{- end -}}

{{- define "usher.problemsOfScaling" }}
{{- $hpa := .values.autoscaling.hpa }}
{{- $keda := .values.autoscaling.keda }}
{{- if and $hpa.enabled $keda.enabled }}
- >-
  {{ .at }}.autoscaling: hpa and keda are both enabled, and each would undo what the other does. Enable one of them.
{{- end }}
{{- range $kind, $scaler := .values.autoscaling }}
{{- if and $scaler.enabled (gt (int $scaler.minReplicas) (int $scaler.maxReplicas)) }}
- >-
  {{ $.at }}.autoscaling.{{ $kind }}: minReplicas ({{ $scaler.minReplicas }}) is more than maxReplicas
  ({{ $scaler.maxReplicas }}).
{{- end }}
{{- end }}
{{- if and $hpa.enabled (not (dig "requests" "cpu" "" .values.resources)) }}
- >-
  {{ .at }}.resources.requests.cpu is missing, and hpa measures against it.
{{- end }}
{{- if $keda.enabled }}
{{- if and .facts.due (not $keda.prometheus) }}
- >-
  {{ .at }}.autoscaling.keda.prometheus: it scales on a metric; say where Prometheus is, such as
  http://prometheus.monitoring:9090.
{{- end }}
{{- if and .facts.lag (not $keda.natsMonitoring) (eq .v.nats.mode "external") }}
- >-
  {{ .at }}.autoscaling.keda.natsMonitoring: it scales on what its durable has not read; say where NATS's monitoring is, by
  the headless service, such as nats-headless.nats.svc.cluster.local:8222.
{{- end }}
{{- if not (or .facts.due .facts.lag $keda.triggers) }}
- >-
  {{ .at }}.autoscaling.keda.triggers: nothing is there to scale on. Name a trigger, or enable hpa instead.
{{- end }}
{{- end }}
{{- end -}}

{{- define "usher.problemsOfService" }}
{{- $needed := add (int .values.preStopSeconds) 10 }}
{{- if lt (int .values.terminationGracePeriodSeconds) (int $needed) }}
- >-
  {{ .at }}.terminationGracePeriodSeconds is {{ .values.terminationGracePeriodSeconds }}, but a stop takes up to {{ $needed }} s:
  preStopSeconds and 10 s to drain. Mails under way would be cut off.
{{- end }}
{{- $mode := .v.database.mode }}
{{- $autoscaled := include "usher.autoscaled" .values }}
{{- if and (eq $mode "sqlite") (or $autoscaled (ne (int .values.replicas) 1)) }}
- >-
  {{ .at }}: with database.mode sqlite there is one replica, because a file has one owner. Set replicas to 1 and leave
  autoscaling off, or use Postgres.
{{- end }}
{{- if and (eq $mode "cloudnativepg") (or .values.database.secret (not .v.secrets.make)) }}
- >-
  {{ .at }}.database: with database.mode cloudnativepg the Job makes the roles' passwords and the URL. Leave database.secret
  empty and secrets.make on; or make the Cluster yourself and take database.mode external.
{{- end }}
{{- if and (eq $mode "external") (not .values.database.secret) }}
- >-
  {{ .at }}.database.secret is missing: name the Secret whose key {{ .values.database.key }} holds
  postgres://USER:PASSWORD@HOST/DATABASE.
{{- end }}
{{- if and (eq $mode "bundled") (not (or .values.database.secret .v.secrets.make)) }}
- >-
  {{ .at }}.database.secret is missing, and secrets.make is off, so nobody makes it.
{{- end }}
{{- if and .facts.broker .v.nats.login (not (or .values.broker.secret .v.secrets.make)) }}
- >-
  {{ .at }}.broker.secret is missing, and secrets.make is off: name the Secret whose key {{ .values.broker.key }} holds a
  .creds file or an nkey's seed.
{{- end }}
{{- $seen := dict }}
{{- range $entry := .values.extraEnv }}
{{- if has $entry.name (list "USHER_LISTEN" "USHER_ADMIN_LISTEN") }}
- >-
  {{ $.at }}.extraEnv: {{ $entry.name }} is the chart's: Services and probes go by it.
{{- end }}
{{- if hasKey $seen $entry.name }}
- >-
  {{ $.at }}.extraEnv names {{ $entry.name }} twice.
{{- end }}
{{- $_ := set $seen $entry.name true }}
{{- end }}
{{- end -}}

{{- define "usher.problemsOfNats" }}
{{- $bundled := eq .nats.mode "bundled" }}
{{- if and (not $bundled) (not .nats.url) }}
- >-
  nats.url is missing: with nats.mode external, say where NATS is, such as nats://nats.nats:4222.
{{- end }}
{{- if and $bundled .nats.url }}
- >-
  nats.url is set, but nats.mode is bundled: one of them is not meant.
{{- end }}
{{- if regexMatch "^[a-z]+://[^/]*@" .nats.url }}
- >-
  nats.url holds a login, which everybody who may read the release would see. Put it into the Secrets of services.*.broker.
{{- end }}
{{- if and .nats.login (not (or .nats.operator.secret .secrets.make)) }}
- >-
  nats.operator.secret is missing, and secrets.make is off: the Job that makes the streams needs a login.
{{- end }}
{{- if $bundled }}
{{- if and .nats.login (not (or .nats.users.secret .secrets.make)) }}
- >-
  nats.users.secret is missing, and secrets.make is off: name the Secret that holds the public nkeys of accounts,
  verification and operator.
{{- end }}
{{- if and (gt (int .nats.replicas) 1) (not (or .nats.routes.secret .secrets.make)) }}
- >-
  nats.routes.secret is missing, and secrets.make is off: name the Secret whose key routes.conf tells the servers of each
  other.
{{- end }}
{{- if eq (int .nats.replicas) 2 }}
- >-
  nats.replicas is 2: two servers stop when either is away. Take 1 or 3.
{{- end }}
{{- if gt (int (.nats.streamReplicas | default 1)) (int .nats.replicas) }}
- >-
  nats.streamReplicas is {{ .nats.streamReplicas }}, but there are {{ .nats.replicas }} servers.
{{- end }}
{{- end }}
{{- end -}}

{{- define "usher.problemsOfMail" }}
{{- if not (or .mailbox.enabled .mail.url .mail.secret) }}
- >-
  mail: where do mails go? Name a Secret in mail.secret whose key {{ .mail.key }} holds smtps://USER:PASSWORD@HOST, or give
  mail.url where no password is needed.
{{- end }}
{{- if and .mail.url .mail.secret }}
- >-
  mail.url and mail.secret are both set. Keep one of them.
{{- end }}
{{- if and .mailbox.enabled (not (or .mail.url .mail.secret .secrets.make)) }}
- >-
  mail.secret is missing, and secrets.make is off: give mail.url (smtp://RELEASE-mailbox:1025?tls=off), or name the Secret
  of the mailbox's login.
{{- end }}
{{- if regexMatch "^[a-z]+://[^/@]*:[^/@]*@" .mail.url }}
- >-
  mail.url holds a password, which everybody who may read the release would see. Put the URL into a Secret and name it in
  mail.secret.
{{- end }}
{{- end -}}

{{- define "usher.problemsOfTheRest" }}
{{- $v := .Values }}
{{- range $name := list "adminToken" "codeKeys" "addressKeys" "fingerprintKey" }}
{{- if not (or (index $v.secrets $name).secret $v.secrets.make) }}
- >-
  secrets.{{ $name }}.secret is missing, and secrets.make is off, so nobody makes it.
{{- end }}
{{- end }}
{{- $outside := dict "dns" true "mail" (not $v.mailbox.enabled) "traces" (ne $v.telemetry.endpoint "")
  "database" (eq $v.database.mode "external") "broker" (eq $v.nats.mode "external") }}
{{- range $party, $isCalled := $outside }}
{{- if and $v.networkPolicy.enabled $isCalled (not (index $v.networkPolicy.parties $party).ports) }}
- >-
  networkPolicy.parties.{{ $party }}.ports is empty: nothing could reach it.
{{- end }}
{{- end }}
{{- if and (ne $v.grpcRoute.render "never") (not $v.grpcRoute.parentRefs) }}
- >-
  grpcRoute.parentRefs is empty: name the Gateway that the route belongs to.
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
- >-
  ingress.hosts is empty: name the host that callers use.
{{- end }}
{{- $isKnown := include "usher.rendered" (dict "root" . "render" $v.database.cloudnativepg.render "api" "postgresql.cnpg.io/v1") }}
{{- if and (eq $v.database.mode "cloudnativepg") (not $isKnown) }}
- >-
  database.mode is cloudnativepg, but this cluster does not know postgresql.cnpg.io/v1. Install the operator first; without
  a cluster at hand set database.cloudnativepg.render to always.
{{- end }}
{{- end -}}
