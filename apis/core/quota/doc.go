// Package quota contains what ResourceQuotas count in a workspace, and when one more object exceeds them. It is pure:
// registry/storage/owners counts and refuses, and controllers/quota writes the status.
//
// A workspace has no pods, so a quota can only limit numbers of objects, under the names that Kubernetes has for them: count/RESOURCE.GROUP
// for every resource, and configmaps, secrets and resourcequotas. Everything else in spec.hard limits nothing here and is
// shown as 0 used. So does a quota with scopes, as in Kubernetes: only pods and volume claims are in scopes.
//
// A quota is for its namespace. If it has [ClusterScopedAnnotationKey], it is for the whole workspace: it limits the objects of all namespaces
// together, and those of cluster-scoped resources.
package quota
