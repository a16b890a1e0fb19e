package change

import "testing"

func TestAllowed(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"v2": true, "v1, v2 ,v3": true, "v1": false, "": false, "*": false, "v22": false, "true": false} {
		if got := Allowed(map[string]string{"annex.dev/allow-breaking-change": value}, "v2"); got != want {
			t.Errorf("%q allows v2: %v", value, got)
		}
	}
	if Allowed(nil, "") || Allowed(map[string]string{"annex.dev/allow-breaking-change": ""}, "") {
		t.Error("a schema without a name is allowed")
	}
}
