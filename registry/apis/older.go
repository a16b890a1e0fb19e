package apis

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/registry/kinds"
)

// olderExportREST serves apiexports in v1alpha1, which has columns of its own.
type olderExportREST struct {
	*kinds.REST
	table rest.TableConvertor
}

func newOlderExportREST(newer *kinds.REST) (*olderExportREST, error) {
	table, err := kinds.NewColumns(olderExportColumns())
	if err != nil {
		return nil, fmt.Errorf("building the columns of apiexports in %s: %w", v1alpha1, err)
	}
	return &olderExportREST{REST: newer, table: table}, nil
}

// ConvertToTable implements rest.TableConvertor.
func (r *olderExportREST) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	return r.table.ConvertToTable(ctx, object, options)
}
