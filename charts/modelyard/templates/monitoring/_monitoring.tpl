{{/* The rules as the files have them, for this namespace and with complete addresses: file name → text. Volumes' figures come from kubelets, which only the operator's Prometheus asks. */}}
{{- define "modelyard.rules" -}}
{{- $root := . -}}
{{- $rules := dict -}}
{{- range $path, $_ := .Files.Glob "monitoring/alerts/*.yaml" -}}
{{- if or (eq $root.Values.monitoring.mode "operator") (ne (base $path) "volumes.yaml") -}}
{{- $text := $root.Files.Get $path
      | replace `namespace="modelyard"` (printf "namespace=%q" $root.Release.Namespace)
      | replace "namespace: modelyard" (printf "namespace: %s" $root.Release.Namespace)
      | replace "runbook_url: " (printf "runbook_url: %s" $root.Values.monitoring.runbooks) -}}
{{- $_ := set $rules (base $path) $text -}}
{{- end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

{{/*
Targets are the addresses that DNS has for a headless Service: no rights on the Kubernetes API, no token. Those Services are the metrics' own, because they
have to name pods that are not ready too: whether a runner has something to serve is what one wants to know then.
*/}}
{{- define "modelyard.prometheus.config" -}}
{{- $root := . -}}
global:
  scrape_interval: {{ .Values.monitoring.scrapeSeconds }}s
  scrape_timeout: {{ min 10 .Values.monitoring.scrapeSeconds }}s
  evaluation_interval: 30s
rule_files: [/etc/prometheus/rules/*.yaml]
{{- if .Values.monitoring.alertmanager.enabled }}
alerting:
  alertmanagers:
    - static_configs:
        - targets: ["alertmanager:9093"]
{{- end }}
scrape_configs:
  {{- range $job, $port := dict "gateway" 9100 "control" 9101 }}
  - job_name: {{ $job }}
    dns_sd_configs:
      - {names: [{{ $job }}-metrics], type: A, port: {{ $port }}, refresh_interval: 10s}
    relabel_configs:
      - {target_label: namespace, replacement: {{ $root.Release.Namespace }}}
  {{- end }}
  - job_name: runner
    # Their own label `model` is the same.
    honor_labels: true
    dns_sd_configs:
      - type: A
        port: 3000
        refresh_interval: 10s
        names:
          {{- range $model := keys .Values.models | sortAlpha }}
          - {{ include "modelyard.runner.name" $model }}-metrics
          {{- end }}
    relabel_configs:
      - {target_label: namespace, replacement: {{ $root.Release.Namespace }}}
      {{- range $model := keys .Values.models | sortAlpha }}
      - {source_labels: [__meta_dns_name], regex: {{ include "modelyard.runner.name" $model }}-metrics, target_label: model, replacement: {{ $model }}}
      {{- end }}
{{- end -}}

{{- define "modelyard.alertmanager.config" -}}
{{- $config := .Files.Get "monitoring/alertmanager.yaml" | fromYaml -}}
{{- $receiver := first $config.receivers -}}
{{- range $kind := list "discord" "webhook" -}}
{{- if not (index $.Values.monitoring.alertmanager $kind).enabled -}}
{{- $_ := unset $receiver (printf "%s_configs" $kind) -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* A pod's place for data: (dict "name" "prometheus" "storage" (dict "size" "" "className" "")). */}}
{{- define "modelyard.monitoring.volume" -}}
- name: data
  {{- if .storage.size }}
  persistentVolumeClaim: {claimName: {{ .name }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ .limit }}}
  {{- end }}
{{- end -}}

{{/* Service, account and claim of one of them: (dict "root" $ "name" "prometheus" "port" 9090 "storage" (dict …)). */}}
{{- define "modelyard.monitoring.objects" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "modelyard.metadata" (dict "root" .root "name" .name "component" .name) | nindent 2 }}
spec:
  selector:
    {{- include "modelyard.selector" (dict "root" .root "component" .name) | nindent 4 }}
  ports:
    - {name: http, port: {{ .port }}, targetPort: http}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "modelyard.metadata" (dict "root" .root "name" .name "component" .name) | nindent 2 }}
automountServiceAccountToken: false
{{- if .storage.size }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "modelyard.metadata" (dict "root" .root "name" .name "component" .name) | nindent 2 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .storage.className }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .storage.size }}
{{- end }}
{{- end -}}

{{/* With the labels by which the operator, or Grafana's sidecar, picks what it looks at: (dict "root" $ "name" "n" "component" "c" "more" (dict …)). */}}
{{- define "modelyard.monitoring.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "modelyard.labels" . | nindent 2 }}
  {{- with .more }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
