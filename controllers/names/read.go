package names

import (
	"context"
	"fmt"
	"strconv"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/naming"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// read returns the records of cluster, and who lacks a name there.
func (i *Index) read(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (records []*Record, lacking []Holder, err error) {
	for _, gr := range []schema.GroupResource{Definitions, Bindings} {
		objects, err := from.List(ctx, gr, client.Scope{Cluster: cluster})
		if err != nil {
			return nil, nil, fmt.Errorf("listing %s in %q: %w", gr, cluster, err)
		}
		for _, obj := range objects {
			r, err := i.record(ctx, obj)
			if err != nil {
				return nil, nil, err
			}
			records = append(records, r)
			if lacksNames(obj) {
				lacking = append(lacking, r.Holder)
			}
		}
	}
	return records, lacking, nil
}

// lacksNames reports whether obj may wait for a name.
func lacksNames(obj client.Object) bool {
	switch o := obj.(type) {
	case *apiextensionsv1.CustomResourceDefinition:
		return o.DeletionTimestamp == nil && !apiequality.Semantic.DeepEqual(o.Spec.Names, o.Status.AcceptedNames)
	case *apisv1alpha2.APIBinding:
		return o.DeletionTimestamp == nil && !conditionsv1alpha1.IsTrue(o, apisv1alpha2.BindingUpToDate)
	}
	return false
}

// record returns the record of obj.
func (i *Index) record(ctx context.Context, obj client.Object) (*Record, error) {
	revision, err := revisionOf(obj)
	if err != nil {
		return nil, err
	}
	r := &Record{Holder: Holder{Key: client.KeyOf(obj)}, revision: revision}
	switch o := obj.(type) {
	case *apiextensionsv1.CustomResourceDefinition:
		r.Resource = Definitions
		r.Taken = []naming.Names{accepted(o)}
		r.Reserved = []naming.Names{reserved(o)}
	case *apisv1alpha2.APIBinding:
		r.Resource = Bindings
		r.Taken, err = i.Bound(ctx, o)
	default:
		err = fmt.Errorf("reading the names of %s: unexpected type %T", r.Key, obj)
	}
	return r, err
}

func revisionOf(obj client.Object) (uint64, error) {
	revision, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the resourceVersion of %s: %w", client.KeyOf(obj), err)
	}
	return revision, nil
}

func accepted(crd *apiextensionsv1.CustomResourceDefinition) naming.Names {
	n := crd.Status.AcceptedNames
	return naming.Names{Group: crd.Spec.Group, Plural: n.Plural, Singular: n.Singular, ShortNames: n.ShortNames, Kind: n.Kind, ListKind: n.ListKind}
}

// reserved returns the names that bindings leave to crd. If names were refused, these are only the accepted ones.
func reserved(crd *apiextensionsv1.CustomResourceDefinition) naming.Names {
	if apihelpers.IsCRDConditionFalse(crd, apiextensionsv1.NamesAccepted) {
		refused := &apiextensionsv1.CustomResourceDefinition{Spec: apiextensionsv1.CustomResourceDefinitionSpec{Group: crd.Spec.Group, Names: crd.Status.AcceptedNames}}
		refused.Status.AcceptedNames = crd.Status.AcceptedNames
		return naming.OfCRD(refused)
	}
	return naming.OfCRD(crd)
}

// Bound returns the names of what binding has bound, in the order of its status.
func (i *Index) Bound(ctx context.Context, binding *apisv1alpha2.APIBinding) ([]naming.Names, error) {
	var all []naming.Names
	for _, bound := range binding.Status.BoundResources {
		n, err := i.ofSchema(ctx, logicalcluster.Name(binding.Status.APIExportClusterName), bound)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// ofSchema returns the names of a bound resource: those of its definition, or of its schema when typed storage serves it; only the
// plural if neither exists.
func (i *Index) ofSchema(ctx context.Context, provider logicalcluster.Name, bound apisv1alpha2.BoundAPIResource) (naming.Names, error) {
	if known, ok := i.schemas.Get(bound.Schema.UID); ok {
		return known.(naming.Names), nil
	}
	gr := schema.GroupResource{Group: bound.Group, Resource: bound.Resource}
	if typed := provider == logicalcluster.Root && i.config.IsBound != nil && i.config.IsBound(gr); !typed {
		key := client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: bound.Schema.UID}
		crd, err := client.FindNow[apiextensionsv1.CustomResourceDefinition](ctx, i.config.Client, i.config.Live, Definitions, key)
		if err != nil {
			return naming.Names{}, err
		}
		if crd != nil {
			return i.remember(bound.Schema.UID, naming.OfCRD(crd)), nil
		}
	}
	key := client.Key{Cluster: provider, Name: bound.Schema.Name}
	source, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, i.config.Client, apisv1alpha1.Resource("apiresourceschemas"), key)
	if err != nil {
		return naming.Names{}, err
	}
	if source != nil && string(source.UID) == bound.Schema.UID {
		return i.remember(bound.Schema.UID, naming.OfSchema(source)), nil
	}
	return naming.Names{Group: bound.Group, Plural: bound.Resource}, nil
}

func (i *Index) remember(uid string, n naming.Names) naming.Names {
	i.schemas.Add(uid, n)
	return n
}
