// Package hostquota applies ResourceQuotas of the host to objects in the host workspace that are in a namespace of the host, such as
// WorkspaceClaims and WorkspaceAccesses. kube-apiserver applies quotas only to what it stores itself, so count/workspaceclaims.annex.dev of a quota on
// the host is without effect unless this server applies it.
//
// The rules are those of k8s.io/apiserver (pkg/admission/plugin/resourcequota). Its plugin is not used: it needs an informer for all quotas of the
// host, where this one reads those of one namespace when something is created there. As in Kubernetes, what is used is written to the
// status of the quota before the object is stored, in competition with everybody who does the same, so a quota is never exceeded. The host's
// kube-controller-manager counts again when objects are deleted, and corrects what a failed creation has left.
//
// It fails closed: if the quotas cannot be read or written, nothing is created.
package hostquota
