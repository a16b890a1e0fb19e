package apis

import (
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/schemas/validation"
)

// conversionKind checks what an object alone tells. Whether the rules fit the APIResourceSchema is for server/admission/sharing.
func conversionKind() *kinds.Kind[apisv1alpha1.APIConversion, *apisv1alpha1.APIConversion] {
	return &kinds.Kind[apisv1alpha1.APIConversion, *apisv1alpha1.APIConversion]{
		ValidateCreate: validation.ValidateAPIConversion,
		ValidateUpdate: validation.ValidateAPIConversionUpdate,
	}
}
