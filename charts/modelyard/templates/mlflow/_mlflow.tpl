{{/* MLflow refuses names that it does not know, compared with the port: the Service's short and long ones, and this pod's own. */}}
{{- define "modelyard.mlflow.env" -}}
- name: MLFLOW_SERVER_ALLOWED_HOSTS
  value: mlflow,mlflow:*,mlflow.*,localhost,localhost:*,127.0.0.1:*
- name: OMP_NUM_THREADS
  value: "1"
{{ include "modelyard.secret.env" (dict "name" "DATABASE_URL" "secret" (include "modelyard.database.secret" .) "key" "uri") }}
{{- end -}}
