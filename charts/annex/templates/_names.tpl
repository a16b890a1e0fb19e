{{/* The name of the chart in labels. */}}
{{- define "annex.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of all objects. It leaves room for suffixes, because DNS labels have at most 63 characters. */}}
{{- define "annex.fullname" -}}
{{- $name := include "annex.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that select the pods of the server. Never change them, because selectors are immutable. */}}
{{- define "annex.selectorLabels" -}}
app.kubernetes.io/name: {{ include "annex.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "annex.labels" -}}
app.kubernetes.io/name: {{ include "annex.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/part-of: annex
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "annex.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry -}}
{{- $repository := .Values.image.repository -}}
{{- if $registry }}{{ $repository = printf "%s/%s" (trimSuffix "/" $registry) $repository }}{{ end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "annex.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "annex.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The address of the server inside the host cluster. */}}
{{- define "annex.serviceHost" -}}
{{- printf "%s.%s.svc" (include "annex.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "annex.externalURL" -}}
{{- $port := int .Values.service.port -}}
{{- $service := printf "https://%s%s" (include "annex.serviceHost" .) (ternary "" (printf ":%d" $port) (eq $port 443)) -}}
{{- .Values.externalURL | default $service -}}
{{- end -}}

{{/* Names in the serving certificate, as a JSON list. The name that the host's API server uses comes first. */}}
{{- define "annex.certificateNames" -}}
{{- $service := include "annex.fullname" . -}}
{{- $names := list (include "annex.serviceHost" .) (printf "%s.%s.svc.%s" $service .Release.Namespace .Values.clusterDomain) (printf "%s.%s" $service .Release.Namespace) $service -}}
{{- concat $names .Values.tls.extraSANs | uniq | toJson -}}
{{- end -}}

{{/* The Secret with the serving certificate. Empty if the server makes its own. */}}
{{- define "annex.certificateSecret" -}}
{{- if eq .Values.tls.type "existingSecret" -}}
{{- .Values.tls.existingSecret -}}
{{- else if eq .Values.tls.type "cert-manager" -}}
{{- include "annex.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{/* The key of the CA bundle in that Secret. Empty if clients verify with the certificate itself. */}}
{{- define "annex.certificateCAKey" -}}
{{- if eq .Values.tls.type "existingSecret" -}}
{{- .Values.tls.caKey -}}
{{- else if eq .Values.tls.type "cert-manager" -}}
ca.crt
{{- end -}}
{{- end -}}

{{/* The number of servers. */}}
{{- define "annex.replicas" -}}
{{- if not (kindIs "invalid" .Values.replicas) -}}
{{- int .Values.replicas -}}
{{- else -}}
{{- ternary 2 1 (not (empty .Values.etcd.endpoints)) -}}
{{- end -}}
{{- end -}}

{{/* Seconds that a server continues to serve after it is told to stop. Equal servers, if any, take over during this time. */}}
{{- define "annex.shutdownDelay" -}}
{{- if not (kindIs "invalid" .Values.shutdown.delaySeconds) -}}
{{- int .Values.shutdown.delaySeconds -}}
{{- else -}}
{{- ternary 10 0 (not (empty .Values.etcd.endpoints)) -}}
{{- end -}}
{{- end -}}
