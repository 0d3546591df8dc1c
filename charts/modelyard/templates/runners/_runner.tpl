{{/* The values of one runner, as YAML: (dict "root" $ "model" "m"). The catalogue first, over it runners.defaults where it says something, over it runners.<model>. */}}
{{- define "modelyard.runner" -}}
{{- $entry := index .root.Values.models .model -}}
{{- $runner := deepCopy .root.Values.runners.defaults -}}
{{- range $key := list "replicas" "resources" -}}
{{- $value := deepCopy (index $entry $key) -}}
{{- include "modelyard.overlay" (list $value (get $runner $key | default dict)) -}}
{{- $_ := set $runner $key $value -}}
{{- end -}}
{{- $_ := set $runner "pin" ($runner.pin | default $entry.pin | default "") -}}
{{- include "modelyard.overlay" (list $runner (index .root.Values.runners .model | default dict | deepCopy)) -}}
{{- toYaml $runner -}}
{{- end -}}

{{- define "modelyard.runner.name" -}}
runner-{{ . | replace "_" "-" }}
{{- end -}}

{{/*
The colour that answers: (dict "root" $ "model" "m" "runner" <its values>). `modelyard release` moves the Service's selector without Helm, so an upgrade has to leave
it where it is. The Service's annotation says which value its selector was last rendered for: as long as the value is still that one, the cluster knows better;
once somebody has changed the value, they mean it. Without a cluster to look at (helm template, GitOps) the value decides.
*/}}
{{- define "modelyard.runner.active" -}}
{{- $name := include "modelyard.runner.name" .model -}}
{{- $active := .runner.active -}}
{{- with lookup "v1" "Service" .root.Release.Namespace $name -}}
{{- if eq (get (.metadata.annotations | default dict) "modelyard.dev/active-value") $active -}}
{{- $active = get (.spec.selector | default dict) "modelyard.dev/colour" | default $active -}}
{{- end -}}
{{- end -}}
{{- $active -}}
{{- end -}}

{{- define "modelyard.runner.env" -}}
{{- $root := .root -}}
- name: RUNNER_ENVIRONMENT
  value: {{ $root.Values.environment }}
- name: RUNNER_LOG_LEVEL
  value: {{ .runner.logLevel }}
- name: RUNNER_MODEL
  value: {{ .model }}
- name: RUNNER_PORT
  value: "3000"
- name: RUNNER_CONTROL_URL
  value: http://control:8001
- name: RUNNER_MLFLOW_URL
  value: http://mlflow:5000
- name: RUNNER_CACHE_DIR
  value: /var/lib/modelyard/runner
- name: RUNNER_DRAIN_SECONDS
  value: {{ .runner.drainSeconds | quote }}
- name: RUNNER_REPLICA
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{ include "modelyard.secret.env" (dict "name" "RUNNER_CONTROL_TOKEN" "secret" (include "modelyard.secret" $root) "key" "control-token") }}
{{- with .runner.pin }}
- name: RUNNER_PIN
  value: {{ . | quote }}
{{- end }}
# One thread each: libraries that count the node's cores are throttled, or get in each other's way.
- name: OMP_NUM_THREADS
  value: "1"
- name: OPENBLAS_NUM_THREADS
  value: "1"
{{- end -}}
