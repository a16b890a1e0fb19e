package virtual

import "testing"

func TestContext(t *testing.T) {
	if got, ok := FromContext(t.Context()); ok {
		t.Errorf("a bare context is for %+v", got)
	}
	want := Endpoint{Kind: "apiexport", Cluster: "abc", Name: "x"}
	if got, ok := FromContext(WithEndpoint(t.Context(), want)); !ok || got != want {
		t.Errorf("FromContext = %+v, %v", got, ok)
	}
}
