{{/* The command line of the server, one flag per line. */}}
{{- define "annex.args" -}}
- serve
- --root-directory=/var/lib/annex
- --bind-address=0.0.0.0
- --secure-port=6443
- --shard-external-url={{ include "annex.externalURL" . }}
- --host-workspace={{ .Values.hostWorkspace }}
{{- if .Values.hostMasters }}
- --host-masters
{{- end }}
{{- with .Values.homeWorkspaces }}
{{- if not .enabled }}
- --enable-home-workspaces=false
{{- end }}
- --home-workspaces-home-creator-groups={{ join "," .creatorGroups }}
{{- end }}
{{- if not .Values.apiService.create }}
- --host-apiservice=
{{- end }}
{{- if include "annex.certificateSecret" . }}
- --tls-cert-file=/etc/annex/tls/tls.crt
- --tls-private-key-file=/etc/annex/tls/tls.key
{{- with include "annex.certificateCAKey" . }}
- --serving-ca-file=/etc/annex/tls/{{ . }}
{{- end }}
{{- else }}
{{- range include "annex.certificateNames" . | fromJsonArray }}
- --tls-san={{ . }}
{{- end }}
{{- end }}
{{- with .Values.etcd }}
{{- if .endpoints }}
- --etcd-servers={{ join "," .endpoints }}
{{- with .overrides }}
- --etcd-servers-overrides={{ join "," . }}
{{- end }}
{{- if .tls.existingSecret }}
{{- with .tls.caKey }}
- --etcd-cafile=/etc/annex/etcd/{{ . }}
{{- end }}
{{- if .tls.certKey }}
- --etcd-certfile=/etc/annex/etcd/{{ .tls.certKey }}
- --etcd-keyfile=/etc/annex/etcd/{{ .tls.keyKey }}
{{- end }}
{{- end }}
{{- end }}
- --etcd-prefix={{ .prefix }}
{{- end }}
{{- if .Values.audit.policy }}
- --audit-policy-file=/etc/annex/audit/policy.yaml
- --audit-log-path={{ .Values.audit.logPath }}
{{- if .Values.audit.webhook.existingSecret }}
- --audit-webhook-config-file=/etc/annex/audit-webhook/{{ .Values.audit.webhook.key }}
{{- end }}
{{- end }}
{{- if .Values.encryption.existingSecret }}
- --encryption-provider-config=/etc/annex/encryption/{{ .Values.encryption.key }}
{{- if .Values.encryption.automaticReload }}
- --encryption-provider-config-automatic-reload
{{- end }}
{{- end }}
{{- if .Values.tracing.endpoint }}
- --tracing-config-file=/etc/annex/tracing/tracing.yaml
{{- end }}
{{- if .Values.tokenAuth.existingSecret }}
- --token-auth-file=/etc/annex/tokens/{{ .Values.tokenAuth.key }}
{{- end }}
{{- if .Values.clientCA.existingConfigMap }}
- --client-ca-file=/etc/annex/client-ca/{{ .Values.clientCA.key }}
{{- if .Values.clientCA.masters }}
- --client-ca-masters
{{- end }}
{{- end }}
{{- with .Values.authentication }}
{{- if .config }}
- --authentication-config=/etc/annex/authentication/config.yaml
{{- else if .existingConfigMap }}
- --authentication-config=/etc/annex/authentication/{{ .key }}
{{- end }}
{{- if .webhook.existingSecret }}
- --authentication-token-webhook-config-file=/etc/annex/token-webhook/{{ .webhook.key }}
- --authentication-token-webhook-version={{ .webhook.version }}
{{- end }}
{{- end }}
{{- with .Values.authorization }}
- --authorization-order={{ join "," .order }}
{{- if .webhook.existingSecret }}
- --authorization-webhook-config-file=/etc/annex/authorization-webhook/{{ .webhook.key }}
- --authorization-webhook-version={{ .webhook.version }}
{{- end }}
{{- end }}
{{- with .Values.webhooks.allowCIDRs }}
- --webhook-allow-cidr={{ join "," . }}
{{- end }}
{{- with .Values.webhooks.denyCIDRs }}
- --webhook-deny-cidr={{ join "," . }}
{{- end }}
{{- if .Values.webhooks.hostServices }}
- --webhook-host-services
{{- end }}
{{- with .Values.mounts }}
{{- if .existingSecret }}
- --mount-proxy-client-cert-file=/etc/annex/mounts/{{ .certKey }}
- --mount-proxy-client-key-file=/etc/annex/mounts/{{ .keyKey }}
{{- with .caKey }}
- --mount-proxy-ca-file=/etc/annex/mounts/{{ . }}
{{- end }}
{{- end }}
{{- end }}
- --shutdown-delay-duration={{ include "annex.shutdownDelay" . }}s
- --shutdown-watch-termination-grace-period={{ int .Values.shutdown.watchGraceSeconds }}s
{{- with dig "limits" "memory" "" (.Values.resources | default dict) }}
- --memory-budget={{ . }}
{{- end }}
- --v={{ int .Values.logLevel }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
