{{/*
What every pod has: (dict "root" $ "account" "gateway" "token" false "scheduling" (dict …) "uid" 10001 "labels" (dict …)).
Service links are off because a Service called gateway would put GATEWAY_PORT=tcp://… into the environment, which is a setting.
*/}}
{{- define "modelyard.pod" -}}
{{- $values := .root.Values -}}
{{- with .account }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .scheduling }}
{{- toYaml (pick . "nodeSelector" "tolerations" "affinity") | nindent 0 }}
{{- end }}
securityContext:
  {{- include "modelyard.pod.security" . | nindent 2 }}
{{- end -}}

{{/* Takes "root", and "uid" where it is not ours to choose. */}}
{{- define "modelyard.pod.security" -}}
{{- $ours := .root.Values.podSecurity -}}
runAsNonRoot: true
{{- with .uid | default $ours.runAsUser }}
runAsUser: {{ . }}
{{- end }}
{{- with .uid | default $ours.runAsGroup }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "modelyard.container.security" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Pods of one kind on different nodes and zones, as far as there are any. Takes what the selector takes. */}}
{{- define "modelyard.spread" -}}
{{- $selector := include "modelyard.selector" . -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
{{- end -}}

{{/*
Probes of one of our HTTP processes. A start may take two minutes on a busy machine. Liveness asks only whether the process answers:
a restart would help nobody with anything else. Takes the path of readiness.
*/}}
{{- define "modelyard.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 120
readinessProbe:
  httpGet: {path: {{ . }}, port: http}
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{/* Takes seconds: until then the process is not told that it will stop. */}}
{{- define "modelyard.prestop" -}}
{{- if . }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
{{- end -}}

{{/*
The environment: (dict "own" "<YAML list>" "given" (dict …) "at" "gateway.settings"). What the chart sets cannot be given as well:
Kubernetes would take one of the two, and server-side apply refuses both.
*/}}
{{- define "modelyard.env" -}}
{{- .own -}}
{{- $own := list -}}
{{- range fromYamlArray .own }}{{ $own = append $own .name }}{{ end -}}
{{- $at := .at -}}
{{- range $name, $value := .given }}
{{- if has $name $own }}
{{- fail (printf "%s: %s is set by the chart; look for its own value in README.md." $at $name) }}
{{- end }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
