package apis

import (
	"context"
	"fmt"
	"maps"

	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kind"
)

// The stores are made for v1alpha2. What they say of a version is repeated here for v1alpha1.

// olderExportREST serves apiexports in v1alpha1.
type olderExportREST struct {
	*kind.REST
	table rest.TableConvertor
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (r *olderExportREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return withOlder(r.REST.GetResetFields())
}

// ConvertToTable implements rest.TableConvertor.
func (r *olderExportREST) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	return r.table.ConvertToTable(ctx, object, options)
}

func olderExportTable() (rest.TableConvertor, error) {
	table, err := tableconvertor.New(olderExportColumns())
	if err != nil {
		return nil, fmt.Errorf("building the columns of apiexports in %s: %w", v1alpha1, err)
	}
	return table, nil
}

// olderBindingREST serves apibindings in v1alpha1.
type olderBindingREST struct{ *bindingREST }

// GetResetFields implements rest.ResetFieldsStrategy.
func (r *olderBindingREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return withOlder(r.bindingREST.GetResetFields())
}

// olderStatusREST serves a status in v1alpha1.
type olderStatusREST struct{ *group.StatusREST }

// GetResetFields implements rest.ResetFieldsStrategy.
func (r *olderStatusREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return withOlder(r.StatusREST.GetResetFields())
}

// withOlder returns sets with the set of v1alpha2 for v1alpha1 too: what users cannot set is the same in both.
func withOlder(sets map[fieldpath.APIVersion]*fieldpath.Set) map[fieldpath.APIVersion]*fieldpath.Set {
	sets = maps.Clone(sets)
	sets[olderAPIVersion] = sets[fieldpath.APIVersion(apisv1alpha2.SchemeGroupVersion.String())]
	return sets
}
