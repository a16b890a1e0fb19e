package identity

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// AcceptedFor reports whether binding, an APIBinding or a HostBinding, was accepted for the export called name in cluster. Its label
// says so, which only admission writes, after it has checked the permission. Without a label, it is the first cluster that the binding
// found; bound is status.apiExportClusterName.
//
// A path is no identity: when a workspace is deleted, somebody else may get its path, and create an export of the same name.
func AcceptedFor(binding metav1.Object, bound string, cluster logicalcluster.Name, name string) bool {
	if label := binding.GetLabels()[apisv1alpha2.InternalAPIBindingExportLabelKey]; label != "" {
		return label == ExportLabelValue(cluster, name)
	}
	return bound == "" || bound == cluster.String()
}

// ProviderChanged returns the message for a binding that was not accepted for the export in cluster, to which its path leads. resource
// is what kubectl calls the binding.
func ProviderChanged(resource string, binding metav1.Object, path string, cluster logicalcluster.Name) string {
	return fmt.Sprintf("the path %s now leads to another workspace (logical cluster %s) than the one that this binding was accepted for. "+
		"Somebody else may own it, so its APIExport is not bound. To bind it, which requires the verb bind on it, run: "+
		"kubectl annotate --overwrite %s %s %s=%s", path, cluster, resource, binding.GetName(), apisv1alpha2.AcceptProviderAnnotationKey, cluster)
}
