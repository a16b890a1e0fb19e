package apiexport

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/server/virtual"
)

// parse reads the URL of a server whose only virtual workspace is that of providers.
func parse(path string) (virtual.Request, error) { return virtual.List{&Endpoint{}}.Parse(path) }

func TestParse(t *testing.T) {
	widgets := virtual.Endpoint{Kind: Name, Cluster: "abc123", Name: "widgets.example.com"}
	for name, tc := range map[string]struct {
		path string
		want virtual.Request
		code func(error) bool
	}{
		"all consumers": {path: "/services/apiexport/abc123/widgets.example.com/clusters/*/apis/example.com/v1/widgets",
			want: virtual.Request{Endpoint: widgets, Target: "*", Rest: "/apis/example.com/v1/widgets"}},
		"an escaped wildcard": {path: "/services/apiexport/abc123/widgets.example.com/clusters/%2A/api",
			want: virtual.Request{Endpoint: widgets, Target: "*", Rest: "/api"}},
		"one consumer": {path: "/services/apiexport/abc123/widgets.example.com/clusters/xyz/apis/",
			want: virtual.Request{Endpoint: widgets, Target: "xyz", Rest: "/apis/"}},
		"a system cluster": {path: "/services/apiexport/system:admin/x/clusters/root/apis",
			want: virtual.Request{Endpoint: virtual.Endpoint{Kind: Name, Cluster: "system:admin", Name: "x"}, Target: "root", Rest: "/apis"}},
		"nothing behind the target": {path: "/services/apiexport/abc123/widgets.example.com/clusters/xyz",
			want: virtual.Request{Endpoint: widgets, Target: "xyz"}},
		"the rest stays escaped": {path: "/services/apiexport/abc123/widgets.example.com/clusters/xyz/apis/a%2Fb",
			want: virtual.Request{Endpoint: widgets, Target: "xyz", Rest: "/apis/a%2Fb"}},
		"a second prefix is not special": {path: "/services/apiexport/abc123/widgets.example.com/clusters/xyz/clusters/abc",
			want: virtual.Request{Endpoint: widgets, Target: "xyz", Rest: "/clusters/abc"}},
		"no clusters part":         {path: "/services/apiexport/abc123/widgets.example.com/apis", code: apierrors.IsNotFound},
		"no target":                {path: "/services/apiexport/abc123/widgets.example.com/clusters", code: apierrors.IsNotFound},
		"an empty target":          {path: "/services/apiexport/abc123/widgets.example.com/clusters/", code: apierrors.IsBadRequest},
		"another kind":             {path: "/services/nothing/abc123/x/clusters/*/apis", code: apierrors.IsNotFound},
		"no kind":                  {path: "/services/", code: apierrors.IsNotFound},
		"no virtual endpoint":      {path: "/clusters/root/apis", code: apierrors.IsNotFound},
		"the export by path":       {path: "/services/apiexport/root:org/x/clusters/*/apis", code: apierrors.IsBadRequest},
		"the target by path":       {path: "/services/apiexport/abc123/x/clusters/root:org/apis", code: apierrors.IsBadRequest},
		"the export in all":        {path: "/services/apiexport/*/x/clusters/*/apis", code: apierrors.IsBadRequest},
		"upper case":               {path: "/services/apiexport/ABC/x/clusters/*/apis", code: apierrors.IsBadRequest},
		"dots for an export":       {path: "/services/apiexport/abc123/../clusters/*/apis", code: apierrors.IsBadRequest},
		"an escaped slash":         {path: "/services/apiexport/abc123/a%2Fb/clusters/*/apis", code: apierrors.IsBadRequest},
		"an escaped slash, target": {path: "/services/apiexport/abc123/x/clusters/a%2Fb/apis", code: apierrors.IsBadRequest},
		"an empty export":          {path: "/services/apiexport/abc123//clusters/*/apis", code: apierrors.IsBadRequest},
		"a broken escape":          {path: "/services/apiexport/abc123/%zz/clusters/*/apis", code: apierrors.IsBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(tc.path)
			if tc.code != nil {
				if !tc.code(err) {
					t.Fatalf("Parse(%q) = %+v, %v", tc.path, got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/services/apiexport/abc123/x/clusters/*/apis")
	f.Add("/services/apiexport/abc123/a%2Fb/clusters/root%3Aorg/apis")
	f.Fuzz(func(t *testing.T, path string) {
		got, err := parse(path)
		if err != nil {
			if got != (virtual.Request{}) {
				t.Errorf("Parse(%q) = %+v beside %v", path, got, err)
			}
			return
		}
		if got.Endpoint.Cluster.Empty() || got.Endpoint.Name == "" || got.Target.Empty() {
			t.Errorf("Parse(%q) left something empty: %+v", path, got)
		}
	})
}
