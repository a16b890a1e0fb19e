package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// APIResourceSchema describes a resource for use in an APIExport. By itself it serves nothing. It never changes: to change the
// resource, create a new APIResourceSchema.
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
	// spec describes the resource.
	// +required
	Spec APIResourceSchemaSpec `json:"spec"`
}

// APIResourceSchemaSpec describes a resource.
type APIResourceSchemaSpec struct {
	// group is the API group of the resource. The core group, written as the empty string, is not supported yet.
	// +required
	Group string `json:"group"`
	// names are the names of the resource and its kind.
	// +required
	Names apiextensionsv1.CustomResourceDefinitionNames `json:"names"`
	// scope says whether objects are in namespaces: Namespaced or Cluster.
	// +required
	Scope apiextensionsv1.ResourceScope `json:"scope"`
	// versions are the versions of the resource. Exactly one of them is the storage version.
	// +required
	// +listType=map
	// +listMapKey=name
	Versions []APIResourceVersion `json:"versions"`
	// nameValidation says which names objects may have: DNS1123Subdomain, as for most kinds, or PathSegmentName, which also allows names such as system:admin.
	// +optional
	// +default="DNS1123Subdomain"
	NameValidation string `json:"nameValidation,omitempty"`
	// conversion says how objects are converted between versions. It is required if there are several versions.
	// +optional
	Conversion *CustomResourceConversion `json:"conversion,omitempty"`
}

// Values of nameValidation.
const (
	// NameValidationDNS1123Subdomain allows the same names as most kinds of Kubernetes.
	NameValidationDNS1123Subdomain = "DNS1123Subdomain"
	// NameValidationPathSegmentName allows every name that is valid in a URL, such as system:admin.
	NameValidationPathSegmentName = "PathSegmentName"
)

// APIResourceVersion is one version of a resource.
type APIResourceVersion struct {
	// name is the name of the version, such as v1 or v1beta1.
	// +required
	Name string `json:"name"`
	// served says whether the version is served. If not set, it is true.
	// +optional
	// +default=true
	Served *bool `json:"served,omitempty"`
	// storage says whether objects are stored in this version.
	// +required
	Storage bool `json:"storage"`
	// deprecated makes the server warn clients that use this version.
	// +optional
	Deprecated bool `json:"deprecated,omitempty"`
	// deprecationWarning replaces the default warning.
	// +optional
	DeprecationWarning *string `json:"deprecationWarning,omitempty"`
	// schema is the structural OpenAPI v3 schema of the resource, as in a CustomResourceDefinition.
	// +required
	// +k8s:validation:opaqueType
	Schema runtime.RawExtension `json:"schema"`
	// subresources are the subresources of the resource.
	// +optional
	Subresources apiextensionsv1.CustomResourceSubresources `json:"subresources,omitempty"`
	// additionalPrinterColumns are the columns that kubectl get shows. If not set, kubectl shows the age.
	// +optional
	// +listType=map
	// +listMapKey=name
	AdditionalPrinterColumns []apiextensionsv1.CustomResourceColumnDefinition `json:"additionalPrinterColumns,omitempty"`
	// selectableFields are the fields that field selectors may use, in addition to name and namespace.
	// +optional
	// +listType=atomic
	SelectableFields []apiextensionsv1.SelectableField `json:"selectableFields,omitempty"`
}

// CustomResourceConversion says how objects are converted between versions.
type CustomResourceConversion struct {
	// strategy is None or Webhook. With None, the APIConversion of the same name converts objects. If there is none, only the apiVersion changes.
	// +required
	Strategy ConversionStrategyType `json:"strategy"`
	// webhook is the webhook to call if the strategy is Webhook.
	// +optional
	Webhook *WebhookConversion `json:"webhook,omitempty"`
}

// ConversionStrategyType is a conversion strategy.
// +enum
type ConversionStrategyType string

const (
	// NoneConverter changes only the apiVersion, unless there is an APIConversion.
	NoneConverter ConversionStrategyType = "None"
	// WebhookConverter calls a webhook.
	WebhookConverter ConversionStrategyType = "Webhook"
)

// WebhookConversion is a webhook that converts.
type WebhookConversion struct {
	// clientConfig says how to reach the webhook.
	// +optional
	ClientConfig *WebhookClientConfig `json:"clientConfig,omitempty"`
	// conversionReviewVersions are the versions of ConversionReview that the webhook supports, in order of preference.
	// +required
	// +listType=atomic
	ConversionReviewVersions []string `json:"conversionReviewVersions"`
}

// WebhookClientConfig says how to reach a webhook.
type WebhookClientConfig struct {
	// url is the address of the webhook, with https.
	// +optional
	URL string `json:"url,omitempty"`
	// caBundle contains the CA certificates, in PEM format, that verify the certificate of the webhook. If not set, those of the system are used.
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
