package bootstrap

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kube-openapi/pkg/util"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/kinds"
)

// schemaEpoch is the prefix of the name of every schema that is created here. It is the date of this naming scheme. The hash after it
// distinguishes schemas of one resource.
const schemaEpoch = "v261122"

// schemaOf returns the APIResourceSchema of a resource. Its name contains the hash of its content.
func schemaOf(models *models, row *kinds.Row) (*apisv1alpha1.APIResourceSchema, error) {
	named, ok := row.Object.(util.OpenAPIModelNamer)
	if !ok {
		return nil, fmt.Errorf("making the schema of %s: %T has no OpenAPI model", row.Resource, row.Object)
	}
	structural, err := models.structural(named.OpenAPIModelName())
	if err != nil {
		return nil, fmt.Errorf("making the schema of %s: %w", row.Resource, err)
	}
	served := true
	version := apisv1alpha1.APIResourceVersion{
		Name:                     row.GroupVersion().Version,
		Served:                   &served,
		Storage:                  true,
		Schema:                   runtime.RawExtension{Raw: structural},
		AdditionalPrinterColumns: row.Columns,
	}
	if row.Status != kinds.NoStatus {
		version.Subresources.Status = &apiextensionsv1.CustomResourceSubresourceStatus{}
	}
	spec := apisv1alpha1.APIResourceSchemaSpec{
		Group: row.GroupResource().Group,
		Names: apiextensionsv1.CustomResourceDefinitionNames{
			Plural: row.Resource, Singular: row.Singular, Kind: row.Kind(), ListKind: row.Kind() + "List", ShortNames: row.ShortNames, Categories: row.Categories,
		},
		Scope:    apiextensionsv1.ClusterScoped,
		Versions: []apisv1alpha1.APIResourceVersion{version},
	}
	if row.Namespaced {
		spec.Scope = apiextensionsv1.NamespaceScoped
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("hashing the schema of %s: %w", row.Resource, err)
	}
	sum := sha256.Sum256(raw)
	return &apisv1alpha1.APIResourceSchema{
		ObjectMeta: metav1.ObjectMeta{
			Name:        fmt.Sprintf("%s-%s.%s", schemaEpoch, hex.EncodeToString(sum[:4]), row.GroupResource()),
			Annotations: map[string]string{logicalcluster.PathAnnotationKey: logicalcluster.Root.String()},
		},
		Spec: spec,
	}, nil
}

// keptExtensions are the OpenAPI extensions that a structural schema supports.
var keptExtensions = map[string]bool{
	"x-kubernetes-list-type":               true,
	"x-kubernetes-list-map-keys":           true,
	"x-kubernetes-map-type":                true,
	"x-kubernetes-int-or-string":           true,
	"x-kubernetes-embedded-resource":       true,
	"x-kubernetes-preserve-unknown-fields": true,
	"x-kubernetes-validations":             true,
}

func keep(key string) bool { return !strings.HasPrefix(key, "x-") || keptExtensions[key] }
