package projection

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"github.com/annex-dev/annex/cmd/annex/sync/config"
)

// Plan is how a resource is on both sides. Plans of equal content are equal.
type Plan struct {
	// Consumer and Service are the kinds, in the version that is synchronized.
	Consumer, Service schema.GroupVersionKind
	// Resource is that of the consumers, for messages.
	Resource schema.GroupResource
	// ConsumerNamespaced and ServiceNamespaced are the scopes.
	ConsumerNamespaced, ServiceNamespaced bool
	// Status is whether the status is a subresource, on both sides.
	Status bool
}

// Definition returns the CustomResourceDefinition that consumers see of source, and the plan for its objects. The error says what cannot be
// offered.
func Definition(source *apiextensionsv1.CustomResourceDefinition, r *config.Resource) (*apiextensionsv1.CustomResourceDefinition, Plan, error) {
	versions, err := offered(source, r.Versions)
	if err != nil {
		return nil, Plan{}, fmt.Errorf("offering CustomResourceDefinition %q: %w", source.Name, err)
	}
	out := &apiextensionsv1.CustomResourceDefinition{}
	spec := source.Spec.DeepCopy()
	out.Spec = apiextensionsv1.CustomResourceDefinitionSpec{Group: spec.Group, Names: spec.Names, Scope: spec.Scope, Versions: versions}
	if approved, ok := source.Annotations[apiextensionsv1.KubeAPIApprovedAnnotation]; ok && (r.Projection == nil || r.Projection.Group == "") {
		out.Annotations = map[string]string{apiextensionsv1.KubeAPIApprovedAnnotation: approved}
	}
	project(&out.Spec, r.Projection)
	out.Name = out.Spec.Names.Plural + "." + out.Spec.Group
	storage := out.Spec.Versions[slices.IndexFunc(versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Storage })]
	return out, Plan{
		Consumer:           schema.GroupVersionKind{Group: out.Spec.Group, Version: storage.Name, Kind: out.Spec.Names.Kind},
		Service:            schema.GroupVersionKind{Group: source.Spec.Group, Version: storage.Name, Kind: source.Spec.Names.Kind},
		Resource:           schema.GroupResource{Group: out.Spec.Group, Resource: out.Spec.Names.Plural},
		ConsumerNamespaced: out.Spec.Scope == apiextensionsv1.NamespaceScoped,
		ServiceNamespaced:  source.Spec.Scope == apiextensionsv1.NamespaceScoped,
		Status:             storage.Subresources != nil && storage.Subresources.Status != nil,
	}, nil
}

// offered returns the versions that consumers see, exactly one of them as that of the storage.
func offered(source *apiextensionsv1.CustomResourceDefinition, wanted []string) ([]apiextensionsv1.CustomResourceDefinitionVersion, error) {
	converts := source.Spec.Conversion != nil && source.Spec.Conversion.Strategy == apiextensionsv1.WebhookConverter
	var served []apiextensionsv1.CustomResourceDefinitionVersion
	for _, v := range source.Spec.Versions {
		if v.Served && v.Schema != nil {
			served = append(served, *v.DeepCopy())
		}
	}
	// The newest first, as `kubectl` prefers them.
	slices.SortFunc(served, func(a, b apiextensionsv1.CustomResourceDefinitionVersion) int {
		return version.CompareKubeAwareVersionStrings(b.Name, a.Name)
	})
	isStorage := func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Storage }
	kept := served
	switch {
	case len(wanted) > 0:
		kept = nil
		for _, name := range wanted {
			at := slices.IndexFunc(served, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == name })
			if at < 0 {
				return nil, fmt.Errorf("version %q is not served", name)
			}
			kept = append(kept, served[at])
		}
		if len(kept) > 1 && converts {
			return nil, fmt.Errorf("a webhook of the service cluster converts between its versions, which consumers cannot use: offer one version, not %s", strings.Join(wanted, ", "))
		}
	case converts:
		// The webhook knows all versions, but only at the service cluster.
		at := max(0, slices.IndexFunc(served, isStorage))
		kept = served[min(at, len(served)):min(at+1, len(served))]
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("no version is served")
	}
	if !slices.ContainsFunc(kept, isStorage) {
		kept[0].Storage = true
	}
	return kept, nil
}

// project replaces names.
func project(spec *apiextensionsv1.CustomResourceDefinitionSpec, p *config.Projection) {
	if p == nil {
		return
	}
	if p.Group != "" {
		spec.Group = p.Group
	}
	if p.Scope != "" {
		spec.Scope = apiextensionsv1.ResourceScope(p.Scope)
	}
	if p.Kind != "" {
		spec.Names.Kind, spec.Names.ListKind = p.Kind, p.Kind+"List"
	}
	if p.Plural != "" {
		spec.Names.Plural = p.Plural
	}
	switch {
	case p.Singular != "":
		spec.Names.Singular = p.Singular
	case p.Kind != "":
		spec.Names.Singular = strings.ToLower(p.Kind)
	}
	if p.ShortNames != nil {
		spec.Names.ShortNames = p.ShortNames
	} else if p.Kind != "" || p.Plural != "" {
		// They stand for the other name.
		spec.Names.ShortNames = nil
	}
	if p.Categories != nil {
		spec.Names.Categories = p.Categories
	}
}

// Hash returns a hash of what a CustomResourceDefinition says.
func Hash(definition *apiextensionsv1.CustomResourceDefinition) (string, error) {
	return hash(struct {
		Annotations map[string]string
		Spec        apiextensionsv1.CustomResourceDefinitionSpec
	}{definition.Annotations, definition.Spec})
}

func hash(value any) (string, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("hashing: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:10]), nil
}
