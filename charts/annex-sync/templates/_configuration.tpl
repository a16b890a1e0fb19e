{{/*
The SyncConfiguration as JSON, after the faults that matter to the chart. `annex sync --check` finds all others: the agent reads the file strictly.
*/}}
{{- define "annex-sync.configuration" -}}
{{- if not .Values.configuration -}}
{{- fail "configuration is required: --set-file configuration=sync.yaml" -}}
{{- end -}}
{{- $c := fromYaml .Values.configuration -}}
{{- if $c.Error -}}
{{- fail (printf "configuration: %s" $c.Error) -}}
{{- end -}}
{{- if or (ne (toString $c.apiVersion) "annex.dev/v1alpha1") (ne (toString $c.kind) "SyncConfiguration") -}}
{{- fail "configuration: it is not a SyncConfiguration of annex.dev/v1alpha1" -}}
{{- end -}}
{{- if not (and $c.export (kindIs "string" $c.export)) -}}
{{- fail "configuration: export is required" -}}
{{- end -}}
{{- if not (and $c.resources (kindIs "slice" $c.resources)) -}}
{{- fail "configuration: resources is required" -}}
{{- end -}}
{{- range $i, $r := $c.resources -}}
{{- if not (and (kindIs "map" $r) (get $r "group") (get $r "resource")) -}}
{{- fail (printf "configuration: resources[%d]: group and resource are required" $i) -}}
{{- end -}}
{{- range $j, $related := $r.related -}}
{{- if not (has (get $related "resource") (list "secrets" "configmaps")) -}}
{{- fail (printf "configuration: resources[%d].related[%d].resource: must be secrets or configmaps" $i $j) -}}
{{- end -}}
{{- if not (has (get $related "origin") (list "Service" "Workspace")) -}}
{{- fail (printf "configuration: resources[%d].related[%d].origin: must be Service or Workspace" $i $j) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $c.service -}}
{{- fail "configuration: service: the chart runs the agent in the service cluster, with the ServiceAccount of its pod" -}}
{{- end -}}
{{- $workspace := $c.workspace | default dict -}}
{{- if and (get $workspace "path") .Values.workspaceSecret -}}
{{- fail "workspaceSecret: the configuration reaches the workspace through the service cluster, by workspace.path" -}}
{{- end -}}
{{- if not (get $workspace "path") -}}
{{- if not .Values.workspaceSecret -}}
{{- fail "workspaceSecret: required, because the configuration has no workspace.path" -}}
{{- end -}}
{{- if ne (toString (get $workspace "kubeconfig")) "/etc/annex-sync/workspace/kubeconfig" -}}
{{- fail "configuration: workspace.kubeconfig: must be /etc/annex-sync/workspace/kubeconfig, where workspaceSecret is mounted" -}}
{{- end -}}
{{- end -}}
{{- toJson $c -}}
{{- end -}}

{{/*
The verbs on Secrets or ConfigMaps in the service cluster: copies are written there only for the origin Workspace. Empty if there is no such entry.
*/}}
{{- define "annex-sync.relatedVerbs" -}}
{{- $verbs := "" -}}
{{- range .configuration.resources -}}
{{- range .related -}}
{{- if eq .resource $.resource -}}
{{- if eq .origin "Workspace" -}}
{{- $verbs = "get, list, watch, create, update, delete" -}}
{{- else if not $verbs -}}
{{- $verbs = "get, list, watch" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $verbs -}}
{{- end -}}
