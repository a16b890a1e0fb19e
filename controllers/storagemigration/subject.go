package storagemigration

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/identity"
	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// fault is why objects cannot be migrated.
type fault struct{ reason, message string }

func faultf(reason, format string, args ...any) *fault {
	return &fault{reason, fmt.Sprintf(format, args...)}
}

// subject is what a migration is about. Two that are equal are the same.
type subject struct {
	cluster  logicalcluster.Name
	resource schema.GroupResource
	bucket   string
	export   string    // empty for a CustomResourceDefinition
	schema   string    // the name of the APIResourceSchema; empty for a CustomResourceDefinition
	uid      types.UID // of the APIResourceSchema, or of the CustomResourceDefinition
	version  string    // in which objects are stored now
}

// resolve returns what a migration is about now, or the fault.
func (r *reconciler) resolve(ctx context.Context, m *annexv1alpha1.APIStorageMigration) (subject, *fault, error) {
	s := subject{cluster: logicalcluster.From(m), resource: schema.ParseGroupResource(m.Spec.Resource), export: m.Spec.Export}
	if s.export == "" {
		return r.resolveDefinition(ctx, s)
	}
	export, err := client.FindNow[apisv1alpha2.APIExport](ctx, r.Client, r.Live, exports, client.Key{Cluster: s.cluster, Name: s.export})
	if err != nil {
		return s, nil, err
	}
	if export == nil {
		return s, faultf(annexv1alpha1.APIExportNotFoundReason, "there is no APIExport %q in this workspace", s.export), nil
	}
	if s.bucket = export.Status.IdentityHash; s.bucket == "" {
		return s, faultf(annexv1alpha1.MissingIdentityHashReason, "APIExport %q has no identity yet", s.export), nil
	}
	at := slices.IndexFunc(export.Spec.Resources, func(o apisv1alpha2.ResourceSchema) bool {
		return o.Group == s.resource.Group && o.Name == s.resource.Resource
	})
	if at < 0 {
		return s, faultf(annexv1alpha1.ResourceNotFoundReason, "APIExport %q does not have %s", s.export, s.resource), nil
	}
	if export.Spec.Resources[at].Storage.Virtual != nil {
		return s, faultf(annexv1alpha1.MigrationVirtualReason, "the objects of %s are in virtual storage, which this server does not write", s.resource), nil
	}
	s.schema = export.Spec.Resources[at].Schema
	source, err := client.FindNow[apisv1alpha1.APIResourceSchema](ctx, r.Client, r.Live, schemas, client.Key{Cluster: s.cluster, Name: s.schema})
	if err != nil {
		return s, nil, err
	}
	if source == nil {
		return s, faultf(annexv1alpha1.APIResourceSchemaNotFoundReason, "there is no APIResourceSchema %q, which APIExport %q names", s.schema, s.export), nil
	}
	s.uid = source.UID
	for _, v := range source.Spec.Versions {
		if v.Storage {
			s.version = v.Name
		}
	}
	return s, nil, nil
}

// resolveDefinition completes s for a CustomResourceDefinition.
func (r *reconciler) resolveDefinition(ctx context.Context, s subject) (subject, *fault, error) {
	s.bucket = client.LocalBucket
	crd, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.Live, definitions, client.Key{Cluster: s.cluster, Name: s.resource.String()})
	if err != nil {
		return s, nil, err
	}
	if crd == nil || !apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established) {
		return s, faultf(annexv1alpha1.ResourceNotFoundReason, "there is no CustomResourceDefinition %q in this workspace that is established. For a resource of an APIExport, set spec.export",
			s.resource.String()), nil
	}
	s.uid = crd.UID
	s.version, err = apihelpers.GetCRDStorageVersion(crd)
	return s, nil, err
}

// bindings returns the APIBindings to the APIExport of s in cluster, or in all clusters if it is empty. They are as they are now.
func (r *reconciler) bindings(ctx context.Context, s *subject, cluster logicalcluster.Name) ([]*apisv1alpha2.APIBinding, error) {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, r.Live, bindings, client.Scope{Cluster: cluster, Selector: identity.BindingsTo(s.cluster, s.export)})
	if err != nil {
		return nil, fmt.Errorf("listing the consumers of APIExport %q: %w", s.export, err)
	}
	return all, nil
}

// consumers returns the clusters that have objects of s, in order.
func (r *reconciler) consumers(ctx context.Context, s *subject) ([]logicalcluster.Name, error) {
	if s.export == "" {
		return []logicalcluster.Name{s.cluster}, nil
	}
	all, err := r.bindings(ctx, s, "")
	if err != nil {
		return nil, err
	}
	var found []logicalcluster.Name
	for _, binding := range all {
		if s.boundBy(binding) != nil {
			found = append(found, logicalcluster.Name(strings.Clone(logicalcluster.From(binding).String())))
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil // a workspace may bind an export twice
}

// boundBy returns the entry of a binding for s; nil if there is none.
func (s *subject) boundBy(binding *apisv1alpha2.APIBinding) *apisv1alpha2.BoundAPIResource {
	if bound := lifecycle.Resource(binding, s.resource); bound != nil && bound.Schema.IdentityHash == s.bucket {
		return bound
	}
	return nil
}

// server is the object by which a cluster serves the resource of a migration.
type server struct {
	resource schema.GroupResource
	object   client.Object
	// stored are the versions in which objects may be stored. One of them is the current one.
	stored []string
	// behind is whether it does not have the schema of the migration.
	behind bool
}

// server returns the object by which cluster serves the resource, as it is now; nil if there is none.
func (r *reconciler) server(ctx context.Context, s *subject, cluster logicalcluster.Name) (*server, error) {
	if s.export == "" {
		crd, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.Live, definitions, client.Key{Cluster: cluster, Name: s.resource.String()})
		if err != nil || crd == nil || crd.DeletionTimestamp != nil {
			return nil, err
		}
		version, err := apihelpers.GetCRDStorageVersion(crd)
		return &server{resource: definitions, object: crd, stored: crd.Status.StoredVersions, behind: crd.UID != s.uid || version != s.version}, err
	}
	all, err := r.bindings(ctx, s, cluster)
	if err != nil {
		return nil, err
	}
	for _, binding := range all {
		if bound := s.boundBy(binding); bound != nil && binding.DeletionTimestamp == nil {
			return &server{resource: bindings, object: binding, stored: bound.StorageVersions, behind: bound.Schema.UID != string(s.uid) || bound.Virtual != nil}, nil
		}
	}
	return nil, nil
}

// others returns the versions other than the current one in which objects may be stored.
func (h *server) others(s *subject) []string {
	return slices.DeleteFunc(slices.Clone(h.stored), func(v string) bool { return v == s.version })
}

// without returns a copy of the object that lists only the current version.
func (h *server) without(s *subject) client.Object {
	switch object := h.object.DeepCopyObject().(type) {
	case *apiextensionsv1.CustomResourceDefinition:
		object.Status.StoredVersions = []string{s.version}
		return object
	case *apisv1alpha2.APIBinding:
		s.boundBy(object).StorageVersions = []string{s.version}
		return object
	}
	return nil
}
