package logicalcluster

import "testing"

func TestPath_Tenant(t *testing.T) {
	for path, want := range map[Path]Path{
		"root": "root", "root:org": "root:org", "root:org:team": "root:org", "root:org:team:child": "root:org",
		"abc123": "abc123", "other:org:team": "other:org", "system:admin": "system:admin", "": "",
	} {
		if got := path.Tenant(); got != want {
			t.Errorf("tenant of %s: %s, want %s", path, got, want)
		}
	}
}
