{{- /* What no schema can see: settings that are right alone and wrong together. All of it is told at once.
→ {problems: [...]} */ -}}
{{- define "usher.problems" -}}
{{- $root := . -}}
{{- $v := .Values -}}
{{- $problems := list -}}
{{- $services := include "usher.services" . | fromYaml -}}
{{- range $name, $facts := $services -}}
{{- $values := include "usher.values" (dict "root" $root "name" $name) | fromYaml -}}
{{- $auto := $values.autoscaling -}}
{{- $at := printf "services.%s" $name -}}
{{- if and $auto.hpa.enabled $auto.keda.enabled -}}
{{- $problems = append $problems (printf "%s.autoscaling: hpa and keda are both enabled, and each would undo what the other does. Enable one of them." $at) -}}
{{- end -}}
{{- range $kind := list "hpa" "keda" -}}
{{- $scaler := index $auto $kind -}}
{{- if and $scaler.enabled (gt (int $scaler.minReplicas) (int $scaler.maxReplicas)) -}}
{{- $problems = append $problems (printf "%s.autoscaling.%s: minReplicas (%v) is more than maxReplicas (%v)." $at $kind $scaler.minReplicas $scaler.maxReplicas) -}}
{{- end -}}
{{- end -}}
{{- if and $auto.keda.enabled $facts.due (not $auto.keda.prometheus) -}}
{{- $problems = append $problems (printf "%s.autoscaling.keda.prometheus: it scales on a metric; say where Prometheus is, such as http://prometheus.monitoring:9090." $at) -}}
{{- end -}}
{{- if and $auto.keda.enabled $facts.lag (not $auto.keda.natsMonitoring) (eq $v.nats.mode "external") -}}
{{- $problems = append $problems (printf "%s.autoscaling.keda.natsMonitoring: it scales on what its durable has not read; say where NATS's monitoring is, by the headless service, such as nats-headless.nats.svc.cluster.local:8222." $at) -}}
{{- end -}}
{{- if and $auto.keda.enabled (not $facts.due) (not $facts.lag) (not $auto.keda.triggers) -}}
{{- $problems = append $problems (printf "%s.autoscaling.keda.triggers: nothing is there to scale on. Name a trigger, or enable hpa instead." $at) -}}
{{- end -}}
{{- if and $auto.hpa.enabled (not (dig "requests" "cpu" "" $values.resources)) -}}
{{- $problems = append $problems (printf "%s.resources.requests.cpu is missing, and hpa measures against it." $at) -}}
{{- end -}}
{{- $needed := add (int $values.preStopSeconds) 10 -}}
{{- if lt (int $values.terminationGracePeriodSeconds) (int $needed) -}}
{{- $problems = append $problems (printf "%s.terminationGracePeriodSeconds is %v, but a stop takes up to %v s: preStopSeconds and 10 s to drain. Mails under way would be cut off." $at $values.terminationGracePeriodSeconds $needed) -}}
{{- end -}}
{{- if and (eq $v.database.mode "cloudnativepg") (or $values.database.secret (not $v.secrets.make)) -}}
{{- $problems = append $problems (printf "%s.database: with database.mode cloudnativepg the Job makes the roles' passwords and the URL. Leave database.secret empty and secrets.make on; or make the Cluster yourself and take database.mode external." $at) -}}
{{- else if eq $v.database.mode "sqlite" -}}
{{- if or $auto.hpa.enabled $auto.keda.enabled (ne (int $values.replicas) 1) -}}
{{- $problems = append $problems (printf "%s: with database.mode sqlite there is one replica, because a file has one owner. Set replicas to 1 and leave autoscaling off, or use Postgres." $at) -}}
{{- end -}}
{{- else if not $values.database.secret -}}
{{- if eq $v.database.mode "external" -}}
{{- $problems = append $problems (printf "%s.database.secret is missing: name the Secret whose key %s holds postgres://USER:PASSWORD@HOST/DATABASE." $at $values.database.key) -}}
{{- else if not $v.secrets.make -}}
{{- $problems = append $problems (printf "%s.database.secret is missing, and secrets.make is off, so nobody makes it." $at) -}}
{{- end -}}
{{- end -}}
{{- if and $facts.broker $v.nats.login (not $values.broker.secret) (not $v.secrets.make) -}}
{{- $problems = append $problems (printf "%s.broker.secret is missing, and secrets.make is off: name the Secret whose key %s holds a .creds file or an nkey's seed." $at $values.broker.key) -}}
{{- end -}}
{{- range $entry := $values.extraEnv -}}
{{- if has $entry.name (list "USHER_LISTEN" "USHER_ADMIN_LISTEN") -}}
{{- $problems = append $problems (printf "%s.extraEnv: %s is the chart's: Services and probes go by it." $at $entry.name) -}}
{{- end -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $entry := $values.extraEnv -}}
{{- if hasKey $seen $entry.name -}}
{{- $problems = append $problems (printf "%s.extraEnv names %s twice." $at $entry.name) -}}
{{- end -}}
{{- $_ := set $seen $entry.name true -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.nats.mode "external") (not $v.nats.url) -}}
{{- $problems = append $problems "nats.url is missing: with nats.mode external, say where NATS is, such as nats://nats.nats:4222." -}}
{{- end -}}
{{- if and (eq $v.nats.mode "bundled") $v.nats.url -}}
{{- $problems = append $problems "nats.url is set, but nats.mode is bundled: one of them is not meant." -}}
{{- end -}}
{{- if and (eq $v.nats.mode "bundled") (not $v.secrets.make) $v.nats.login (not $v.nats.users.secret) -}}
{{- $problems = append $problems "nats.users.secret is missing, and secrets.make is off: name the Secret that holds the public nkeys of accounts, verification and operator." -}}
{{- end -}}
{{- if and (eq $v.nats.mode "bundled") (not $v.secrets.make) (gt (int $v.nats.replicas) 1) (not $v.nats.routes.secret) -}}
{{- $problems = append $problems "nats.routes.secret is missing, and secrets.make is off: name the Secret whose key routes.conf tells the servers of each other." -}}
{{- end -}}
{{- if and (eq $v.nats.mode "bundled") (has (int $v.nats.replicas) (list 2)) -}}
{{- $problems = append $problems "nats.replicas is 2: two servers stop when either is away. Take 1 or 3." -}}
{{- end -}}
{{- if and (eq $v.nats.mode "bundled") (gt (int ($v.nats.streamReplicas | default 1)) (int $v.nats.replicas)) -}}
{{- $problems = append $problems (printf "nats.streamReplicas is %v, but there are %v servers." $v.nats.streamReplicas $v.nats.replicas) -}}
{{- end -}}
{{- if and $v.nats.login (not $v.nats.operator.secret) (not $v.secrets.make) -}}
{{- $problems = append $problems "nats.operator.secret is missing, and secrets.make is off: the Job that makes the streams needs a login." -}}
{{- end -}}
{{- if and (not $v.mailbox.enabled) (not $v.mail.url) (not $v.mail.secret) -}}
{{- $problems = append $problems (printf "mail: where do mails go? Name a Secret in mail.secret whose key %s holds smtps://USER:PASSWORD@HOST, or give mail.url where no password is needed." $v.mail.key) -}}
{{- end -}}
{{- if and $v.mail.url $v.mail.secret -}}
{{- $problems = append $problems "mail.url and mail.secret are both set. Keep one of them." -}}
{{- end -}}
{{- if and $v.mailbox.enabled (not $v.mail.url) (not $v.mail.secret) (not $v.secrets.make) -}}
{{- $problems = append $problems "mail.secret is missing, and secrets.make is off: give mail.url (smtp://RELEASE-mailbox:1025?tls=off), or name the Secret of the mailbox's login." -}}
{{- end -}}
{{- if and $v.mail.url (regexMatch "^[a-z]+://[^/@]*:[^/@]*@" $v.mail.url) -}}
{{- $problems = append $problems "mail.url holds a password, which everybody who may read the release would see. Put the URL into a Secret and name it in mail.secret." -}}
{{- end -}}
{{- if regexMatch "^[a-z]+://[^/]*@" (toString $v.nats.url) -}}
{{- $problems = append $problems "nats.url holds a login, which everybody who may read the release would see. Put it into the Secrets of services.*.broker." -}}
{{- end -}}
{{- if not $v.secrets.make -}}
{{- range $name := list "adminToken" "codeKeys" "addressKeys" "fingerprintKey" -}}
{{- if not (index $v.secrets $name).secret -}}
{{- $problems = append $problems (printf "secrets.%s.secret is missing, and secrets.make is off, so nobody makes it." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $v.networkPolicy.enabled -}}
{{- range $party, $needed := dict "mail" (not $v.mailbox.enabled) "database" (eq $v.database.mode "external") "broker" (eq $v.nats.mode "external") "traces" (ne $v.telemetry.endpoint "") "dns" true -}}
{{- if and $needed (not (index $v.networkPolicy.parties $party).ports) -}}
{{- $problems = append $problems (printf "networkPolicy.parties.%s.ports is empty: nothing could reach it." $party) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (ne $v.grpcRoute.render "never") (not $v.grpcRoute.parentRefs) -}}
{{- $problems = append $problems "grpcRoute.parentRefs is empty: name the Gateway that the route belongs to." -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) -}}
{{- $problems = append $problems "ingress.hosts is empty: name the host that callers use." -}}
{{- end -}}
{{- if and (eq $v.database.mode "cloudnativepg") (eq $v.database.cloudnativepg.render "auto") (not ($root.Capabilities.APIVersions.Has "postgresql.cnpg.io/v1")) -}}
{{- $problems = append $problems "database.mode is cloudnativepg, but this cluster does not know postgresql.cnpg.io/v1. Install the operator first; without a cluster at hand set database.cloudnativepg.render to always." -}}
{{- end -}}
{{- dict "problems" $problems | toYaml -}}
{{- end -}}
