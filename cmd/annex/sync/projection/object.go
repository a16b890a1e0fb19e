package projection

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/names"
	"github.com/annex-dev/annex/cmd/annex/sync/path"
)

// Converter converts objects of one resource. It is safe for concurrent use.
type Converter struct {
	Plan
	names        names.Scheme
	metadata     config.Metadata
	spec, status []rule
	references   []reference
}

// reference is a field with names of related objects, which get other names in the service cluster.
type reference struct {
	path    path.Path
	related *config.Related
}

// NewConverter returns a converter for the objects of r.
func NewConverter(r *config.Resource, plan Plan, scheme names.Scheme) (*Converter, error) {
	c := &Converter{Plan: plan, names: scheme, metadata: r.Metadata}
	var err error
	if c.spec, err = compile(r.Mutation.Spec); err != nil {
		return nil, err
	}
	if c.status, err = compile(r.Mutation.Status); err != nil {
		return nil, err
	}
	for i := range r.Related {
		related := &r.Related[i]
		if related.Reference == "" {
			continue
		}
		p, err := path.Parse(related.Reference)
		if err != nil {
			return nil, fmt.Errorf("preparing related objects %s: %w", related.ID, err)
		}
		if p.Root() != "status" {
			c.references = append(c.references, reference{p, related})
		}
	}
	return c, nil
}

// ServiceName returns the namespace and the name of the counterpart of the object called key.
func (c *Converter) ServiceName(key client.Key) (namespace, name string) {
	if c.ServiceNamespaced {
		namespace = c.names.Namespace(key)
	}
	return namespace, c.names.Name(key, c.ServiceNamespaced)
}

// RelatedNamespace returns the namespace of the service cluster that has related objects of the object called key.
func (c *Converter) RelatedNamespace(related *config.Related, key client.Key) string {
	if related.ServiceNamespace != "" {
		return related.ServiceNamespace
	}
	return c.names.Namespace(key)
}

// RelatedName returns the name in the service cluster of a related object that is called name in the workspace of the object called key.
func (c *Converter) RelatedName(related *config.Related, key client.Key, name string) string {
	of := client.Key{Cluster: key.Cluster, Namespace: WorkspaceNamespace(related, key), Name: name}
	if related.ServiceNamespace != "" {
		return c.names.Unique(of)
	}
	return c.names.Name(of, true)
}

// WorkspaceNamespace returns the namespace in the workspace that has related objects of the object called key.
func WorkspaceNamespace(related *config.Related, key client.Key) string {
	if key.Namespace != "" {
		return key.Namespace
	}
	return related.Namespace
}

// variables are those of rules.
func (c *Converter) variables(key client.Key) map[string]string {
	_, name := c.ServiceName(key)
	return map[string]string{
		"cluster": string(key.Cluster), "namespace": key.Namespace, "name": key.Name,
		"serviceNamespace": c.names.Namespace(key), "serviceName": name,
	}
}

// ToService returns what the agent applies to the counterpart of obj. It wraps ErrForbidden if the rules refuse obj.
func (c *Converter) ToService(obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	out := obj.DeepCopy()
	for _, field := range []string{"metadata", "status"} {
		delete(out.Object, field)
	}
	out.SetGroupVersionKind(c.Service)
	key := client.KeyOf(obj)
	// First the rules, which know the names that the user has written.
	if err := apply(c.spec, out.Object, c.variables(key)); err != nil {
		return nil, err
	}
	for _, r := range c.references {
		r.path.Change(out.Object, func(name string) string {
			if name == "" {
				return ""
			}
			return c.RelatedName(r.related, key, name)
		})
	}
	delete(out.Object, "metadata")
	namespace, name := c.ServiceName(key)
	out.SetNamespace(namespace)
	out.SetName(name)
	out.SetLabels(listed(obj.GetLabels(), c.metadata.Labels))
	out.SetAnnotations(listed(obj.GetAnnotations(), c.metadata.Annotations))
	c.names.Mark(out, obj)
	applied, err := hash(out.Object)
	if err != nil {
		return nil, err
	}
	annotations := out.GetAnnotations()
	annotations[names.AppliedAnnotation] = applied
	out.SetAnnotations(annotations)
	return out, nil
}

// listed returns those of all whose keys the configuration lists.
func listed(all map[string]string, keys []string) map[string]string {
	var out map[string]string
	for key, value := range all {
		if key == logicalcluster.AnnotationKey {
			continue
		}
		for _, pattern := range keys {
			prefix, several := strings.CutSuffix(pattern, "*")
			if key == pattern || (several && strings.HasPrefix(key, prefix)) {
				if out == nil {
					out = map[string]string{}
				}
				out[key] = value
			}
		}
	}
	return out
}
