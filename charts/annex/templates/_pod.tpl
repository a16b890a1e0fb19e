{{/*
The pod of the StatefulSet and of the Deployment. Takes a dict: root (the context), and data, the source of the volume "data"
as a dict, or nothing when the StatefulSet makes it.
*/}}
{{- define "annex.podTemplate" -}}
{{- $root := .root -}}
{{- with $root -}}
metadata:
  annotations:
    kubectl.kubernetes.io/default-container: annex
    {{- if .Values.audit.policy }}
    # The server reads its audit policy when it starts.
    checksum/audit-policy: {{ toJson .Values.audit.policy | sha256sum }}
    {{- end }}
    {{- if .Values.tracing.endpoint }}
    checksum/tracing: {{ toJson .Values.tracing | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "annex.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "annex.serviceAccountName" . }}
  # The server is a client of the host.
  automountServiceAccountToken: true
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  # Time for the delay, the watches, requests in flight (one minute), and etcd.
  terminationGracePeriodSeconds: {{ add (int (include "annex.shutdownDelay" .)) (int .Values.shutdown.watchGraceSeconds) 65 }}
  containers:
    - name: annex
      image: {{ include "annex.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- include "annex.args" . | nindent 8 }}
      {{- with .Values.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: https
          containerPort: 6443
          protocol: TCP
      startupProbe:
        httpGet:
          path: /livez
          port: https
          scheme: HTTPS
        {{- toYaml .Values.startupProbe | nindent 8 }}
      livenessProbe:
        httpGet:
          path: /livez
          port: https
          scheme: HTTPS
        {{- toYaml .Values.livenessProbe | nindent 8 }}
      # This probe checks neither etcd nor KMS plugins. Without them, the server still answers the host's discovery from memory. A Service without
      # endpoints would prevent the host from deleting namespaces, including its own.
      readinessProbe:
        httpGet:
          path: /readyz?exclude=etcd&exclude=watch-caches{{ if and .Values.encryption.existingSecret .Values.encryption.automaticReload }}&exclude=kms-providers{{ end }}
          port: https
          scheme: HTTPS
        {{- toYaml .Values.readinessProbe | nindent 8 }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /var/lib/annex
        - name: tmp
          mountPath: /tmp
        {{- if include "annex.certificateSecret" . }}
        - name: tls
          mountPath: /etc/annex/tls
          readOnly: true
        {{- end }}
        {{- if .Values.etcd.tls.existingSecret }}
        - name: etcd-tls
          mountPath: /etc/annex/etcd
          readOnly: true
        {{- end }}
        {{- if .Values.audit.policy }}
        - name: audit
          mountPath: /etc/annex/audit
          readOnly: true
        {{- end }}
        {{- if .Values.audit.webhook.existingSecret }}
        - name: audit-webhook
          mountPath: /etc/annex/audit-webhook
          readOnly: true
        {{- end }}
        {{- if .Values.encryption.existingSecret }}
        - name: encryption
          mountPath: /etc/annex/encryption
          readOnly: true
        {{- end }}
        {{- if .Values.tracing.endpoint }}
        - name: tracing
          mountPath: /etc/annex/tracing
          readOnly: true
        {{- end }}
        {{- if .Values.tokenAuth.existingSecret }}
        - name: tokens
          mountPath: /etc/annex/tokens
          readOnly: true
        {{- end }}
        {{- if .Values.clientCA.existingConfigMap }}
        - name: client-ca
          mountPath: /etc/annex/client-ca
          readOnly: true
        {{- end }}
        {{- if or .Values.authentication.config .Values.authentication.existingConfigMap }}
        - name: authentication
          mountPath: /etc/annex/authentication
          readOnly: true
        {{- end }}
        {{- if .Values.authentication.webhook.existingSecret }}
        - name: token-webhook
          mountPath: /etc/annex/token-webhook
          readOnly: true
        {{- end }}
        {{- if .Values.authorization.webhook.existingSecret }}
        - name: authorization-webhook
          mountPath: /etc/annex/authorization-webhook
          readOnly: true
        {{- end }}
        {{- if .Values.mounts.existingSecret }}
        - name: mounts
          mountPath: /etc/annex/mounts
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- with $.data }}
    - name: data
      {{- toYaml . | nindent 6 }}
    {{- end }}
    - name: tmp
      emptyDir: {}
    {{- with include "annex.certificateSecret" . }}
    - name: tls
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with .Values.etcd.tls.existingSecret }}
    - name: etcd-tls
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- if .Values.audit.policy }}
    - name: audit
      configMap:
        name: {{ include "annex.fullname" . }}-audit
    {{- end }}
    {{- with .Values.audit.webhook.existingSecret }}
    - name: audit-webhook
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with .Values.encryption.existingSecret }}
    - name: encryption
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- if .Values.tracing.endpoint }}
    - name: tracing
      configMap:
        name: {{ include "annex.fullname" . }}-tracing
    {{- end }}
    {{- with .Values.tokenAuth.existingSecret }}
    - name: tokens
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with .Values.clientCA.existingConfigMap }}
    - name: client-ca
      configMap:
        name: {{ . }}
    {{- end }}
    {{- if or .Values.authentication.config .Values.authentication.existingConfigMap }}
    - name: authentication
      configMap:
        name: {{ .Values.authentication.existingConfigMap | default (printf "%s-authentication" (include "annex.fullname" .)) }}
    {{- end }}
    {{- with .Values.authentication.webhook.existingSecret }}
    - name: token-webhook
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with .Values.authorization.webhook.existingSecret }}
    - name: authorization-webhook
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with .Values.mounts.existingSecret }}
    - name: mounts
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if gt (int (include "annex.replicas" .)) 1 }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "annex.selectorLabels" $root | nindent 10 }}
    {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}
