{{/* Takes {cpu}. An amount per pod and not a share of the request: requests are small here, so that everything fits a laptop. */}}
{{- define "modelyard.hpa.metrics" -}}
- type: Resource
  resource:
    name: cpu
    target:
      type: AverageValue
      averageValue: {{ .cpu }}
{{- end -}}

{{/* Takes {scaleDownSeconds}. Up at once, twice as many every 15 s; down late, one a minute. */}}
{{- define "modelyard.hpa.behavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - {type: Percent, value: 100, periodSeconds: 15}
    - {type: Pods, value: 2, periodSeconds: 15}
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownSeconds }}
  policies:
    - {type: Pods, value: 1, periodSeconds: {{ min 60 (max 1 (int .scaleDownSeconds)) }}}
{{- end -}}

{{/* Takes what the metadata takes. Pods that are broken anyway do not keep a node from being emptied. */}}
{{- define "modelyard.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "modelyard.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "modelyard.selector" . | nindent 6 }}
{{- end -}}
