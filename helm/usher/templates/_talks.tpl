{{- /* Who talks to whom, on which port: the one place. Network policies are made from it, and what is not here is not
allowed. A name is either a component of the release or a party outside of it (`networkPolicy.parties`).
→ {talks: [{from, to, ports}]} */ -}}
{{- define "usher.talks" -}}
{{- $database := ternary "postgres" "database" (eq .Values.database.mode "bundled") -}}
{{- $broker := ternary "nats" "broker" (eq .Values.nats.mode "bundled") -}}
{{- $mail := ternary "mailbox" "mail" .Values.mailbox.enabled -}}
{{- $hasDatabase := ne .Values.database.mode "sqlite" -}}
{{- $migrates := and $hasDatabase (eq .Values.migrations.mode "job") -}}
{{- $parties := .Values.networkPolicy.parties -}}
{{- $databasePorts := ternary (list 5432) $parties.database.ports (eq .Values.database.mode "bundled") -}}
{{- $brokerPorts := ternary (list 4222) $parties.broker.ports (eq .Values.nats.mode "bundled") -}}
{{- $mailPorts := ternary (list 1025) $parties.mail.ports .Values.mailbox.enabled -}}
{{- $traces := ternary "traces" "jaeger" (ne .Values.telemetry.endpoint "") -}}
{{- $tracesPorts := ternary $parties.traces.ports (list 4317) (ne .Values.telemetry.endpoint "") -}}
{{- $exports := or .Values.telemetry.endpoint .Values.jaeger.enabled -}}
{{- $services := include "usher.services" . | fromYaml -}}
talks:
{{- range $name, $facts := $services }}
  {{- if $hasDatabase }}
  - {from: {{ $name }}, to: {{ $database }}, ports: {{ toJson $databasePorts }}}
  {{- end }}
  {{- if $facts.broker }}
  - {from: {{ $name }}, to: {{ $broker }}, ports: {{ toJson $brokerPorts }}}
  {{- end }}
  {{- range $called := $facts.calls }}
  - {from: {{ $name }}, to: {{ $called }}, ports: [{{ (index $services $called).grpc }}]}
  {{- end }}
  {{- if $facts.mails }}
  - {from: {{ $name }}, to: {{ $mail }}, ports: {{ toJson $mailPorts }}}
  {{- end }}
  {{- if $exports }}
  - {from: {{ $name }}, to: {{ $traces }}, ports: {{ toJson $tracesPorts }}}
  {{- end }}
  {{- if $facts.public }}
  - {from: callers, to: {{ $name }}, ports: [{{ $facts.grpc }}]}
  - {from: smoke, to: {{ $name }}, ports: [{{ $facts.grpc }}]}
  {{- end }}
  - {from: monitoring, to: {{ $name }}, ports: [{{ $facts.admin }}]}
{{- end }}
  - {from: smoke, to: mailbox, ports: [8025]}
  - {from: smoke, to: jaeger, ports: [4317, 16686]}
{{- if $migrates }}
  - {from: migrations, to: {{ $database }}, ports: {{ toJson $databasePorts }}}
{{- end }}
  - {from: migrations, to: {{ $broker }}, ports: {{ toJson $brokerPorts }}}
  - {from: nats, to: nats, ports: [6222]}
  - {from: keda, to: nats, ports: [8222]}
  - {from: monitoring, to: nats, ports: [8222]}
  - {from: secrets, to: kubernetes, ports: {{ toJson $parties.kubernetes.ports }}}
{{- end -}}

{{- /* The pods of this release, by component. → {components: [...]} */ -}}
{{- define "usher.components" -}}
{{- $components := keys (include "usher.services" . | fromYaml) -}}
{{- if eq .Values.database.mode "bundled" }}{{ $components = append $components "postgres" }}{{ end -}}
{{- if eq .Values.nats.mode "bundled" }}{{ $components = append $components "nats" }}{{ end -}}
{{- if .Values.jaeger.enabled }}{{ $components = append $components "jaeger" }}{{ end -}}
{{- if .Values.mailbox.enabled }}{{ $components = append $components "mailbox" }}{{ end -}}
{{- if ne .Values.migrations.mode "external" }}{{ $components = append $components "migrations" }}{{ end -}}
{{- if (include "usher.toBeMade" . | fromYaml).secrets }}{{ $components = append $components "secrets" }}{{ end -}}
{{- $components = append $components "smoke" -}}
{{- dict "components" (sortAlpha $components) | toYaml -}}
{{- end -}}

{{- /* How a policy names a party: (dict "root" "name" "components") → {peers: [...]} */ -}}
{{- define "usher.peers" -}}
{{- if has .name .components -}}
{{- dict "peers" (list (dict "podSelector" (dict "matchLabels" (include "usher.selector" (dict "root" .root "component" .name) | fromYaml)))) | toYaml -}}
{{- else if and (eq .name "database") (eq .root.Values.database.mode "cloudnativepg") -}}
{{- dict "peers" (list (dict "podSelector" (dict "matchLabels" (dict "cnpg.io/cluster" (printf "%s-postgres" (include "usher.fullname" .root)))))) | toYaml -}}
{{- else -}}
{{- dict "peers" (index .root.Values.networkPolicy.parties .name | default dict).peers | toYaml -}}
{{- end -}}
{{- end -}}
