package apis

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/apis/validation"
	"github.com/annex-dev/annex/registry/kind"
)

func exportKind() *kind.Kind[apisv1alpha2.APIExport, *apisv1alpha2.APIExport] {
	return &kind.Kind[apisv1alpha2.APIExport, *apisv1alpha2.APIExport]{
		Version:              v1alpha2,
		Resource:             apisv1alpha2.Resource("apiexports"),
		Singular:             "apiexport",
		List:                 func() runtime.Object { return &apisv1alpha2.APIExportList{} },
		Columns:              []apiextensionsv1.CustomResourceColumnDefinition{age},
		Spec:                 func(export *apisv1alpha2.APIExport) any { return &export.Spec },
		CopyStatus:           func(to, from *apisv1alpha2.APIExport) { to.Status = *from.Status.DeepCopy() },
		Validate:             validation.ValidateAPIExport,
		ValidateUpdate:       validation.ValidateAPIExportUpdate,
		ValidateStatusUpdate: validation.ValidateAPIExportStatusUpdate,
	}
}

// age is the column that every kind shows.
var age = apiextensionsv1.CustomResourceColumnDefinition{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"}

// olderExportColumns returns the columns of apiexports in v1alpha1.
func olderExportColumns() []apiextensionsv1.CustomResourceColumnDefinition {
	return []apiextensionsv1.CustomResourceColumnDefinition{
		{Name: "Ready", Type: "string", Description: "Whether the addresses of the virtual workspaces are known",
			JSONPath: `.status.conditions[?(@.type=="VirtualWorkspaceURLsReady")].status`},
		age,
	}
}
