{{- define "modelyard.frontend.env" -}}
- {name: FRONTEND_HOST, value: 0.0.0.0}
- {name: FRONTEND_PORT, value: "8501"}
- {name: FRONTEND_GATEWAY_URL, value: "http://gateway:{{ .Values.gateway.service.port }}"}
- {name: FRONTEND_BASE_PATH, value: {{ .Values.frontend.path | quote }}}
- {name: FRONTEND_GRAFANA_URL, value: {{ .Values.frontend.grafanaUrl | quote }}}
- {name: FRONTEND_MLFLOW_URL, value: {{ .Values.frontend.mlflowUrl | quote }}}
{{- end -}}
