package kinds

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/registry/group"
)

// Check returns an error that names each row without storage in groups, and all storage without a row.
func (t *Table) Check(groups []*group.Group) error {
	var errs []error
	found := map[schema.GroupVersionResource]bool{}
	for _, g := range groups {
		for version, storage := range g.Versions {
			for path := range storage {
				name, _, _ := strings.Cut(path, "/")
				gvr := schema.GroupVersionResource{Group: g.Name, Version: version, Resource: name}
				found[gvr] = true
				if !t.is(gvr.GroupResource(), func(r *Row) bool { return slices.Contains(r.Versions, version) }) {
					errs = append(errs, fmt.Errorf("%s in %s has storage, but no row in the table of kinds", path, gvr.GroupVersion()))
				}
			}
		}
	}
	for _, row := range t.Rows() {
		for _, version := range row.Versions {
			if gr := row.GroupResource(); !found[gr.WithVersion(version)] {
				errs = append(errs, fmt.Errorf("%s has a row in the table of kinds, but no storage in %s", gr, version))
			}
		}
	}
	return errors.Join(errs...)
}
