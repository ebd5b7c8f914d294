{{- /* What a service may publish: its events, and what its own durable needs of JetStream.
(dict "publishes" its subjects "stream" where they go "reads" another stream "durable" by which it reads) */ -}}
{{- define "usher.natsMay" -}}
{{- $of := printf "%s.%s" .reads .durable -}}
{{- range list
  .publishes
  "$JS.API.STREAM.NAMES"
  (printf "$JS.API.STREAM.INFO.%s" .stream)
  (printf "$JS.API.STREAM.INFO.%s" .reads)
  (printf "$JS.API.STREAM.PURGE.%s" .reads)
  (printf "$JS.API.CONSUMER.LIST.%s" .reads)
  (printf "$JS.API.CONSUMER.INFO.%s" $of)
  (printf "$JS.API.CONSUMER.DELETE.%s" $of)
  (printf "$JS.API.CONSUMER.CREATE.%s" $of)
  (printf "$JS.API.CONSUMER.CREATE.%s.>" $of)
  (printf "$JS.API.CONSUMER.MSG.NEXT.%s" $of)
  (printf "$JS.ACK.%s.>" $of)
  (printf "$JS.ACK.*.*.%s.>" $of)
}}
{{ printf "%q" . }}
{{- end }}
{{- end -}}
