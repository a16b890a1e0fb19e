package config

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// The kind of the file.
const (
	APIVersion = "annex.dev/v1alpha1"
	Kind       = "SyncConfiguration"
)

// SyncConfiguration says which resources of a service cluster are offered to workspaces, and how their objects are kept in step.
type SyncConfiguration struct {
	metav1.TypeMeta `json:",inline"`
	// Agent names this agent on all that it makes, in a label. It never changes. Default: the name of the export.
	Agent string `json:"agent,omitempty"`
	// Export is the name of the APIExport, in the provider's workspace.
	Export string `json:"export"`
	// Workspace is the provider's workspace.
	Workspace Workspace `json:"workspace"`
	// Service is the cluster that the operator runs in. Default: that of the pod, or of the current context.
	Service Access `json:"service,omitempty"`
	// Naming says where objects of consumers are in the service cluster.
	Naming Naming `json:"naming,omitempty"`
	// Resources are offered by the export.
	Resources []Resource `json:"resources"`
}

// Access is a kubeconfig.
type Access struct {
	// Kubeconfig is a file. Default: the files in KUBECONFIG, then ~/.kube/config, then the cluster of the pod.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Context of the kubeconfig. Default: the current one.
	Context string `json:"context,omitempty"`
}

// Workspace says how to reach a workspace: by Path through the service cluster, which is a host of Annex, or by a kubeconfig.
type Workspace struct {
	// Path is an absolute path, such as root:providers:certificates.
	Path   string `json:"path,omitempty"`
	Access `json:",inline"`
}

// Layout says what consumers' objects share in the service cluster.
type Layout string

// The layouts.
const (
	// NamespacePerNamespace gives each namespace of each consumer a namespace. Objects keep their names, so that references by name hold.
	NamespacePerNamespace Layout = "NamespacePerNamespace"
	// NamespacePerConsumer gives each consumer a namespace. Names of objects get a hash.
	NamespacePerConsumer Layout = "NamespacePerConsumer"
	// SingleNamespace puts all objects into one namespace that exists. Names of objects get a hash.
	SingleNamespace Layout = "SingleNamespace"
)

// Naming says where objects are in the service cluster.
type Naming struct {
	// Layout is NamespacePerNamespace by default.
	Layout Layout `json:"layout,omitempty"`
	// NamespacePrefix begins the names of namespaces that the agent makes. Default: "sync-".
	NamespacePrefix string `json:"namespacePrefix,omitempty"`
	// Namespace is that of the layout SingleNamespace.
	Namespace string `json:"namespace,omitempty"`
	// NamespaceLabels are put on namespaces that the agent makes, such as pod-security.kubernetes.io/enforce: restricted.
	NamespaceLabels map[string]string `json:"namespaceLabels,omitempty"`
	// KeepNamespaces leaves namespaces that the agent made when the last object in them has been deleted. By default, they are deleted with all
	// that the operator left in them.
	KeepNamespaces bool `json:"keepNamespaces,omitempty"`
}

// Resource is one resource of the service cluster.
type Resource struct {
	// Group and Resource name a CustomResourceDefinition, such as cert-manager.io and certificates.
	Group    string `json:"group"`
	Resource string `json:"resource"`
	// Versions are those that are offered. Default: all that are served, or only the storage version if a webhook converts between them.
	Versions []string `json:"versions,omitempty"`
	// Projection says what consumers see instead of the names in the CustomResourceDefinition.
	Projection *Projection `json:"projection,omitempty"`
	// Filter says which objects are synchronized. Default: all.
	Filter *Filter `json:"filter,omitempty"`
	// Metadata says which labels and annotations of consumers go to the service cluster. Default: none.
	Metadata Metadata `json:"metadata,omitempty"`
	// Mutation changes objects on their way.
	Mutation Mutation `json:"mutation,omitempty"`
	// Related are Secrets and ConfigMaps that belong to an object.
	Related []Related `json:"related,omitempty"`
}

// Projection replaces names of a CustomResourceDefinition. What is empty stays as it is.
type Projection struct {
	Group      string   `json:"group,omitempty"`
	Kind       string   `json:"kind,omitempty"`
	Plural     string   `json:"plural,omitempty"`
	Singular   string   `json:"singular,omitempty"`
	ShortNames []string `json:"shortNames,omitempty"`
	Categories []string `json:"categories,omitempty"`
	// Scope is Cluster or Namespaced.
	Scope string `json:"scope,omitempty"`
}

// Filter selects objects of consumers.
type Filter struct {
	Labels *metav1.LabelSelector `json:"labels,omitempty"`
	// Namespaces selects by the labels of the namespace. It adds a permission claim on namespaces.
	Namespaces *metav1.LabelSelector `json:"namespaces,omitempty"`
}

// Metadata lists keys of labels and annotations. A key that ends with /* stands for all keys with that prefix.
type Metadata struct {
	Labels      []string `json:"labels,omitempty"`
	Annotations []string `json:"annotations,omitempty"`
}

// Mutation changes objects. Rules are applied in their order.
type Mutation struct {
	// Spec is applied to objects on the way to the service cluster.
	Spec []Rule `json:"spec,omitempty"`
	// Status is applied on the way back.
	Status []Rule `json:"status,omitempty"`
}

// Rule has exactly one field.
type Rule struct {
	// Set sets a field. Strings in the value may have the variables $(cluster), $(namespace), $(name), $(serviceNamespace) and $(serviceName).
	Set *SetRule `json:"set,omitempty"`
	// Delete removes fields.
	Delete *PathRule `json:"delete,omitempty"`
	// Replace changes strings.
	Replace *ReplaceRule `json:"replace,omitempty"`
	// Forbid refuses objects that have any of the fields. Only for the way to the service cluster.
	Forbid *PathRule `json:"forbid,omitempty"`
}

// SetRule sets a field to a value.
type SetRule struct {
	Path  string                `json:"path"`
	Value *runtime.RawExtension `json:"value"`
}

// PathRule names fields.
type PathRule struct {
	Path string `json:"path"`
}

// ReplaceRule replaces what a regular expression matches in strings.
type ReplaceRule struct {
	Path        string `json:"path"`
	Pattern     string `json:"pattern"`
	Replacement string `json:"replacement"`
}

// Origin is the side that a related object is copied from.
type Origin string

// The origins.
const (
	FromService   Origin = "Service"
	FromWorkspace Origin = "Workspace"
)

// Related are Secrets or ConfigMaps that belong to an object, and are copied to the other side. Exactly one of Name, Reference, Selector and
// Owned finds them; Selector may be added to Name and Reference, as a condition.
type Related struct {
	// ID identifies the entry in messages.
	ID string `json:"id"`
	// Resource is secrets or configmaps.
	Resource string `json:"resource"`
	// Origin is Service or Workspace.
	Origin Origin `json:"origin"`
	// Name is a name with the variable $(name), which is the name of the object on each side, such as $(name)-credentials.
	Name string `json:"name,omitempty"`
	// Reference is a path in the object to fields that have names, such as spec.secretName.
	Reference string `json:"reference,omitempty"`
	// Selector selects by labels, at the origin.
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
	// Owned are those that the object owns, at the origin.
	Owned bool `json:"owned,omitempty"`
	// Keys are those that are copied. Default: all.
	Keys []string `json:"keys,omitempty"`
	// Namespace is that in the workspace, for objects of consumers without a namespace.
	Namespace string `json:"namespace,omitempty"`
	// ServiceNamespace is a namespace of the service cluster that exists, for operators that look only there. Copies get a hash in their names
	// there. Only for the origin Workspace.
	ServiceNamespace string `json:"serviceNamespace,omitempty"`
}
