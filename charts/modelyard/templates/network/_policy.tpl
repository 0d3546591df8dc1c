{{/*
The policy of one component: (dict "root" $ "component" "gateway" "from" (list "anyone:8000") "to" (list "runner:3000" "database" "kubernetes")).
An end is `component:port`, or one of: `anyone:port`, the clients; `anywhere:port`, any address;
`database`, whichever it is; `tables:port`, that of tables to be scored; `kubernetes`, the API server. tests/deploy/flows.py has the whole list.
*/}}
{{- define "modelyard.policy" -}}
{{- $root := .root -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "modelyard.metadata" (dict "root" $root "name" .component "component" .component) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "modelyard.selector" (dict "root" $root "component" .component) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .from }}
  ingress:
    {{- range . }}
    {{- include "modelyard.policy.rule" (dict "root" $root "end" . "side" "from") | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with .to }}
  egress:
    {{- range . }}
    {{- include "modelyard.policy.rule" (dict "root" $root "end" . "side" "to") | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "modelyard.policy.rule" -}}
{{- $values := .root.Values -}}
{{- $parts := splitList ":" .end -}}
{{- $who := first $parts -}}
{{- $ports := list (last $parts | int) -}}
{{- $peers := list -}}
{{- if eq $who "anyone" -}}
{{- $peers = $values.networkPolicies.gatewayFrom -}}
{{- else if eq $who "anywhere" -}}
{{- $peers = list -}}
{{- else if eq $who "kubernetes" -}}
{{- $ports = list 443 6443 -}}
{{- range $values.networkPolicies.apiServerCidrs }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- else if eq $who "tables" -}}
{{- range $values.workflows.tables.cidrs }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- else if and (eq $who "database") (eq $values.postgresql.mode "external") -}}
{{- $ports = list $values.postgresql.external.port -}}
{{- range $values.postgresql.external.cidrs }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- else if and (eq $who "database") (eq $values.postgresql.mode "cnpg") -}}
{{- $ports = list 5432 -}}
{{- $peers = list (dict "podSelector" (dict "matchLabels" (dict "cnpg.io/cluster" $values.postgresql.cnpg.cluster))) -}}
{{- else -}}
{{- $component := ternary "postgres" $who (eq $who "database") -}}
{{- $ports = ternary (list 5432) $ports (eq $who "database") -}}
{{- $peers = list (dict "podSelector" (dict "matchLabels" (include "modelyard.selector" (dict "root" .root "component" $component) | fromYaml))) -}}
{{- end -}}
- ports:
    {{- range $ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with $peers }}
  {{ $.side }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
