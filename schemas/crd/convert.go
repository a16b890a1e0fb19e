package crd

import (
	"encoding/json"
	"errors"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// FromSchema returns the CustomResourceDefinition that serves the resource of schema, called plural.group, defaulted, with
// status.storedVersions set and no conditions. Nothing in it is shared with schema. The error names the version
// whose JSON is not a schema. Call Validate to check whether the result is valid.
func FromSchema(schema *apisv1alpha1.APIResourceSchema) (*apiextensionsv1.CustomResourceDefinition, error) {
	spec := schema.Spec.DeepCopy()
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: spec.Names.Plural + "." + spec.Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: spec.Group,
			Names: spec.Names,
			Scope: spec.Scope,
		},
	}
	if approved, ok := schema.Annotations[apiextensionsv1.KubeAPIApprovedAnnotation]; ok {
		crd.Annotations = map[string]string{apiextensionsv1.KubeAPIApprovedAnnotation: approved}
	}
	if spec.NameValidation == apisv1alpha1.NameValidationPathSegmentName {
		metav1.SetMetaDataAnnotation(&crd.ObjectMeta, apisv1alpha2.AnnotationNameValidationKey, spec.NameValidation)
	}
	for i := range spec.Versions {
		version, err := fromVersion(&spec.Versions[i])
		if err != nil {
			return nil, fmt.Errorf("reading version %q of schema %q: %w", spec.Versions[i].Name, schema.Name, err)
		}
		crd.Spec.Versions = append(crd.Spec.Versions, version)
	}
	if c := spec.Conversion; c != nil {
		crd.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.ConversionStrategyType(c.Strategy)}
		if w := c.Webhook; w != nil {
			crd.Spec.Conversion.Webhook = &apiextensionsv1.WebhookConversion{ConversionReviewVersions: w.ConversionReviewVersions}
			if w.ClientConfig != nil {
				crd.Spec.Conversion.Webhook.ClientConfig = &apiextensionsv1.WebhookClientConfig{
					URL: ptr.To(w.ClientConfig.URL), CABundle: w.ClientConfig.CABundle,
				}
			}
		}
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
	return crd, nil
}

// Bound returns the CustomResourceDefinition that serves the resource of schema to workspaces that bind it. It is like FromSchema,
// but its name is the UID of the schema, and it has annotations that identify the schema and contain the rules of conversion, which may be nil.
func Bound(schema *apisv1alpha1.APIResourceSchema, conversion *apisv1alpha1.APIConversion) (*apiextensionsv1.CustomResourceDefinition, error) {
	if schema.UID == "" {
		return nil, fmt.Errorf("schema %q has no UID", schema.Name)
	}
	crd, err := FromSchema(schema)
	if err != nil {
		return nil, err
	}
	crd.Name = string(schema.UID)
	metav1.SetMetaDataAnnotation(&crd.ObjectMeta, apisv1alpha2.AnnotationBoundCRDKey, "")
	metav1.SetMetaDataAnnotation(&crd.ObjectMeta, apisv1alpha2.AnnotationSchemaClusterKey, logicalcluster.From(schema).String())
	metav1.SetMetaDataAnnotation(&crd.ObjectMeta, apisv1alpha2.AnnotationSchemaNameKey, schema.Name)
	return crd, SetConversion(crd, conversion)
}

// HasPathSegmentNames reports whether objects of crd may have every name that is valid in a URL.
func HasPathSegmentNames(crd *apiextensionsv1.CustomResourceDefinition) bool {
	return crd.Annotations[apisv1alpha2.AnnotationNameValidationKey] == apisv1alpha1.NameValidationPathSegmentName
}

// Converts reports whether an APIConversion can convert the objects of schema: it has several versions and no webhook.
func Converts(schema *apisv1alpha1.APIResourceSchema) bool {
	c := schema.Spec.Conversion
	return len(schema.Spec.Versions) > 1 && (c == nil || c.Strategy == apisv1alpha1.NoneConverter)
}

// SetConversion makes the rules of conversion those by which crd converts; none if it is nil.
func SetConversion(crd *apiextensionsv1.CustomResourceDefinition, conversion *apisv1alpha1.APIConversion) error {
	if conversion == nil {
		delete(crd.Annotations, apisv1alpha2.AnnotationConversionKey)
		return nil
	}
	data, err := json.Marshal(&conversion.Spec)
	if err != nil {
		return fmt.Errorf("encoding the rules of APIConversion %q: %w", conversion.Name, err)
	}
	metav1.SetMetaDataAnnotation(&crd.ObjectMeta, apisv1alpha2.AnnotationConversionKey, string(data))
	return nil
}

// Conversion returns the rules by which crd converts; nil if there are none.
func Conversion(crd *apiextensionsv1.CustomResourceDefinition) (*apisv1alpha1.APIConversionSpec, error) {
	data, ok := crd.Annotations[apisv1alpha2.AnnotationConversionKey]
	if !ok {
		return nil, nil
	}
	spec := &apisv1alpha1.APIConversionSpec{}
	if err := json.Unmarshal([]byte(data), spec); err != nil {
		return nil, fmt.Errorf("decoding the rules by which %q converts: %w", crd.Name, err)
	}
	return spec, nil
}

func fromVersion(v *apisv1alpha1.APIResourceVersion) (apiextensionsv1.CustomResourceDefinitionVersion, error) {
	props, err := ParseSchema(v.Schema)
	if err != nil {
		return apiextensionsv1.CustomResourceDefinitionVersion{}, err
	}
	out := apiextensionsv1.CustomResourceDefinitionVersion{
		Name:                     v.Name,
		Served:                   ptr.Deref(v.Served, true),
		Storage:                  v.Storage,
		Deprecated:               v.Deprecated,
		DeprecationWarning:       v.DeprecationWarning,
		Schema:                   &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: props},
		AdditionalPrinterColumns: v.AdditionalPrinterColumns,
		SelectableFields:         v.SelectableFields,
	}
	if v.Subresources.Status != nil || v.Subresources.Scale != nil {
		out.Subresources = &v.Subresources
	}
	return out, nil
}

// ParseSchema reads the schema of a version. The error says why it is not one.
func ParseSchema(raw runtime.RawExtension) (*apiextensionsv1.JSONSchemaProps, error) {
	data := raw.Raw
	if len(data) == 0 && raw.Object != nil {
		var err error
		if data, err = json.Marshal(raw.Object); err != nil {
			return nil, fmt.Errorf("encoding the schema: %w", err)
		}
	}
	if len(data) == 0 || string(data) == "null" {
		return nil, errors.New("the schema is missing")
	}
	props := &apiextensionsv1.JSONSchemaProps{}
	if err := json.Unmarshal(data, props); err != nil {
		return nil, fmt.Errorf("decoding the schema: %w", err)
	}
	return props, nil
}

// ToSchema returns the APIResourceSchema that is equivalent to crd, called prefix.plural.group. It returns an error if an
// APIResourceSchema cannot express crd.
func ToSchema(crd *apiextensionsv1.CustomResourceDefinition, prefix string) (*apisv1alpha1.APIResourceSchema, error) {
	crd = crd.DeepCopy()
	apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
	schema := &apisv1alpha1.APIResourceSchema{
		ObjectMeta: metav1.ObjectMeta{Name: prefix + "." + crd.Spec.Names.Plural + "." + crd.Spec.Group},
		Spec: apisv1alpha1.APIResourceSchemaSpec{
			Group: crd.Spec.Group, Names: crd.Spec.Names, Scope: crd.Spec.Scope, NameValidation: apisv1alpha1.NameValidationDNS1123Subdomain,
		},
	}
	if approved, ok := crd.Annotations[apiextensionsv1.KubeAPIApprovedAnnotation]; ok {
		schema.Annotations = map[string]string{apiextensionsv1.KubeAPIApprovedAnnotation: approved}
	}
	switch c := crd.Spec.Conversion; {
	case c.Strategy == apiextensionsv1.WebhookConverter:
		if c.Webhook == nil || c.Webhook.ClientConfig == nil || c.Webhook.ClientConfig.URL == nil {
			return nil, fmt.Errorf("CustomResourceDefinition %q converts by a webhook without a url: an APIResourceSchema cannot refer to a service", crd.Name)
		}
		schema.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.WebhookConverter, Webhook: &apisv1alpha1.WebhookConversion{
			ConversionReviewVersions: c.Webhook.ConversionReviewVersions,
			ClientConfig:             &apisv1alpha1.WebhookClientConfig{URL: *c.Webhook.ClientConfig.URL, CABundle: c.Webhook.ClientConfig.CABundle},
		}}
	case c.Strategy != apiextensionsv1.NoneConverter:
		return nil, fmt.Errorf("CustomResourceDefinition %q converts with strategy %s, which does not exist", crd.Name, c.Strategy)
	case len(crd.Spec.Versions) > 1:
		schema.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.NoneConverter}
	}
	for _, v := range crd.Spec.Versions {
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			return nil, fmt.Errorf("version %q of CustomResourceDefinition %q has no schema", v.Name, crd.Name)
		}
		raw, err := json.Marshal(v.Schema.OpenAPIV3Schema)
		if err != nil {
			return nil, fmt.Errorf("encoding the schema of version %q of CustomResourceDefinition %q: %w", v.Name, crd.Name, err)
		}
		schema.Spec.Versions = append(schema.Spec.Versions, apisv1alpha1.APIResourceVersion{
			Name: v.Name, Served: ptr.To(v.Served), Storage: v.Storage, Deprecated: v.Deprecated, DeprecationWarning: v.DeprecationWarning,
			Schema:                   runtime.RawExtension{Raw: raw},
			Subresources:             ptr.Deref(v.Subresources, apiextensionsv1.CustomResourceSubresources{}),
			AdditionalPrinterColumns: v.AdditionalPrinterColumns,
			SelectableFields:         v.SelectableFields,
		})
	}
	return schema, nil
}
