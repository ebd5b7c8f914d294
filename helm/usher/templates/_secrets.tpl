{{- /* Which Secret holds what, and the plan of those that are made once. */ -}}

{{- /* A reference, or what stands in its place: (dict "root" $ "ref" {secret, key} "own" "keys") */ -}}
{{- define "usher.ref" -}}
secret: {{ .ref.secret | default (printf "%s-%s" (include "usher.fullname" .root) .own) }}
key: {{ .ref.key }}
{{- end -}}

{{- /* The files of a service: (dict "root" "name" "facts" "values") → {files: [{secret, key, path}]} */ -}}
{{- define "usher.serviceFiles" -}}
{{- $root := .root -}}
{{- $files := list -}}
{{- $wanted := list (dict "ref" $root.Values.secrets.adminToken "own" "keys" "path" "admin-token") -}}
{{- range $secret := .facts.files -}}
{{- $wanted = append $wanted (dict "ref" (index $root.Values.secrets $secret) "own" "keys" "path" (kebabcase $secret)) -}}
{{- end -}}
{{- if ne $root.Values.database.mode "sqlite" -}}
{{- $wanted = append $wanted (dict "ref" .values.database "own" .name "path" "database-url") -}}
{{- end -}}
{{- if and .facts.broker $root.Values.nats.login -}}
{{- $wanted = append $wanted (dict "ref" .values.broker "own" .name "path" "nats-seed") -}}
{{- end -}}
{{- if and .facts.mails (not $root.Values.mail.url) -}}
{{- $wanted = append $wanted (dict "ref" $root.Values.mail "own" .name "path" "mail-url") -}}
{{- end -}}
{{- range $wanted -}}
{{- $ref := include "usher.ref" (dict "root" $root "ref" .ref "own" .own) | fromYaml -}}
{{- $files = append $files (dict "secret" $ref.secret "key" $ref.key "path" .path) -}}
{{- end -}}
{{- dict "files" $files | toYaml -}}
{{- end -}}

{{- /* How a plan names the value of a key: (list "secret" "key") */ -}}
{{- define "usher.valueOf" -}}
${{ "{" }}{{ index . 0 }}/{{ index . 1 }}{{ "}" }}
{{- end -}}

{{- /* What is to be made: a map of Secrets, of keys, of kinds. Only what nobody named another Secret for. */ -}}
{{- define "usher.wanted" -}}
{{- $v := .Values -}}
{{- $full := include "usher.fullname" . -}}
{{- $services := include "usher.services" . | fromYaml -}}
{{- $bundled := eq $v.database.mode "bundled" -}}
{{- $cloudnativepg := eq $v.database.mode "cloudnativepg" -}}
{{ $full }}-keys:
{{- range $name, $kind := dict "adminToken" "token" "codeKeys" "code-keys" "addressKeys" "address-keys" "fingerprintKey" "key" }}
  {{- $ref := index $v.secrets $name }}
  {{- if not $ref.secret }}
  {{ $ref.key }}: {kind: {{ $kind }}}
  {{- end }}
{{- end }}

{{- range $name, $facts := $services }}
{{- $values := include "usher.values" (dict "root" $ "name" $name) | fromYaml }}
{{ $full }}-{{ $name }}:
  {{- if and $bundled (not $values.database.secret) }}
  {{- $password := include "usher.valueOf" (list ($v.database.bundled.passwords.secret | default (printf "%s-postgres" $full)) $name) }}
  {{ $values.database.key }}:
    kind: url
    text: postgres://{{ $name }}:{{ $password }}@{{ $full }}-postgres:5432/{{ $name }}
  {{- end }}
  {{- if $cloudnativepg }}
  {{- $password := include "usher.valueOf" (list (printf "%s-postgres-%s" $full $name) "password") }}
  {{ $values.database.key }}:
    kind: url
    text: postgres://{{ $name }}:{{ $password }}@{{ $full }}-postgres-rw:5432/{{ $name }}?sslmode=require
  {{- end }}
  {{- if and $facts.broker $v.nats.login (not $values.broker.secret) }}
  {{ $values.broker.key }}: {kind: nkey}
  {{- end }}
  {{- if and $facts.mails (include "usher.mailboxLogin" $) }}
  {{- $password := include "usher.valueOf" (list (printf "%s-mailbox" $full) "password") }}
  {{ $v.mail.key }}:
    kind: url
    text: smtp://usher:{{ $password }}@{{ $full }}-mailbox:1025?tls=off
  {{- end }}
{{- if $cloudnativepg }}
{{- /* The operator reads user and password of a role from a Secret of the role's own. */}}
{{ $full }}-postgres-{{ $name }}:
  username: {kind: text, text: {{ $name }}}
  password: {kind: password}
{{- end }}
{{- end }}

{{- if and $bundled (not $v.database.bundled.passwords.secret) }}
{{ $full }}-postgres:
  {{- range $name, $facts := $services }}
  {{ $name }}: {kind: password}
  {{- end }}
{{- end }}

{{- if include "usher.mailboxLogin" $ }}
{{ $full }}-mailbox:
  password: {kind: password}
  login:
    kind: text
    text: usher:{{ include "usher.valueOf" (list (printf "%s-mailbox" $full) "password") }}
{{- end }}

{{- if $v.nats.login }}
{{ $full }}-operator:
  {{- if not $v.nats.operator.secret }}
  {{ $v.nats.operator.key }}: {kind: nkey}
  {{- end }}
{{- if not $v.nats.users.secret }}
# What the broker knows them by.
{{ $full }}-nats:
  {{- range $name, $facts := $services }}
  {{- $values := include "usher.values" (dict "root" $ "name" $name) | fromYaml }}
  {{- if and $facts.broker (not $values.broker.secret) }}
  {{ $name }}: {kind: nkey-public, of: {{ $full }}-{{ $name }}/{{ $values.broker.key }}}
  {{- end }}
  {{- end }}
  {{- if not $v.nats.operator.secret }}
  operator: {kind: nkey-public, of: {{ $full }}-operator/{{ $v.nats.operator.key }}}
  {{- end }}
{{- end }}
{{- end }}

{{- if and (eq $v.nats.mode "bundled") (not $v.nats.routes.secret) }}
{{- $password := include "usher.valueOf" (list (printf "%s-nats-routes" $full) "password") }}
{{- $routes := list }}
{{- range until 3 }}
{{- $routes = append $routes (printf "nats://route:%s@%s-nats-%d.%s-nats-headless:6222" $password $full . $full) }}
{{- end }}
{{ $full }}-nats-routes:
  password: {kind: password}
  routes.conf:
    kind: text
    text: |
      authorization { user: route, password: "{{ $password }}" }
      routes: [{{ join ", " $routes }}]
{{- end }}
{{- end -}}

{{- /* Whether the mailbox takes mails by a login that is made for it. */ -}}
{{- define "usher.mailboxLogin" -}}
{{- if and .Values.secrets.make .Values.mailbox.enabled (not .Values.mail.url) (not .Values.mail.secret) }}true{{ end -}}
{{- end -}}

{{- /* The same without Secrets that would be empty. → {secrets: {…}} */ -}}
{{- define "usher.toBeMade" -}}
{{- $secrets := dict -}}
{{- if .Values.secrets.make -}}
{{- range $name, $keys := include "usher.wanted" . | fromYaml -}}
{{- if $keys }}{{ $_ := set $secrets $name $keys }}{{ end -}}
{{- end -}}
{{- end -}}
{{- dict "secrets" $secrets | toYaml -}}
{{- end -}}

{{- /* The same as `usher cluster secrets --plan` reads it. */ -}}
{{- define "usher.plan" -}}
{{- $secrets := list -}}
{{- range $name, $keys := (include "usher.toBeMade" . | fromYaml).secrets -}}
{{- $secrets = append $secrets (dict "name" $name "keys" $keys) -}}
{{- end -}}
{{- $labels := include "usher.labels" (dict "root" . "component" "secrets") | fromYaml -}}
{{- $labels = omit $labels "helm.sh/chart" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" -}}
{{- dict "labels" $labels "secrets" $secrets | toPrettyJson -}}
{{- end -}}

{{- /* Annotations of what the Job that makes secrets needs; the argument is the weight. */ -}}
{{- define "usher.beforeAllElse" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
