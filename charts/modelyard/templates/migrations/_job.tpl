{{- define "modelyard.migrations.image" -}}
{{- include "modelyard.image" (dict "root" . "name" "control" "image" (.Values.migrations.image | default .Values.control.image)) -}}
{{- end -}}

{{/* (dict "root" $ "name" "migrations-upgrade" "annotations" (dict …)). Safe to run twice and at once: the database's lock lets one at a time in. */}}
{{- define "modelyard.migrations" -}}
{{- $root := .root -}}
{{- $migrations := $root.Values.migrations -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "modelyard.metadata" (merge (dict "component" "migrations") .) | nindent 2 }}
spec:
  backoffLimit: 2
  {{- if .annotations }}
  # A hook is nobody's: it would stay for ever.
  ttlSecondsAfterFinished: 86400
  {{- end }}
  activeDeadlineSeconds: {{ add (mul 3 $migrations.waitSeconds) 900 }}
  template:
    metadata:
      labels:
        {{- include "modelyard.selector" (dict "root" $root "component" "migrations") | nindent 8 }}
    spec:
      {{- include "modelyard.pod" (dict "root" $root) | nindent 6 }}
      restartPolicy: Never
      containers:
        - name: migrations
          image: {{ include "modelyard.migrations.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          {{- include "modelyard.container.security" $root | nindent 10 }}
          command: [python, -m, services.migrations]
          env:
            - name: MIGRATIONS_WAIT_SECONDS
              value: {{ $migrations.waitSeconds | quote }}
            {{- include "modelyard.secret.env" (dict "name" "DATABASE_URL" "secret" (include "modelyard.database.secret" $root) "key" "uri") | nindent 12 }}
            {{- if eq $root.Values.postgresql.mode "builtin" }}
            - name: MIGRATIONS_APPLICATION_ROLE
              value: modelyard_app
            {{- include "modelyard.secret.env" (dict "name" "MIGRATIONS_APPLICATION_PASSWORD" "secret" "postgres" "key" "application-password") | nindent 12 }}
            {{- else if and (eq $root.Values.postgresql.mode "external") $root.Values.postgresql.external.applicationRole }}
            - name: MIGRATIONS_APPLICATION_ROLE
              value: {{ $root.Values.postgresql.external.applicationRole }}
            {{- end }}
          resources:
            {{- toYaml $migrations.resources | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
{{- end -}}
