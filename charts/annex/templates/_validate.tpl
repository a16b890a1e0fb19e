{{/*
What the schema cannot say, because it concerns more than one value. All faults are told at once, each with its value first.
*/}}
{{- define "annex.validate" -}}
{{- $faults := list -}}
{{- $v := .Values -}}
{{- $external := not (empty $v.etcd.endpoints) -}}
{{- if and (not $external) (gt (int (include "annex.replicas" .)) 1) -}}
{{- $faults = append $faults (printf "replicas: %d servers need an external etcd; set etcd.endpoints, or leave replicas out" (int $v.replicas)) -}}
{{- end -}}
{{- if and $v.etcd.tls.existingSecret (not $external) -}}
{{- $faults = append $faults "etcd.tls.existingSecret: means nothing without etcd.endpoints" -}}
{{- end -}}
{{- if ne (empty $v.etcd.tls.certKey) (empty $v.etcd.tls.keyKey) -}}
{{- $faults = append $faults "etcd.tls.certKey, etcd.tls.keyKey: give both or none" -}}
{{- end -}}
{{- if and (eq $v.tls.type "existingSecret") (not $v.tls.existingSecret) -}}
{{- $faults = append $faults "tls.existingSecret: needed with tls.type existingSecret" -}}
{{- end -}}
{{- if and (ne $v.tls.type "existingSecret") (or $v.tls.existingSecret $v.tls.caKey) -}}
{{- $faults = append $faults (printf "tls.existingSecret, tls.caKey: mean nothing with tls.type %s; set it to existingSecret" $v.tls.type) -}}
{{- end -}}
{{- if and (eq $v.tls.type "existingSecret") $v.tls.extraSANs -}}
{{- $faults = append $faults "tls.extraSANs: means nothing with tls.type existingSecret; the names are those of the certificate in the Secret" -}}
{{- end -}}
{{- if and (ne $v.tls.type "cert-manager") $v.tls.certManager.issuerRef -}}
{{- $faults = append $faults (printf "tls.certManager.issuerRef: means nothing with tls.type %s; set it to cert-manager" $v.tls.type) -}}
{{- end -}}
{{- if and $v.persistence.existingClaim (not $v.persistence.enabled) -}}
{{- $faults = append $faults "persistence.existingClaim: means nothing while persistence.enabled is false" -}}
{{- end -}}
{{- if and $v.persistence.existingClaim $external -}}
{{- $faults = append $faults "persistence.existingClaim: means nothing with etcd.endpoints; the external etcd keeps everything" -}}
{{- end -}}
{{- $unready := mul (int $v.readinessProbe.periodSeconds) (int $v.readinessProbe.failureThreshold) -}}
{{- $delay := int64 (include "annex.shutdownDelay" .) -}}
{{- if and $external (gt $unready $delay) -}}
{{- $faults = append $faults (printf "shutdown.delaySeconds: %d is too short; the pod leaves the Service only after readinessProbe.periodSeconds times failureThreshold, %d seconds" $delay $unready) -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (eq $v.tls.type "annex") (not $v.serviceMonitor.tlsConfig) -}}
{{- $faults = append $faults "serviceMonitor.tlsConfig: needed with tls.type annex, whose CA lies in no Secret; give a ca, or insecureSkipVerify: true" -}}
{{- end -}}
{{- if or (and $v.userRoles.aggregateToAdmin (not $v.userRoles.create)) (and $v.userRoles.aggregateToEdit (not $v.userRoles.create)) -}}
{{- $faults = append $faults "userRoles.aggregateToAdmin, userRoles.aggregateToEdit: mean nothing while userRoles.create is false" -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n  %s" (join "\n  " $faults)) -}}
{{- end -}}
{{- end -}}
