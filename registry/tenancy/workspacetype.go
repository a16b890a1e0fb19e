package tenancy

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/apis/tenancy/validation"
	"github.com/annex-dev/annex/registry/kind"
)

// WorkspaceTypeColumns returns what kubectl get workspacetypes shows after the name.
func WorkspaceTypeColumns() []apiextensionsv1.CustomResourceColumnDefinition {
	return []apiextensionsv1.CustomResourceColumnDefinition{
		{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
	}
}

func workspaceTypeKind() *kind.Kind[tenancyv1alpha1.WorkspaceType, *tenancyv1alpha1.WorkspaceType] {
	return &kind.Kind[tenancyv1alpha1.WorkspaceType, *tenancyv1alpha1.WorkspaceType]{
		Version:              tenancyv1alpha1.SchemeGroupVersion.Version,
		Resource:             tenancyv1alpha1.Resource("workspacetypes"),
		Singular:             "workspacetype",
		Short:                []string{"wst"},
		List:                 func() runtime.Object { return &tenancyv1alpha1.WorkspaceTypeList{} },
		Columns:              WorkspaceTypeColumns(),
		Spec:                 func(wt *tenancyv1alpha1.WorkspaceType) any { return &wt.Spec },
		CopyStatus:           func(to, from *tenancyv1alpha1.WorkspaceType) { to.Status = *from.Status.DeepCopy() },
		Validate:             validation.ValidateWorkspaceType,
		ValidateUpdate:       validation.ValidateWorkspaceTypeUpdate,
		ValidateStatusUpdate: validation.ValidateWorkspaceTypeStatusUpdate,
	}
}
