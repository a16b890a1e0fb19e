{{/*
Checks that concern more than one value, which the schema cannot express. All faults are reported at once, each with its value first.
*/}}
{{- define "annex.validate" -}}
{{- $faults := list -}}
{{- $v := .Values -}}
{{- $external := not (empty $v.etcd.endpoints) -}}
{{- if and (not $external) (gt (int (include "annex.replicas" .)) 1) -}}
{{- $faults = append $faults (printf "replicas: %d servers need an external etcd; set etcd.endpoints, or do not set replicas" (int $v.replicas)) -}}
{{- end -}}
{{- if and $v.etcd.tls.existingSecret (not $external) -}}
{{- $faults = append $faults "etcd.tls.existingSecret: has no effect without etcd.endpoints" -}}
{{- end -}}
{{- if and $v.etcd.overrides (not $external) -}}
{{- $faults = append $faults "etcd.overrides: has no effect without etcd.endpoints" -}}
{{- end -}}
{{- if ne (empty $v.etcd.tls.certKey) (empty $v.etcd.tls.keyKey) -}}
{{- $faults = append $faults "etcd.tls.certKey, etcd.tls.keyKey: set both or neither" -}}
{{- end -}}
{{- if and $v.authorization.webhook.existingSecret (not (has "Webhook" $v.authorization.order)) -}}
{{- $faults = append $faults "authorization.webhook.existingSecret: has no effect without Webhook in authorization.order" -}}
{{- end -}}
{{- if and $v.audit.webhook.existingSecret (not $v.audit.policy) -}}
{{- $faults = append $faults "audit.webhook.existingSecret: has no effect without audit.policy" -}}
{{- end -}}
{{- if and $v.workspaceAccess.namespaces (not $v.workspaceAccess.enabled) -}}
{{- $faults = append $faults "workspaceAccess.namespaces: has no effect while workspaceAccess.enabled is false" -}}
{{- end -}}
{{- if and $v.mounts.caKey (not $v.mounts.existingSecret) -}}
{{- $faults = append $faults "mounts.caKey: has no effect without mounts.existingSecret" -}}
{{- end -}}
{{- if and $v.tracing.samplingRatePerMillion (not $v.tracing.endpoint) -}}
{{- $faults = append $faults "tracing.samplingRatePerMillion: has no effect without tracing.endpoint" -}}
{{- end -}}
{{- if and (eq $v.tls.type "existingSecret") (not $v.tls.existingSecret) -}}
{{- $faults = append $faults "tls.existingSecret: required with tls.type existingSecret" -}}
{{- end -}}
{{- if and (ne $v.tls.type "existingSecret") (or $v.tls.existingSecret $v.tls.caKey) -}}
{{- $faults = append $faults (printf "tls.existingSecret, tls.caKey: have no effect with tls.type %s; set tls.type to existingSecret" $v.tls.type) -}}
{{- end -}}
{{- if and (eq $v.tls.type "existingSecret") $v.tls.extraSANs -}}
{{- $faults = append $faults "tls.extraSANs: has no effect with tls.type existingSecret; the certificate in the Secret defines the names" -}}
{{- end -}}
{{- if and (ne $v.tls.type "cert-manager") $v.tls.certManager.issuerRef -}}
{{- $faults = append $faults (printf "tls.certManager.issuerRef: has no effect with tls.type %s; set tls.type to cert-manager" $v.tls.type) -}}
{{- end -}}
{{- if and $v.persistence.existingClaim (not $v.persistence.enabled) -}}
{{- $faults = append $faults "persistence.existingClaim: has no effect while persistence.enabled is false" -}}
{{- end -}}
{{- if and $v.persistence.existingClaim $external -}}
{{- $faults = append $faults "persistence.existingClaim: has no effect with etcd.endpoints; the external etcd stores all data" -}}
{{- end -}}
{{- if and $v.authentication.config $v.authentication.existingConfigMap -}}
{{- $faults = append $faults "authentication.config, authentication.existingConfigMap: set one or the other" -}}
{{- end -}}
{{- if and $v.clientCA.masters (not $v.clientCA.existingConfigMap) -}}
{{- $faults = append $faults "clientCA.masters: has no effect without clientCA.existingConfigMap" -}}
{{- end -}}
{{- $unready := mul (int $v.readinessProbe.periodSeconds) (int $v.readinessProbe.failureThreshold) -}}
{{- $delay := int64 (include "annex.shutdownDelay" .) -}}
{{- if and $external (gt $unready $delay) -}}
{{- $faults = append $faults (printf "shutdown.delaySeconds: %d is too short; the pod leaves the Service only after %d seconds (readinessProbe.periodSeconds times failureThreshold)" $delay $unready) -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (eq $v.tls.type "annex") (not $v.serviceMonitor.tlsConfig) -}}
{{- $faults = append $faults "serviceMonitor.tlsConfig: required with tls.type annex, because that CA is not in a Secret of the cluster; set a ca, or insecureSkipVerify: true" -}}
{{- end -}}
{{- if or (and $v.userRoles.aggregateToAdmin (not $v.userRoles.create)) (and $v.userRoles.aggregateToEdit (not $v.userRoles.create)) -}}
{{- $faults = append $faults "userRoles.aggregateToAdmin, userRoles.aggregateToEdit: have no effect while userRoles.create is false" -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n  %s" (join "\n  " $faults)) -}}
{{- end -}}
{{- end -}}
