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
	if first := Ours()[0].String(); first != "apis.kcp.io/v1alpha2" {
		t.Errorf("the first is %s, want the preferred version of the first group", first)
	}
}
