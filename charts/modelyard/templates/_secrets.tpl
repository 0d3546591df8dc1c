{{/*
Secrets that the chart makes once: random at the first installation, from then on what `lookup` finds. They are worked out once per rendering and kept
in .Values, since every call of randAlphaNum gives something else. Without a cluster (helm template) they are new each time: use existingSecret there.
*/}}
{{- define "modelyard.made" -}}
{{- if not (hasKey .Values "made") -}}
{{- $found := (lookup "v1" "Secret" .Release.Namespace "modelyard").data | default dict -}}
{{- $made := dict -}}
{{- range $key := list "jwt-secret" "control-token" "admin-password" -}}
{{- $_ := set $made $key (get $found $key | default (randAlphaNum 40 | b64enc)) -}}
{{- end -}}
{{- $_ := set $made "pipeline-key" (get $found "pipeline-key" | default (printf "my_pipeline_%s" (randAlphaNum 40) | b64enc)) -}}
{{- $database := (lookup "v1" "Secret" .Release.Namespace "postgres").data | default dict -}}
{{- $password := get $database "password" | default (randAlphaNum 40 | b64enc) -}}
{{- $application := get $database "application-password" | default (randAlphaNum 40 | b64enc) -}}
{{- $_ := set .Values "made" (dict "platform" $made "password" (b64dec $password) "application" (b64dec $application)) -}}
{{- end -}}
{{- end -}}

{{- define "modelyard.secret" -}}
{{- .Values.secrets.existingSecret | default "modelyard" -}}
{{- end -}}

{{/* The Secret with the database's address, whoever made it: the keys are those of CloudNativePG. */}}
{{- define "modelyard.database.secret" -}}
{{- $mode := .Values.postgresql.mode -}}
{{- if eq $mode "builtin" }}postgres{{ else if eq $mode "cnpg" }}{{ .Values.postgresql.cnpg.cluster }}-app{{ else }}{{ .Values.postgresql.external.secret }}{{ end -}}
{{- end -}}

{{/* The key of that Secret with the address that gateway and control use: of a role that owns nothing, where there is one. */}}
{{- define "modelyard.database.application" -}}
{{- $mode := .Values.postgresql.mode -}}
{{- if eq $mode "builtin" }}application-uri{{ else if eq $mode "external" }}{{ .Values.postgresql.external.applicationKey | default "uri" }}{{ else }}uri{{ end -}}
{{- end -}}

{{/* Changes when a secret does, and restarts what reads it with the next upgrade. CloudNativePG's appears only after the first one. */}}
{{- define "modelyard.checksum" -}}
{{- include "modelyard.made" . -}}
{{- $given := dict -}}
{{- with .Values.secrets.existingSecret -}}
{{- $given = (lookup "v1" "Secret" $.Release.Namespace .).data | default dict -}}
{{- end -}}
{{- $platform := ternary $given .Values.made.platform (ne .Values.secrets.existingSecret "") -}}
{{- $database := dict "password" .Values.made.password "application" .Values.made.application -}}
{{- if eq .Values.postgresql.mode "external" -}}
{{- $database = (lookup "v1" "Secret" .Release.Namespace .Values.postgresql.external.secret).data | default dict -}}
{{- else if eq .Values.postgresql.mode "cnpg" -}}
{{- $database = dict -}}
{{- end -}}
checksum/secrets: {{ list $platform $database | toJson | sha256sum }}
{{- end -}}

{{/* An environment variable from a Secret: (dict "name" "X" "secret" "modelyard" "key" "k"). */}}
{{- define "modelyard.secret.env" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end -}}
