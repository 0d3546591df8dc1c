{{- define "modelyard.control.env" -}}
- name: CONTROL_ENVIRONMENT
  value: {{ .Values.environment }}
- name: CONTROL_LOG_LEVEL
  value: {{ .Values.control.logLevel }}
- name: CONTROL_PORT
  value: "8001"
- name: CONTROL_METRICS_PORT
  value: "9101"
- name: CONTROL_MLFLOW_URL
  value: http://mlflow:5000
- name: CONTROL_URL
  value: http://control:8001
- name: CONTROL_WORKFLOWS
  value: argo
- name: CONTROL_LOG_DIR
  value: /var/lib/modelyard/logs
- name: CONTROL_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- if not .Values.control.market.enabled }}
- name: CONTROL_KRAKEN_URL
  value: ""
{{- end }}
{{- with .Values.control.notifications.channels }}
- name: CONTROL_NOTIFICATIONS
  value: /etc/modelyard/notifications/channels.yaml
{{- end }}
{{- range $name, $place := .Values.control.notifications.secrets }}
{{ include "modelyard.secret.env" (dict "name" $name "secret" $place.secret "key" $place.key) }}
{{- end }}
{{ include "modelyard.secret.env" (dict "name" "CONTROL_DATABASE_URL" "secret" (include "modelyard.database.secret" .) "key" (include "modelyard.database.application" .)) }}
{{ include "modelyard.secret.env" (dict "name" "CONTROL_TOKEN" "secret" (include "modelyard.secret" .) "key" "control-token") }}
{{- end -}}
