package apis

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/schemas/validation"
)

func exportKind() *kinds.Kind[apisv1alpha2.APIExport, *apisv1alpha2.APIExport] {
	return &kinds.Kind[apisv1alpha2.APIExport, *apisv1alpha2.APIExport]{
		ValidateCreate:       validation.ValidateAPIExport,
		ValidateUpdate:       validation.ValidateAPIExportUpdate,
		ValidateStatusUpdate: validation.ValidateAPIExportStatusUpdate,
	}
}

// olderExportColumns returns the columns of apiexports in v1alpha1.
func olderExportColumns() []apiextensionsv1.CustomResourceColumnDefinition {
	return []apiextensionsv1.CustomResourceColumnDefinition{
		{Name: "Ready", Type: "string", Description: "Whether the addresses of the virtual workspaces are known",
			JSONPath: `.status.conditions[?(@.type=="VirtualWorkspaceURLsReady")].status`},
		{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
	}
}
