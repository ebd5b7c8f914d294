{{- /* What is true of the programs and no matter of settings, but for whom accounts calls. A further service is a row here, a block in
`values.services`, and a line or two in _talks.tpl. */ -}}
{{- define "usher.services" -}}
accounts:
  grpc: 50051
  admin: 50151
  broker: true
  public: usher.accounts.v1.AccountsService
  {{- if ne (dig "accounts" "dispatcher" "jetstream" .Values.services) "jetstream" }}
  calls: [verification]
  {{- end }}
  files:
    USHER_FINGERPRINT_KEY_FILE: fingerprintKey
verification:
  grpc: 50052
  admin: 50152
  broker: true
  public: usher.verification.v1.VerificationService
  calls: [mailer]
  files:
    USHER_CODE_KEYS_FILE: codeKeys
  # KEDA: what waits is what its durable has not read.
  lag: {stream: ACCOUNTS, consumer: verification}
mailer:
  grpc: 50053
  admin: 50153
  broker: false
  mails: true
  files:
    USHER_ADDRESS_KEY_FILE: addressKeys
  # KEDA: mails that are due, as verification counts them.
  due: max(usher_mails_due{namespace=%q})
{{- end -}}

{{- /* A service's block: what `defaults` says, unless the block says otherwise. (dict "root" $ "name" "accounts") */ -}}
{{- define "usher.values" -}}
{{- $own := index .root.Values.services .name | default dict -}}
{{- mustMergeOverwrite (deepCopy .root.Values.defaults) (deepCopy $own) | toYaml -}}
{{- end -}}

{{- /* Fewest replicas that a service may have. (values) */ -}}
{{- define "usher.fewest" -}}
{{- if .autoscaling.keda.enabled }}{{ .autoscaling.keda.minReplicas }}
{{- else if .autoscaling.hpa.enabled }}{{ .autoscaling.hpa.minReplicas }}
{{- else }}{{ .replicas }}{{ end -}}
{{- end -}}

{{- define "usher.autoscaled" -}}
{{- if or .autoscaling.keda.enabled .autoscaling.hpa.enabled }}true{{ end -}}
{{- end -}}

{{- /* Where clients of a service find it. (dict "root" $ "name" "mailer" "port" 50053) */ -}}
{{- define "usher.url" -}}
{{- if eq .root.Values.grpc.balancing "client" -}}
dns:///{{ include "usher.fullname" .root }}-{{ .name }}-headless:{{ .port }}
{{- else -}}
http://{{ include "usher.fullname" .root }}-{{ .name }}:{{ .port }}
{{- end -}}
{{- end -}}

{{- define "usher.natsUrl" -}}
{{- if eq .Values.nats.mode "bundled" -}}
nats://{{ include "usher.fullname" . }}-nats:4222
{{- else -}}
{{ .Values.nats.url }}
{{- end -}}
{{- end -}}

{{- /* How a process of ours says what it sees, and where it sends that: (dict "root" $ "name" "accounts") */ -}}
{{- define "usher.telemetry" -}}
{{- $root := .root -}}
{{ include "usher.logs" $root }}
{{- if $root.Values.telemetry.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ $root.Values.telemetry.endpoint | quote }}
{{- else if $root.Values.jaeger.enabled }}
# Jaeger takes traces, and neither metrics nor logs.
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: http://{{ include "usher.fullname" $root }}-jaeger:4317
{{- end }}
K8S_NODE_NAME: {fieldRef: {fieldPath: spec.nodeName}}
K8S_POD_NAME: {fieldRef: {fieldPath: metadata.name}}
K8S_POD_UID: {fieldRef: {fieldPath: metadata.uid}}
{{- $attributes := list
  (printf "service.namespace=%s" (include "usher.name" $root))
  (printf "service.instance.id=%s.$(K8S_POD_NAME).%s" $root.Release.Namespace .name)
  (printf "k8s.namespace.name=%s" $root.Release.Namespace)
  "k8s.pod.name=$(K8S_POD_NAME)" "k8s.pod.uid=$(K8S_POD_UID)" "k8s.node.name=$(K8S_NODE_NAME)"
  (printf "k8s.container.name=%s" .name) }}
OTEL_RESOURCE_ATTRIBUTES: {{ join "," $attributes }}
{{- end -}}

{{- /* The environment of a service, as a map without doubles. (dict "root" "name" "facts" "values") */ -}}
{{- define "usher.serviceEnv" -}}
{{- $root := .root -}}
{{- $facts := .facts -}}
{{- $env := include "usher.telemetry" . | fromYaml -}}
{{- $_ := set $env "USHER_LISTEN" (printf "%s:%v" $root.Values.listenAddress $facts.grpc) -}}
{{- $_ := set $env "USHER_ADMIN_LISTEN" (printf "%s:%v" $root.Values.listenAddress $facts.admin) -}}
{{- $_ := set $env "USHER_ADMIN_TOKEN_FILE" "/etc/usher/admin-token" -}}
{{- if eq $root.Values.database.mode "sqlite" -}}
{{- $_ := set $env "USHER_DATABASE_URL" (printf "sqlite:/data/%s/%s.sqlite" .name .name) -}}
{{- else -}}
{{- $_ := set $env "USHER_DATABASE_URL_FILE" "/etc/usher/database-url" -}}
{{- end -}}
{{- if $facts.broker -}}
{{- $_ := set $env "USHER_NATS_URL" (include "usher.natsUrl" $root) -}}
{{- if $root.Values.nats.login -}}
{{- $_ := set $env "USHER_NATS_CREDENTIALS" "/etc/usher/nats-seed" -}}
{{- end -}}
{{- end -}}
{{- range $variable, $secret := $facts.files -}}
{{- $_ := set $env $variable (printf "/etc/usher/%s" (kebabcase $secret)) -}}
{{- end -}}
{{- range $called := $facts.calls -}}
{{- $port := (index (include "usher.services" $root | fromYaml) $called).grpc -}}
{{- $_ := set $env (printf "USHER_%s_URL" (upper $called)) (include "usher.url" (dict "root" $root "name" $called "port" $port)) -}}
{{- end -}}
{{- with .values.dispatcher -}}
{{- $_ := set $env "USHER_DISPATCHER" . -}}
{{- end -}}
{{- if $facts.mails -}}
{{- if $root.Values.mail.url -}}
{{- $_ := set $env "USHER_MAIL_URL" $root.Values.mail.url -}}
{{- else -}}
{{- $_ := set $env "USHER_MAIL_URL_FILE" "/etc/usher/mail-url" -}}
{{- end -}}
{{- $_ := set $env "USHER_MAIL_FROM" $root.Values.mail.from -}}
{{- with $root.Values.mail.publicUrl -}}
{{- $_ := set $env "USHER_PUBLIC_URL" . -}}
{{- end -}}
{{- end -}}
{{- if eq $root.Values.grpc.balancing "server" -}}{{- /* connections that end make their callers spread anew */ -}}
{{- $_ := set $env "USHER_CONNECTION_AGE" $root.Values.grpc.connectionAge -}}
{{- end -}}
{{- range $setting, $value := .values.settings -}}
{{- $_ := set $env (printf "USHER_%s" (upper $setting)) (ternary $value (int64 $value | toString) (kindIs "string" $value)) -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{- define "usher.logs" -}}
USHER_LOG_FORMAT: {{ .Values.telemetry.logFormat }}
{{- with .Values.telemetry.logs }}
RUST_LOG: {{ . | quote }}
{{- end }}
{{- end -}}
