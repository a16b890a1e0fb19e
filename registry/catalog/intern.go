package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/registry/room"
)

// digest hashes a sequence of strings without ambiguity.
type digest struct{ hash.Hash }

func newDigest() digest { return digest{sha256.New()} }

func (d digest) add(parts ...string) {
	for _, part := range parts {
		fmt.Fprintf(d, "%d:%s;", len(part), part)
	}
}

func (d digest) flag(on bool) {
	if on {
		d.add("1")
	} else {
		d.add("0")
	}
}

func (d digest) sum() string { return hex.EncodeToString(d.Sum(nil)[:16]) }

// longAgo is when every definition handed to the CRD handler was established: the handler delays creates for two seconds
// after that moment.
var longAgo = metav1.NewTime(time.Unix(0, 0).UTC())

// Definition returns the definition that CRD stands for in a Resource: the same for all that have equal spec and names,
// with its hash as UID. The names are those that were accepted, or the wanted ones when none were yet.
func (c *Catalog) Definition(crd *apiextensionsv1.CustomResourceDefinition) (definition *apiextensionsv1.CustomResourceDefinition, err error) {
	room.Large(crd.Size(), func() { definition, err = c.definition(crd) })
	return definition, err
}

func (c *Catalog) definition(crd *apiextensionsv1.CustomResourceDefinition) (*apiextensionsv1.CustomResourceDefinition, error) {
	names := crd.Status.AcceptedNames
	if names.Plural == "" {
		names = crd.Spec.Names
	}
	if names.Singular == "" {
		names.Singular = strings.ToLower(names.Kind)
	}
	if names.ListKind == "" {
		names.ListKind = names.Kind + "List"
	}
	reduced := apiextensionsv1.CustomResourceDefinitionSpec{
		Group:                 crd.Spec.Group,
		Names:                 names,
		Scope:                 crd.Spec.Scope,
		Versions:              crd.Spec.Versions,
		Conversion:            crd.Spec.Conversion,
		PreserveUnknownFields: crd.Spec.PreserveUnknownFields,
	}
	if reduced.Conversion == nil {
		reduced.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.NoneConverter}
	}
	content, err := json.Marshal(reduced)
	if err != nil {
		return nil, fmt.Errorf("hashing the schema of CustomResourceDefinition %q: %w", crd.Name, err)
	}
	rules, converts := crd.Annotations[apisv1alpha2.AnnotationConversionKey]
	if converts {
		content = append(content, rules...) // after the end of the JSON
	}
	validation, named := crd.Annotations[apisv1alpha2.AnnotationNameValidationKey]
	if named {
		content = append(append(content, 0), validation...) // no JSON has this byte
	}
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:16])
	if known := c.definitions.Get(hash); known != nil {
		return known, nil
	}
	condition := func(kind apiextensionsv1.CustomResourceDefinitionConditionType) apiextensionsv1.CustomResourceDefinitionCondition {
		return apiextensionsv1.CustomResourceDefinitionCondition{Type: kind, Status: apiextensionsv1.ConditionTrue, LastTransitionTime: longAgo}
	}
	// Before the lock of the pool, which all clusters need.
	made := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: names.Plural + "." + crd.Spec.Group, UID: types.UID(hash), CreationTimestamp: longAgo},
		Spec:       *reduced.DeepCopy(),
		Status: apiextensionsv1.CustomResourceDefinitionStatus{
			AcceptedNames:  *names.DeepCopy(),
			StoredVersions: []string{storageVersion(crd)},
			Conditions:     []apiextensionsv1.CustomResourceDefinitionCondition{condition(apiextensionsv1.NamesAccepted), condition(apiextensionsv1.Established)},
		},
	}
	if converts {
		metav1.SetMetaDataAnnotation(&made.ObjectMeta, apisv1alpha2.AnnotationConversionKey, rules)
	}
	if named {
		metav1.SetMetaDataAnnotation(&made.ObjectMeta, apisv1alpha2.AnnotationNameValidationKey, validation)
	}
	return c.definitions.GetOrPut(hash, func() *apiextensionsv1.CustomResourceDefinition { return made }), nil
}

func storageVersion(crd *apiextensionsv1.CustomResourceDefinition) string {
	for _, version := range crd.Spec.Versions {
		if version.Storage {
			return version.Name
		}
	}
	return ""
}
