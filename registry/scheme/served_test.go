package scheme

import (
	"reflect"
	"slices"
	"testing"
)

// What a host forwards is what is stored of ours, no more and no less.
func TestOurs(t *testing.T) {
	groups := map[string]bool{}
	kinds := map[string][]string{}
	for _, served := range Ours() {
		groups[served.Group] = true
		kinds[served.String()] = served.Kinds
	}
	rows := map[string]bool{}
	for _, r := range ours() {
		rows[r.group] = true
		kind := reflect.TypeOf(r.object).Elem().Name()
		if gv := r.group + "/" + r.version; !slices.Contains(kinds[gv], kind) {
			t.Errorf("%s has no %s: %v", gv, kind, kinds[gv])
		}
	}
	if !reflect.DeepEqual(groups, rows) {
		t.Errorf("groups %v, want %v", groups, rows)
	}
	var sharing []string
	for _, served := range Ours() {
		if served.Group == "apis.kcp.io" {
			sharing = append(sharing, served.Version)
		}
	}
	if want := []string{"v1alpha2", "v1alpha1"}; !slices.Equal(sharing, want) {
		t.Errorf("versions of apis.kcp.io %v, want the preferred one first: %v", sharing, want)
	}
}
