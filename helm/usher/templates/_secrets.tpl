{{- /* Which Secret holds what, and the plan of those that are made once. */ -}}

{{- /* A reference, or what stands in its place: (dict "root" $ "ref" {secret, key} "own" "keys") */ -}}
{{- define "usher.ref" -}}
secret: {{ .ref.secret | default (printf "%s-%s" (include "usher.fullname" .root) .own) }}
key: {{ .ref.key }}
{{- end -}}

{{- /* Whether the Job makes what this reference stands for. (dict "root" $ "ref" …) */ -}}
{{- define "usher.made" -}}
{{- if and .root.Values.secrets.make (not .ref.secret) }}true{{ end -}}
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

{{- /* What is to be made: {secrets: {name: {key: {kind: …}}}}. Only what nobody named another Secret for. */ -}}
{{- define "usher.toBeMade" -}}
{{- $root := . -}}
{{- $full := include "usher.fullname" . -}}
{{- $secrets := dict -}}
{{- $keys := dict -}}
{{- range $name, $kind := dict "adminToken" "token" "codeKeys" "code-keys" "addressKeys" "address-keys" "fingerprintKey" "key" -}}
{{- $ref := index $root.Values.secrets $name -}}
{{- if include "usher.made" (dict "root" $root "ref" $ref) -}}
{{- $_ := set $keys $ref.key (dict "kind" $kind) -}}
{{- end -}}
{{- end -}}
{{- if $keys -}}{{- $_ := set $secrets (printf "%s-keys" $full) $keys -}}{{- end -}}
{{- $passwords := dict -}}
{{- $passwordsIn := $root.Values.database.bundled.passwords.secret | default (printf "%s-postgres" $full) -}}
{{- $publics := dict -}}
{{- range $name, $facts := include "usher.services" $root | fromYaml -}}
{{- $values := include "usher.values" (dict "root" $root "name" $name) | fromYaml -}}
{{- $own := dict -}}
{{- if include "usher.made" (dict "root" $root "ref" $values.database) -}}
{{- if eq $root.Values.database.mode "bundled" -}}
{{- if not $root.Values.database.bundled.passwords.secret -}}{{- $_ := set $passwords $name (dict "kind" "password") -}}{{- end -}}
{{- $_ := set $own $values.database.key (dict "kind" "url" "text" (printf "postgres://%s:${%s/%s}@%s-postgres:5432/%s" $name $passwordsIn $name $full $name)) -}}
{{- else if eq $root.Values.database.mode "cloudnativepg" -}}
{{- /* The operator reads user and password of a role from a Secret of the role's own. */ -}}
{{- $role := printf "%s-postgres-%s" $full $name -}}
{{- $_ := set $secrets $role (dict "username" (dict "kind" "text" "text" $name) "password" (dict "kind" "password")) -}}
{{- $_ := set $own $values.database.key (dict "kind" "url" "text" (printf "postgres://%s:${%s/password}@%s-postgres-rw:5432/%s?sslmode=require" $name $role $full $name)) -}}
{{- end -}}
{{- end -}}
{{- if and $facts.broker $root.Values.nats.login -}}
{{- if include "usher.made" (dict "root" $root "ref" $values.broker) -}}
{{- $_ := set $own $values.broker.key (dict "kind" "nkey") -}}
{{- $_ := set $publics $name (dict "kind" "nkey-public" "of" (printf "%s-%s/%s" $full $name $values.broker.key)) -}}
{{- end -}}
{{- end -}}
{{- if and $facts.mails $root.Values.mailbox.enabled (not $root.Values.mail.url) -}}
{{- if include "usher.made" (dict "root" $root "ref" $root.Values.mail) -}}
{{- $_ := set $secrets (printf "%s-mailbox" $full) (dict "password" (dict "kind" "password") "login" (dict "kind" "text" "text" (printf "usher:${%s-mailbox/password}" $full))) -}}
{{- $_ := set $own $root.Values.mail.key (dict "kind" "url" "text" (printf "smtp://usher:${%s-mailbox/password}@%s-mailbox:1025?tls=off" $full $full)) -}}
{{- end -}}
{{- end -}}
{{- if $own -}}{{- $_ := set $secrets (printf "%s-%s" $full $name) $own -}}{{- end -}}
{{- end -}}
{{- if $passwords -}}{{- $_ := set $secrets (printf "%s-postgres" $full) $passwords -}}{{- end -}}
{{- if and $root.Values.nats.login (include "usher.made" (dict "root" $root "ref" $root.Values.nats.operator)) -}}
{{- $_ := set $secrets (printf "%s-operator" $full) (dict $root.Values.nats.operator.key (dict "kind" "nkey")) -}}
{{- $_ := set $publics "operator" (dict "kind" "nkey-public" "of" (printf "%s-operator/%s" $full $root.Values.nats.operator.key)) -}}
{{- end -}}
{{- if and $publics (not $root.Values.nats.users.secret) -}}{{- $_ := set $secrets (printf "%s-nats" $full) $publics -}}{{- end -}}
{{- if and (eq $root.Values.nats.mode "bundled") (not $root.Values.nats.routes.secret) -}}
{{- /* Always, so that another number of replicas finds it there. */ -}}
{{- $routes := list -}}
{{- range $i := until 3 -}}
{{- $routes = append $routes (printf "nats://route:${%s-nats-routes/password}@%s-nats-%d.%s-nats-headless:6222" $full $full $i $full) -}}
{{- end -}}
{{- $text := printf "authorization { user: route, password: \"${%s-nats-routes/password}\" }\nroutes: [%s]\n" $full (join ", " $routes) -}}
{{- $_ := set $secrets (printf "%s-nats-routes" $full) (dict "password" (dict "kind" "password") "routes.conf" (dict "kind" "text" "text" $text)) -}}
{{- end -}}
{{- if not $root.Values.secrets.make -}}{{- $secrets = dict -}}{{- end -}}
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
