
# Install Annex, as docs/install.md says.
helm --kube-context host install annex charts/annex --namespace annex-system --create-namespace >/dev/null
kubectl --context host wait --for=condition=Available --timeout=3m apiservice/v1alpha1.tenancy.kcp.io
helm --kube-context host test annex --namespace annex-system >/dev/null

# The cluster lets its users send requests to workspaces. What they may do there, each workspace decides.
kubectl --context host create clusterrolebinding platform --clusterrole=annex-workspace-admin --user=platform
kubectl --context host create clusterrolebinding workspace-users --clusterrole=annex-workspace-user --user=provider --user=team-a --user=team-b
kubectl --context host create clusterrole provider --verb='*' --resource=apiexports.apis.kcp.io/proxy
kubectl --context host create clusterrolebinding provider --clusterrole=provider --user=provider

# The platform engineer creates an organization with a workspace for each team, and makes the team its administrator.
kubectl annex create acme --type root:organization
for team in provider team-a team-b; do
  kubectl annex create $team --workspace :root:acme --create-context admin-$team
  kubectl --context admin-$team create clusterrolebinding admin --clusterrole=cluster-admin --user=$team
done

# The provider publishes an API, and lets the teams bind it.
kubectl annex --context provider publish -f examples/widgets/crd.yaml --export gadgets
kubectl --context provider create -f - <<end
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: bind-gadgets}
rules: [{apiGroups: [apis.kcp.io], resources: [apiexports], resourceNames: [gadgets], verbs: [bind]}]
end
kubectl --context provider create clusterrolebinding bind-gadgets --clusterrole=bind-gadgets --user=team-a --user=team-b

# Each team binds the API, and team a uses it.
for team in team-a team-b; do
  kubectl annex --context $team bind apiexport root:acme:provider:gadgets
done
kubectl --context team-a create -f - <<end
{apiVersion: example.org/v1, kind: Gadget, metadata: {name: first, namespace: default}, spec: {wheels: 4}}
end
