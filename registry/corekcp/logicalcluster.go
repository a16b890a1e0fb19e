package corekcp

import (
	"maps"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/core/validation"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/registry/kind"
)

// LogicalClusterColumns returns what kubectl get logicalclusters shows after the name.
func LogicalClusterColumns() []apiextensionsv1.CustomResourceColumnDefinition {
	return []apiextensionsv1.CustomResourceColumnDefinition{
		{Name: "Phase", Type: "string", JSONPath: ".status.phase", Description: "Where the logical cluster stands in its life"},
		{Name: "URL", Type: "string", JSONPath: ".status.URL", Description: "Address of the logical cluster"},
		{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
	}
}

func logicalClusterKind(external func() string) *kind.Kind[corev1alpha1.LogicalCluster, *corev1alpha1.LogicalCluster] {
	return &kind.Kind[corev1alpha1.LogicalCluster, *corev1alpha1.LogicalCluster]{
		Version:              corev1alpha1.SchemeGroupVersion.Version,
		Resource:             corev1alpha1.Resource("logicalclusters"),
		Singular:             "logicalcluster",
		List:                 func() runtime.Object { return &corev1alpha1.LogicalClusterList{} },
		Columns:              LogicalClusterColumns(),
		Spec:                 func(lc *corev1alpha1.LogicalCluster) any { return &lc.Spec },
		CopyStatus:           func(to, from *corev1alpha1.LogicalCluster) { to.Status = *from.Status.DeepCopy() },
		Prepare:              prepareLogicalCluster,
		Validate:             validation.ValidateLogicalCluster,
		ValidateUpdate:       validation.ValidateLogicalClusterUpdate,
		ValidateStatusUpdate: validation.ValidateLogicalClusterStatusUpdate,
		Render: func(lc *corev1alpha1.LogicalCluster) {
			if name := logicalcluster.From(lc); !name.Empty() {
				lc.Status.URL = external() + "/clusters/" + name.String()
			}
		},
	}
}

// prepareLogicalCluster sets what follows from the rest of a LogicalCluster.
func prepareLogicalCluster(lc, _ *corev1alpha1.LogicalCluster) {
	lc.Status.URL = ""
	if lc.Status.Phase == "" {
		lc.Status.Phase = corev1alpha1.LogicalClusterPhaseScheduling
	}
	if phase := string(lc.Status.Phase); lc.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != phase {
		labels := maps.Clone(lc.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[tenancyv1alpha1.WorkspacePhaseLabel] = phase
		lc.Labels = labels
	}
}
