{{/* What no schema can say, because it is about several values. Included by secrets.yaml, so that every rendering comes by. */}}
{{- define "modelyard.checks" -}}
{{- $v := .Values -}}
{{- if not $v.models }}
{{- fail "There is no model: give the catalogue as values, -f bentos/catalogue.yaml." }}
{{- end }}
{{- range $model, $given := omit $v.runners "defaults" }}
{{- if not (hasKey $v.models $model) }}
{{- fail (printf "runners.%s: the catalogue has no such model; it has %s." $model (keys $v.models | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- range $model, $entry := $v.models }}
{{- $runner := include "modelyard.runner" (dict "root" $ "model" $model) | fromYaml }}
{{- if gt (int $runner.replicas.min) (int $runner.replicas.max) }}
{{- fail (printf "runners.%s.replicas: min (%v) is above max (%v)." $model $runner.replicas.min $runner.replicas.max) }}
{{- end }}
{{- if eq $runner.strategy "bluegreen" }}
{{- if and (eq $runner.idle "zero") (ne $runner.autoscaling.type "none") }}
{{- fail (printf "runners.%s.idle: zero needs autoscaling.type none; an autoscaler decides about replicas alone." $model) }}
{{- end }}
{{- end }}
{{- end }}
{{- if ne (empty $v.postgresql.external.applicationRole) (empty $v.postgresql.external.applicationKey) }}
{{- fail "postgresql.external: applicationRole and applicationKey belong together: the role, and the key of the Secret with its address." }}
{{- end }}
{{- if and (eq $v.postgresql.mode "external") (not $v.postgresql.external.secret) }}
{{- fail "postgresql.external.secret: name the Secret that has the database's address under the key uri." }}
{{- end }}
{{- $sum := include "modelyard.connections.sum" . | int }}
{{- if and (eq $v.postgresql.mode "builtin") (gt $sum (sub (int $v.postgresql.builtin.maxConnections) 3 | int)) }}
{{- fail (printf "postgresql.builtin.maxConnections: all processes together may open %d connections, and 3 are kept for administrators; %v are too few." $sum $v.postgresql.builtin.maxConnections) }}
{{- end }}
{{- if and (eq $v.gateway.autoscaling.type "hpa") (gt (int $v.gateway.autoscaling.min) (int $v.gateway.autoscaling.max)) }}
{{- fail (printf "gateway.autoscaling: min (%v) is above max (%v)." $v.gateway.autoscaling.min $v.gateway.autoscaling.max) }}
{{- end }}
{{- if and $v.gateway.service.nodePort (ne $v.gateway.service.type "NodePort") }}
{{- fail (printf "gateway.service.nodePort: only a Service of type NodePort has one, this is a %s." $v.gateway.service.type) }}
{{- end }}
{{- if and $v.frontend.service.nodePort (ne $v.frontend.service.type "NodePort") }}
{{- fail (printf "frontend.service.nodePort: only a Service of type NodePort has one, this is a %s." $v.frontend.service.type) }}
{{- end }}
{{- if and $v.route.enabled (not $v.route.parentRefs) }}
{{- fail "route.parentRefs: name the Gateway that the route belongs to." }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.host) }}
{{- fail "ingress.host: name the host." }}
{{- end }}
{{- end -}}
