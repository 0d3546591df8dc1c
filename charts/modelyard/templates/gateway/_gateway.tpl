{{- define "modelyard.gateway.env" -}}
{{- $secret := include "modelyard.secret" . -}}
- name: GATEWAY_ENVIRONMENT
  value: {{ .Values.environment }}
- name: GATEWAY_LOG_LEVEL
  value: {{ .Values.gateway.logLevel }}
- name: GATEWAY_PORT
  value: "8000"
- name: GATEWAY_METRICS_PORT
  value: "9100"
- name: GATEWAY_WORKERS
  value: {{ .Values.gateway.workers | quote }}
- name: GATEWAY_CONTROL_URL
  value: http://control:8001
- name: GATEWAY_RUNNER_URL
  value: http://runner-{model}:3000
- name: GATEWAY_SPOOL_DIR
  value: /var/lib/modelyard/spool
- name: GATEWAY_SPOOL_MAX_BYTES
  value: {{ .Values.gateway.spool.maxBytes | int64 | quote }}
- name: GATEWAY_DRAIN_SECONDS
  value: {{ .Values.gateway.drainSeconds | quote }}
{{ include "modelyard.secret.env" (dict "name" "GATEWAY_DATABASE_URL" "secret" (include "modelyard.database.secret" .) "key" (include "modelyard.database.application" .)) }}
{{ include "modelyard.secret.env" (dict "name" "GATEWAY_JWT_SECRET" "secret" $secret "key" "jwt-secret") }}
{{ include "modelyard.secret.env" (dict "name" "GATEWAY_CONTROL_TOKEN" "secret" $secret "key" "control-token") }}
{{ include "modelyard.secret.env" (dict "name" "GATEWAY_BOOTSTRAP_PASSWORD" "secret" $secret "key" "admin-password") }}
{{ include "modelyard.secret.env" (dict "name" "GATEWAY_PIPELINE_KEY" "secret" $secret "key" "pipeline-key") }}
{{- end -}}
