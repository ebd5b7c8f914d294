{{- /* What every pod and every container of the release has: Pod Security "restricted", a read-only root, no token. */ -}}

{{- /* (dict "root" $ "user" 65532) */ -}}
{{- define "usher.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "usher.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- /* The user of our own image. */ -}}
{{- define "usher.ownUser" -}}65532{{- end -}}

{{- /* Where a pod may run. (dict "root" $ "component" "accounts" "place" values "revisions" true) */ -}}
{{- define "usher.placement" -}}
{{- with .place.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .place.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .place.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .place.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $spread := list }}
{{- range $key, $topology := dict "zone" "topology.kubernetes.io/zone" "node" "kubernetes.io/hostname" }}
{{- with index ($.place.spread | default dict) $key }}
{{- $rule := dict "topologyKey" $topology "whenUnsatisfiable" . "maxSkew" 1 "nodeTaintsPolicy" "Honor" }}
{{- $_ := set $rule "labelSelector" (dict "matchLabels" (include "usher.selector" $ | fromYaml)) }}
{{- if $.revisions }}{{- /* each revision by itself, else a rollout leaves them askew */}}
{{- $_ := set $rule "matchLabelKeys" (list "pod-template-hash") }}
{{- end }}
{{- $spread = append $spread $rule }}
{{- end }}
{{- end }}
{{- with $spread }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* A list of environment entries without doubles: what `extra` names wins.
(dict "env" (dict NAME value-or-source) "extra" list) */ -}}
{{- define "usher.env" -}}
{{- $entries := list }}
{{- $named := dict }}
{{- range .extra }}{{- $_ := set $named .name true }}{{- end }}
{{- range $name, $value := .env }}
{{- if not (hasKey $named $name) }}
{{- if kindIs "map" $value }}
{{- $entries = append $entries (dict "name" $name "valueFrom" $value) }}
{{- else }}
{{- $entries = append $entries (dict "name" $name "value" (toString $value)) }}
{{- end }}
{{- end }}
{{- end }}
{{- range .extra }}{{- $entries = append $entries . }}{{- end }}
{{- toYaml $entries }}
{{- end -}}

{{- /* Files from Secrets as one volume. A Secret that is missing does not hold a pod up: it starts, says what it lacks, and
goes on when it comes. (list (dict "secret" … "key" … "path" …)) */ -}}
{{- define "usher.secretFiles" -}}
projected:
  defaultMode: 0440
  sources:
    {{- range . }}
    - secret:
        name: {{ .secret }}
        optional: true
        items:
          - key: {{ .key }}
            path: {{ .path }}
    {{- end }}
{{- end -}}
