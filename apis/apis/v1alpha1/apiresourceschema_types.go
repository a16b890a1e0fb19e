package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// APIResourceSchema says what a resource looks like, for use in an APIExport. It serves nothing by itself and never
// changes: a new form of the resource is a new APIResourceSchema.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIResourceSchema struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The name is a prefix of the author's choice, the plural and the group,
	// joined by dots, such as v260801-1a2b3c.widgets.example.com.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the resource looks like.
	// +required
	Spec APIResourceSchemaSpec `json:"spec"`
}

// APIResourceSchemaSpec is what a resource looks like.
type APIResourceSchemaSpec struct {
	// group is the API group of the resource. The core group, written as the empty string, is not supported yet.
	// +required
	Group string `json:"group"`
	// names are what the resource is called.
	// +required
	Names apiextensionsv1.CustomResourceDefinitionNames `json:"names"`
	// scope says whether objects live in namespaces: Namespaced or Cluster.
	// +required
	Scope apiextensionsv1.ResourceScope `json:"scope"`
	// versions are the versions of the resource. Exactly one of them is the storage version.
	// +required
	// +listType=map
	// +listMapKey=name
	Versions []APIResourceVersion `json:"versions"`
	// nameValidation says which names objects may have: DNS1123Subdomain, or PathSegmentName, which is not supported yet.
	// +optional
	// +default="DNS1123Subdomain"
	NameValidation string `json:"nameValidation,omitempty"`
	// conversion says how objects are converted between versions. It is needed when there are several.
	// +optional
	Conversion *CustomResourceConversion `json:"conversion,omitempty"`
}

// Values of nameValidation.
const (
	// NameValidationDNS1123Subdomain allows names as most kinds of Kubernetes have them.
	NameValidationDNS1123Subdomain = "DNS1123Subdomain"
	// NameValidationPathSegmentName allows every name that can stand in a URL, such as system:admin.
	NameValidationPathSegmentName = "PathSegmentName"
)

// APIResourceVersion is one version of a resource.
type APIResourceVersion struct {
	// name is the name of the version, such as v1 or v1beta1.
	// +required
	Name string `json:"name"`
	// served says whether the version is served. Left out, it is.
	// +optional
	// +default=true
	Served *bool `json:"served,omitempty"`
	// storage says whether objects are stored in this version.
	// +required
	Storage bool `json:"storage"`
	// deprecated makes the server warn clients that use this version.
	// +optional
	Deprecated bool `json:"deprecated,omitempty"`
	// deprecationWarning is the warning, if the usual one does not do.
	// +optional
	DeprecationWarning *string `json:"deprecationWarning,omitempty"`
	// schema is the structural OpenAPI v3 schema of the resource, as in a CustomResourceDefinition.
	// +required
	// +k8s:validation:opaqueType
	Schema runtime.RawExtension `json:"schema"`
	// subresources are those that the resource has.
	// +optional
	Subresources apiextensionsv1.CustomResourceSubresources `json:"subresources,omitempty"`
	// additionalPrinterColumns are the columns that kubectl get shows. Left out, it is the age.
	// +optional
	// +listType=map
	// +listMapKey=name
	AdditionalPrinterColumns []apiextensionsv1.CustomResourceColumnDefinition `json:"additionalPrinterColumns,omitempty"`
	// selectableFields are those that field selectors may ask for, beside name and namespace.
	// +optional
	// +listType=atomic
	SelectableFields []apiextensionsv1.SelectableField `json:"selectableFields,omitempty"`
}

// CustomResourceConversion says how objects are converted between versions.
type CustomResourceConversion struct {
	// strategy is None, which changes nothing but the apiVersion, or Webhook, which is not supported yet.
	// +required
	Strategy ConversionStrategyType `json:"strategy"`
	// webhook is whom to ask when the strategy is Webhook.
	// +optional
	Webhook *WebhookConversion `json:"webhook,omitempty"`
}

// ConversionStrategyType is a way of converting.
// +enum
type ConversionStrategyType string

const (
	// NoneConverter changes nothing but the apiVersion.
	NoneConverter ConversionStrategyType = "None"
	// WebhookConverter asks a webhook.
	WebhookConverter ConversionStrategyType = "Webhook"
)

// WebhookConversion is a webhook that converts.
type WebhookConversion struct {
	// clientConfig says how to reach it.
	// +optional
	ClientConfig *WebhookClientConfig `json:"clientConfig,omitempty"`
	// conversionReviewVersions are the versions of ConversionReview that it understands, best first.
	// +required
	// +listType=atomic
	ConversionReviewVersions []string `json:"conversionReviewVersions"`
}

// WebhookClientConfig says how to reach a webhook.
type WebhookClientConfig struct {
	// url is its address, with https.
	// +optional
	URL string `json:"url,omitempty"`
	// caBundle holds the certificates, in PEM, that its certificate is checked with. Left out, it is those of the system.
	// +optional
	CABundle []byte `json:"caBundle,omitempty"`
}

// APIResourceSchemaList is a list of APIResourceSchemas.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type APIResourceSchemaList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []APIResourceSchema `json:"items"`
}
