package openapi

import (
	"sync"
	"unique"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
)

// usual returns the pieces that the parts of most custom resources have: the types of metadata, and the parameters of requests. They are
// found in the part of a resource without a schema. What a tenant writes is none of them, whatever the name of its kind: it is the text that
// counts. If there were no such part, nothing would be usual, and all bytes would be counted.
var usual = sync.OnceValue(func() map[unique.Handle[string]]bool {
	pieces := map[unique.Handle[string]]bool{}
	names := apiextensionsv1.CustomResourceDefinitionNames{Plural: "usuals", Singular: "usual", Kind: "Usual", ListKind: "UsualList"}
	spec, err := builder.BuildOpenAPIV3(&apiextensionsv1.CustomResourceDefinition{
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "usual.annex.dev", Scope: apiextensionsv1.NamespaceScoped, Names: names,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Subresources: &apiextensionsv1.CustomResourceSubresources{
				Status: &apiextensionsv1.CustomResourceSubresourceStatus{}, Scale: &apiextensionsv1.CustomResourceSubresourceScale{},
			}}},
		},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{AcceptedNames: names},
	}, "v1", builder.Options{})
	if err != nil {
		return pieces
	}
	part, err := NewPart(spec)
	if err != nil {
		return pieces
	}
	for _, entries := range [][]entry{part.paths, part.schemas} {
		for _, e := range entries {
			for _, piece := range e.text {
				pieces[piece] = true
			}
		}
	}
	return pieces
})
