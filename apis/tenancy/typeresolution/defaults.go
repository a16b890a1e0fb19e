package typeresolution

import (
	"encoding/json"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// DefaultBinding is an export that is bound in new workspaces.
type DefaultBinding struct {
	Path   logicalcluster.Path
	Export string
	// Cluster is the one for which the author of the type was allowed to bind the export; empty if that is not known. A path may
	// lead to the workspace of somebody else by now.
	Cluster logicalcluster.Name
}

// Binding returns the default binding to b in cluster, before it is bound. Its name is a function of cluster and export.
func (b DefaultBinding) Binding(cluster logicalcluster.Name) *apisv1alpha2.APIBinding {
	binding := &apisv1alpha2.APIBinding{
		ObjectMeta: metav1.ObjectMeta{Name: identity.DefaultBindingName(cluster, b.Path, b.Export), Finalizers: []string{apisv1alpha2.APIBindingFinalizer}},
		Spec: apisv1alpha2.APIBindingSpec{Reference: apisv1alpha2.BindingReference{
			Export: &apisv1alpha2.ExportBindingReference{Path: b.Path.String(), Name: b.Export},
		}},
	}
	if !b.Cluster.Empty() {
		binding.Labels = map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: identity.ExportLabelValue(b.Cluster, b.Export)}
	}
	return binding
}

// Maintained returns the default bindings of those types among aliases that maintain theirs for as long as a workspace exists.
func Maintained(aliases []*Type) []DefaultBinding {
	return DefaultAPIBindings(slices.DeleteFunc(slices.Clone(aliases), func(t *Type) bool { return !maintains(t) }))
}

func maintains(t *Type) bool {
	mode := t.Spec.DefaultAPIBindingLifecycle
	return mode != nil && *mode == tenancyv1alpha1.APIBindingLifecycleModeMaintain
}

// DefaultAPIBindings returns the exports that are bound in a new workspace with these aliases, each once, in their order.
// If a reference has no path, it is the path of the type that lists the export.
func DefaultAPIBindings(aliases []*Type) []DefaultBinding {
	var all []DefaultBinding
	for _, t := range aliases {
		for _, ref := range t.Spec.DefaultAPIBindings {
			b := DefaultBinding{Path: logicalcluster.Path(ref.Path), Export: ref.Export, Cluster: ClusterOf(t, ref)}
			if b.Path.Empty() {
				b.Path = Path(t)
			}
			i := slices.IndexFunc(all, func(o DefaultBinding) bool { return o.Path == b.Path && o.Export == b.Export })
			switch {
			case i < 0:
				all = append(all, b)
			case all[i].Cluster.Empty():
				all[i].Cluster = b.Cluster
			}
		}
	}
	return all
}

// ClusterOf returns the cluster that t records for one of its default exports; empty if there is none.
func ClusterOf(t *Type, ref tenancyv1alpha1.APIExportReference) logicalcluster.Name {
	var clusters map[string]logicalcluster.Name
	// Only admission writes the annotation. A type of an earlier version has none.
	if json.Unmarshal([]byte(t.Annotations[tenancyv1alpha1.DefaultExportClustersAnnotationKey]), &clusters) != nil {
		return ""
	}
	return clusters[exportKey(ref)]
}

// RecordExportClusters makes t record, for each of its default exports, the cluster that clusterOf returns, unless it is empty.
func RecordExportClusters(t *Type, clusterOf func(tenancyv1alpha1.APIExportReference) (logicalcluster.Name, error)) error {
	clusters := map[string]logicalcluster.Name{}
	for _, ref := range t.Spec.DefaultAPIBindings {
		cluster, err := clusterOf(ref)
		if err != nil {
			return err
		}
		if !cluster.Empty() {
			clusters[exportKey(ref)] = cluster
		}
	}
	annotations := maps.Clone(t.Annotations)
	delete(annotations, tenancyv1alpha1.DefaultExportClustersAnnotationKey)
	if len(clusters) > 0 {
		data, err := json.Marshal(clusters)
		if err != nil {
			return err
		}
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[tenancyv1alpha1.DefaultExportClustersAnnotationKey] = string(data)
	}
	t.Annotations = annotations
	return nil
}

// exportKey returns the key of an export in the annotation.
func exportKey(ref tenancyv1alpha1.APIExportReference) string { return ref.Path + ":" + ref.Export }
