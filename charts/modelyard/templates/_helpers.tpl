{{/* What selects the pods of a component: (dict "root" $ "component" "gateway"). It never changes in the life of a release. */}}
{{- define "modelyard.selector" -}}
app.kubernetes.io/name: modelyard
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .model }}
modelyard.dev/model: {{ . }}
{{- end }}
{{- with .colour }}
modelyard.dev/colour: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels of objects. Pods have the selector alone: a new version of the chart is no reason to restart them. */}}
{{- define "modelyard.labels" -}}
{{ include "modelyard.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: modelyard
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* Metadata of an object: (dict "root" $ "name" "gateway" "component" "gateway" "annotations" (dict …)). */}}
{{- define "modelyard.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "modelyard.labels" . | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Reference of one of our images: (dict "root" $ "name" "gateway" "image" "whole/reference:tag" "tag" "only the tag"). */}}
{{- define "modelyard.image" -}}
{{- $image := .root.Values.image -}}
{{- $registry := ternary (printf "%s/" (trimSuffix "/" $image.registry)) "" (ne $image.registry "") -}}
{{- $tag := .tag | default $image.tag | default .root.Chart.AppVersion -}}
{{- include "modelyard.reference" (.image | default (printf "%smodelyard/%s:%s" $registry .name $tag)) -}}
{{- end -}}

{{/* An image reference as it is, unless nobody could say later what it was. */}}
{{- define "modelyard.reference" -}}
{{- if hasSuffix ":latest" . -}}
{{- fail (printf "The image %s has the tag latest, of which nobody can say later what it was: name a version." .) -}}
{{- end -}}
{{- . -}}
{{- end -}}

{{/* Lays the second map over the first, in place. Unlike sprig's merge it takes false, 0 and "" for values. */}}
{{- define "modelyard.overlay" -}}
{{- $base := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $base $key)) -}}
{{- include "modelyard.overlay" (list (get $base $key) $value) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Database connections that all processes may open together; Python's pools are compared with these numbers by a test. */}}
{{- define "modelyard.connections" -}}
{{- $pods := ternary .Values.gateway.autoscaling.max .Values.gateway.replicas (eq .Values.gateway.autoscaling.type "hpa") -}}
gateway: {{ mul 18 $pods .Values.gateway.workers }}
control: 26
mlflow: 15
migrations: 2
{{- end -}}

{{- define "modelyard.connections.sum" -}}
{{- $sum := 0 -}}
{{- range include "modelyard.connections" . | fromYaml }}{{ $sum = add $sum . }}{{ end -}}
{{- $sum -}}
{{- end -}}
